"""Printing: what `tf.print` has put together, and tensors as `tf.Print` shows them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops import lower, summary
from mgjax.shapes import describe

LOG = logging.getLogger("mgjax.print")
LEVELS = {"log(info)": logging.INFO, "log(warning)": logging.WARNING, "log(error)": logging.ERROR}


@lower("Print", host=True, effect=True)
def print_data(input, data: Sequence[Any], *, message="", summarize=3):
    """Writes a line to stderr: the message, and each tensor in brackets. Whoever runs it counts to `first_n`."""
    text = message.decode("utf-8", "backslashreplace") if isinstance(message, bytes) else message
    _write(sys.stderr, text + "".join(f"[{summary(array, summarize)}]" for array in data) + "\n")
    return input


@lower("PrintV2", host=True, effect=True)
def print_string(input, *, output_stream="stderr", end="\n"):
    """Writes a scalar string to stderr, to stdout, or to the log `mgjax.print`, which ends lines itself."""
    if input.shape != ():
        raise InvalidArgumentError(f"Input is expected to be scalar, but got {describe(input.shape)}")
    text = input.item().decode("utf-8", "backslashreplace")
    if output_stream in LEVELS:
        LOG.log(LEVELS[output_stream], "%s", text)
    elif output_stream in ("stderr", "stdout"):
        _write(getattr(sys, output_stream), text + end)
    else:
        # A graph does not decide which files are written.
        raise UnsupportedError(f"output_stream {output_stream!r} is not supported (stderr, stdout, log(...) are)")
    return ()


def _write(stream: Any, text: str) -> None:
    stream.write(text)
    stream.flush()
