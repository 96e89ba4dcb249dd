"""The command line: `mgjax inspect`, `run`, `checkpoint`, `convert`.

What goes wrong in a way that this package documents is one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from mgjax import errors
from mgjax.cli.checkpoints import add_checkpoint
from mgjax.cli.converting import add_convert
from mgjax.cli.inspecting import add_inspect
from mgjax.cli.running import add_run

DOCUMENTED = (
    errors.ReadError,
    errors.UnsupportedError,
    errors.VerifyError,
    errors.FeedError,
    errors.UnknownNameError,
    errors.RestoreError,
    errors.OpError,
    OSError,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"mgjax: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status.

    Args:
        arguments: the command and its arguments; those of the process if None.
    """
    parser = _Parser(prog="mgjax", description="Brings TensorFlow 1 models to JAX: MetaGraphDefs and checkpoints.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (add_inspect, add_run, add_checkpoint, add_convert):
        add(commands)
    chosen = parser.parse_args(arguments)
    try:
        status = chosen.run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough (`mgjax inspect FILE | head`); nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except DOCUMENTED as error:
        print(f"mgjax: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return status


def _version() -> str:
    import mgjax

    return f"mgjax {mgjax.__version__}"
