"""A disk that is full, simulated by the most bytes that a process may write into one file."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: In a process of its own, as the limit holds for all of it.
SCRIPT = """
import pathlib, resource, signal, sys
import numpy as np
from mgjax import checkpoint

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
large = {"w": np.ones(300_000), "v": np.ones(300_000)}
for version, shards in ((2, None), (2, 2), (1, None), (1, 2)):
    for is_first in (True, False):
        folder = pathlib.Path(sys.argv[1], f"{version}-{shards}-{is_first}")
        folder.mkdir()
        if not is_first:
            checkpoint.write(folder / "m", {"w": np.zeros(3)}, version=version, shards=shards)
            checkpoint.write_state(str(folder), str(folder / "m"))
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        try:
            checkpoint.write(folder / "m", large, version=version, shards=shards)
        except OSError as error:
            print(error.strerror)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert checkpoint.exists(str(folder / "m")) == (not is_first)
"""


def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "File too large\n" * 8
