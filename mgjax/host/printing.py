"""Printing of strings, as `tf.print` does it after it has put them together."""

from __future__ import annotations

import logging
import sys

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops import lower
from mgjax.shapes import describe

LOG = logging.getLogger("mgjax.print")
LEVELS = {"log(info)": logging.INFO, "log(warning)": logging.WARNING, "log(error)": logging.ERROR}


@lower("PrintV2", host=True, effect=True)
def print_string(input, *, output_stream="stderr", end="\n"):
    """Writes a scalar string to stderr, to stdout, or to the log `mgjax.print`, which ends lines itself."""
    if input.shape != ():
        raise InvalidArgumentError(f"Input is expected to be scalar, but got {describe(input.shape)}")
    text = input.item().decode("utf-8", "backslashreplace")
    if output_stream in LEVELS:
        LOG.log(LEVELS[output_stream], "%s", text)
    elif output_stream in ("stderr", "stdout"):
        stream = getattr(sys, output_stream)
        stream.write(text + end)
        stream.flush()
    else:
        # A graph does not decide which files are written.
        raise UnsupportedError(f"output_stream {output_stream!r} is not supported (stderr, stdout, log(...) are)")
    return ()
