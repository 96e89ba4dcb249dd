"""Executes the notebooks of this folder from top to bottom; fails where a cell does: `python notebooks/run.py [--write]`.

With `--write` the outputs are kept in the notebooks.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parent


def main(write: bool) -> int:
    failed = 0
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        start = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
        except CellExecutionError as error:
            failed += 1
            print(f"{path.name}: failed\n{error}")
            continue
        print(f"{path.name}: ran in {time.monotonic() - start:.0f} s")
        if write:
            for cell in notebook.cells:
                cell.metadata.pop("execution", None)
            nbformat.write(notebook, path)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
