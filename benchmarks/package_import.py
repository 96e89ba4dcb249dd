"""The time of `import mgjax` beyond that of `import jax`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks.table import Row, alternate

#: The most that importing the package may add to importing JAX.
SECONDS_BEYOND_JAX = 0.2


def measure() -> Iterator[Row]:
    found = alternate({"jax": _import_time("import jax"), "both": _import_time("import jax, mgjax")}, rounds=7)
    yield Row(
        "import mgjax, beyond import jax",
        found["both"] - found["jax"],
        "the seconds allowed",
        SECONDS_BEYOND_JAX,
        "s",
        1,
    )
    yield Row("import mgjax", found["both"], "import jax", found["jax"], "s")


def _import_time(statement: str) -> Callable[[], float]:
    """A call that measures the CPU seconds of a statement in a fresh process."""
    # Bytecode is kept, as it is for an installed package.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = f"import time; start = time.process_time(); {statement}; print(time.process_time() - start)"

    def measure() -> float:
        return float(
            subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
            ).stdout
        )

    return measure
