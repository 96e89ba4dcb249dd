"""Unicode: code points of strings and strings of code points, in UTF-8, UTF-16-BE, UTF-32-BE and other encodings.

What cannot be decoded or encoded is replaced by `replacement_char`, left out (`errors` "ignore"), or an error ("strict").
"""

from __future__ import annotations

import codecs
import functools
import itertools
from pathlib import Path

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.strings import as_bytes, each, strings
from mgjax.ops import lower

_LAST = 0x10FFFF


@lower("UnicodeDecode", host=True)
def unicode_decode(
    input, *, input_encoding, errors="replace", replacement_char=0xFFFD, replace_control_characters=False, Tsplits
):
    """The code points of all strings, int32[n], and where those of each string begin."""
    rows = [
        _code_points(as_bytes(text), input_encoding, errors, replacement_char, replace_control_characters)
        for text in input.ravel()
    ]
    points = np.array([point for row in rows for point, _ in row], np.int32)
    return np.cumsum([0, *map(len, rows)]).astype(Tsplits.numpy), points


@lower("UnicodeDecodeWithOffsets", host=True)
def unicode_decode_with_offsets(
    input, *, input_encoding, errors="replace", replacement_char=0xFFFD, replace_control_characters=False, Tsplits
):
    """As `unicode_decode`, and the byte at which each code point begins in its string."""
    rows = [
        _code_points(as_bytes(text), input_encoding, errors, replacement_char, replace_control_characters)
        for text in input.ravel()
    ]
    points = np.array([point for row in rows for point, _ in row], np.int32)
    starts = np.array([start for row in rows for _, start in row], np.int64)
    return np.cumsum([0, *map(len, rows)]).astype(Tsplits.numpy), points, starts


@lower("UnicodeEncode", host=True)
def unicode_encode(input_values, input_splits, *, errors="replace", output_encoding, replacement_char=0xFFFD):
    """A string of the code points between each two splits."""

    def encode(points):
        return _encode([_valid(int(point), errors, replacement_char) for point in points], output_encoding)

    bounds = itertools.pairwise(input_splits)
    return strings([encode(input_values[start:stop]) for start, stop in bounds])


@lower("UnicodeTranscode", host=True)
def unicode_transcode(
    input,
    *,
    input_encoding,
    output_encoding,
    errors="replace",
    replacement_char=0xFFFD,
    replace_control_characters=False,
):
    """Strings from one encoding to another."""

    def transcode(text):
        row = _code_points(as_bytes(text), input_encoding, errors, replacement_char, replace_control_characters)
        return _encode([point for point, _ in row], output_encoding)

    return each(transcode, input)


def _encode(points: list[int | None], encoding: str) -> bytes:
    codec = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be"}.get(encoding)
    if codec is None:
        raise InvalidArgumentError(f"output encoding {encoding} is not one of UTF-8, UTF-16-BE, UTF-32-BE")
    return "".join(chr(point) for point in points if point is not None).encode(codec)


def _valid(point: int, errors: str, replacement: int) -> int | None:
    """The code point, or what stands for it if it is none."""
    if 0 <= point <= _LAST and not 0xD800 <= point < 0xE000:
        return point
    if errors == "strict":
        raise InvalidArgumentError("Code point is out of range for Unicode, or a noncharacter.")
    return None if errors == "ignore" else replacement


def _code_points(
    text: bytes, encoding: str, errors: str, replacement: int, replace_controls: bool
) -> list[tuple[int, int]]:
    """The code points of a string, each with the byte at which it begins."""
    try:
        codec = codecs.lookup(encoding).name
    except LookupError as error:
        raise InvalidArgumentError(f"Could not create converter for input encoding: {encoding}") from error
    found, at = [], 0
    while at < len(text):
        point, length = _next(text, at, codec)
        if point is None or (replace_controls and point < 0x20):
            if errors == "strict":
                raise InvalidArgumentError(
                    f"Invalid formatting on input string: {text.decode(errors='backslashreplace')}"
                )
            if errors == "replace":
                found.append((replacement, at))
        else:
            found.append((point, at))
        at += length
    return found


def _next(text: bytes, at: int, codec: str) -> tuple[int | None, int]:
    """The code point at byte `at`, None if it is malformed, and the number of bytes that it takes."""
    step = {"utf-16-be": 2, "utf-16-le": 2, "utf-32-be": 4, "utf-32-le": 4}.get(codec, 1)
    for length in range(step, 5, step):
        try:
            return ord(text[at : at + length].decode(codec)), length
        except UnicodeDecodeError as error:
            # "unexpected end": more bytes may make it whole.
            if at + length > len(text) or "unexpected end" not in error.reason:
                return None, max(step, length - step) if length > step else step
        except TypeError:
            return None, step
    return None, step


@lower("UnicodeScript", host=True)
def unicode_script(input):
    """The script of each code point, by ICU's numbers; -1 for what is no code point."""
    starts, scripts = _scripts()
    inside = (input >= 0) & (input <= _LAST)
    found = scripts[np.searchsorted(starts, np.where(inside, input, 0), side="right") - 1]
    return np.where(inside, found, np.int32(-1)).astype(np.int32)


@functools.cache
def _scripts() -> tuple[np.ndarray, np.ndarray]:
    """The code points at which another script begins, and those scripts, as TensorFlow 1.15 gives them."""
    lines = Path(__file__).with_name("unicode_scripts.txt").read_text("ascii").split()
    return np.array([int(start, 16) for start in lines[::2]]), np.array(lines[1::2], np.int32)
