"""Runs the benchmarks and prints one table; exit status 1 where a ratio is beyond its limit."""

from __future__ import annotations

import importlib
import platform
import sys

import jax
import numpy as np

from benchmarks.table import HEADER

BENCHMARKS = ("calls", "large_graph", "package_import", "random_streams", "checkpoint", "loops")


def main(chosen: list[str]) -> int:
    versions = f"Python {platform.python_version()}, JAX {jax.__version__}, NumPy {np.__version__}"
    print(f"{versions}, {jax.devices()[0].device_kind}")
    print(HEADER)
    rows = []
    for name in chosen or BENCHMARKS:
        for row in importlib.import_module(f"benchmarks.{name}").measure():
            print(row, flush=True)
            rows.append(row)
    return 0 if all(row.is_within for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
