"""Ops on strings: arrays of `object` dtype that hold `bytes`."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Callable

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops import hidden_summary, lower

_SPACES = b" \t\n\v\f\r"


def as_bytes(value: object) -> bytes:
    """An element of a string tensor; a `str` that somebody fed counts as its UTF-8."""
    return value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]


def each(function: Callable, *arrays: object, dtype: object = object) -> np.ndarray:
    """`function` of corresponding elements; arrays of one shape or broadcast to one."""
    arrays = np.broadcast_arrays(*arrays)
    result = np.empty(arrays[0].shape, dtype)
    for index in np.ndindex(result.shape):
        result[index] = function(*(array[index] for array in arrays))
    return result


def strings(items: list[bytes], shape: tuple[int, ...] | None = None) -> np.ndarray:
    """A string tensor of the items, of one dimension or of `shape`."""
    result = np.empty(len(items), object)
    result[:] = items
    return result if shape is None else result.reshape(shape)


def ragged(rows: list[list[bytes]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of strings as a sparse matrix: indices int64[n, 2], values, dense shape."""
    indices = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    width = max(map(len, rows), default=0)
    values = strings([item for row in rows for item in row])
    return np.array(indices, np.int64).reshape(-1, 2), values, np.array([len(rows), width], np.int64)


@lower("StringJoin", host=True)
def string_join(inputs, *, separator=""):
    """Corresponding strings, joined; scalars stand for as many as the others hold."""
    shapes = {x.shape for x in inputs if x.ndim}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise InvalidArgumentError(
            f"Input shapes do not match before broadcasting scalars: {list(first)} and {list(second)}"
        )
    return each(lambda *parts: as_bytes(separator).join(map(as_bytes, parts)), *inputs)


@lower("StringSplit", host=True)
def string_split(input, delimiter, *, skip_empty=True):
    """Splits at every byte of `delimiter` (between all bytes if that is empty); a sparse matrix of the pieces."""
    separators = as_bytes(delimiter[()])

    def split(text: bytes) -> list[bytes]:
        if not separators or not text:
            return [text[i : i + 1] for i in range(len(text))]
        pieces = re.split(b"[" + re.escape(separators) + b"]", text)
        return [piece for piece in pieces if piece or not skip_empty]

    return ragged([split(as_bytes(text)) for text in input])


@lower("StringSplitV2", host=True)
def string_split_v2(input, sep, *, maxsplit=-1):
    """Splits as Python's `split`: at `sep`, or at white space if that is empty; then what follows the last is kept."""
    separator = as_bytes(sep[()])

    def split(text: bytes) -> list[bytes]:
        if separator or maxsplit < 0:
            return text.split(separator or None, maxsplit)
        if maxsplit == 0:
            return [text]
        pieces = text.split(None, maxsplit)
        return [*pieces, b""] if len(pieces) == maxsplit else pieces

    return ragged([split(as_bytes(text)) for text in input])


@lower("StringLower", host=True)
def string_lower(input, *, encoding=""):
    """ASCII letters of `input` in lower case; all of Unicode's with `encoding` "utf-8"."""
    return _recased(input, encoding, "lower")


@lower("StringUpper", host=True)
def string_upper(input, *, encoding=""):
    return _recased(input, encoding, "upper")


def _recased(input, encoding, case):
    if encoding not in ("", "utf-8"):
        raise InvalidArgumentError(f'only utf-8 or "" (no encoding) is accepted, got: {encoding}')

    def recase(text):
        text = as_bytes(text)
        if encoding:
            return getattr(text.decode(errors="replace"), case)().encode()
        return getattr(text, case)()

    return each(recase, input)


@lower("StringStrip", host=True)
def string_strip(input):
    return each(lambda text: as_bytes(text).strip(_SPACES), input)


@lower("StringLength", host=True)
def string_length(input, *, unit="BYTE"):
    """Number of bytes, or of code points with `unit` "UTF8_CHAR"."""
    return each(lambda text: len(_units(as_bytes(text), unit)), input, dtype=np.int32)


@lower("Substr", host=True)
def substr(input, pos, len, *, unit="BYTE"):
    """`len` bytes or characters from `pos` on (from the end if negative), fewer where the string ends."""
    flat_index = iter(range(np.broadcast(input, pos, len).size))

    def cut(text, start, length):
        index = next(flat_index)
        units = _units(as_bytes(text), unit)
        count = units.__len__()
        if not -count <= start <= count:
            raise InvalidArgumentError(f"pos {start} out of range for string at index {index}")
        if length < 0:
            raise InvalidArgumentError(f"length {length} is negative at index {index}")
        start = start + count if start < 0 else start
        return b"".join(units[start : start + length])

    return each(cut, input, pos, len)


def _units(text: bytes, unit: str) -> list[bytes]:
    """The bytes or the UTF-8 characters; a character ends where the next byte is not a continuation."""
    if unit == "BYTE":
        return [text[i : i + 1] for i in range(len(text))]
    return re.findall(rb"(?s).[\x80-\xbf]*", text)


@lower("AsString", host=True)
def as_string(input, *, precision=-1, scientific=False, shortest=False, width=-1, fill=""):
    """Numbers in the form of C's printf: %f unless `scientific` (%e) or `shortest` (%g); true and false."""
    kind = input.dtype.kind
    if fill and (len(fill) > 1 or fill not in " +-0#"):
        raise InvalidArgumentError(f'Fill argument not supported: "{fill}"')
    if scientific and shortest:
        raise InvalidArgumentError("Cannot select both scientific and shortest notation")
    if kind in "iu" and (scientific or shortest):
        raise InvalidArgumentError(f"scientific and shortest format not supported for datatype {input.dtype}")
    if kind in "iub" and precision >= 0:
        raise InvalidArgumentError(f"precision not supported for datatype {input.dtype}")
    if kind == "b":
        return each(lambda x: b"true" if x else b"false", input)
    form = "%" + fill + (str(width) if width >= 0 else "") + (f".{precision}" if precision >= 0 else "")
    form += "d" if kind in "iu" else "e" if scientific else "g" if shortest else "f"
    if kind == "c":
        return each(lambda x: (f"({form},{form})" % (x.real, x.imag)).encode(), input)
    # C pads infinities and NaN with spaces only.
    plain = form.replace("0", "", 1) if fill == "0" else form
    if kind in "iu":
        return each(lambda x: (form % int(x)).encode(), input)
    return each(lambda x: ((form if np.isfinite(x) else plain) % float(x)).encode(), input)


_FLOAT = re.compile(rb"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE)
_HEX_FLOAT = re.compile(rb"[+-]?0[xX][0-9a-fA-F]+")
_INTEGER = re.compile(rb"-?\d+")


@lower("StringToNumber", host=True)
def string_to_number(string_tensor, *, out_type):
    return each(lambda text: parse_number(as_bytes(text), out_type.numpy), string_tensor, dtype=out_type.numpy)


def parse_number(text: bytes, dtype: np.dtype) -> float | int:
    """The number that a string says, white space around it allowed."""
    trimmed = text.strip(_SPACES)
    if dtype.kind == "f":
        if _FLOAT.fullmatch(trimmed):
            return float(trimmed)
        if _HEX_FLOAT.fullmatch(trimmed):
            return float(int(trimmed, 16))
    elif _INTEGER.fullmatch(trimmed):
        number, limits = int(trimmed), np.iinfo(dtype)
        if limits.min <= number <= limits.max:
            return number
    shown = text.decode(errors="backslashreplace")
    raise InvalidArgumentError(f"StringToNumberOp could not correctly convert string: {shown}")


@lower("EncodeBase64", host=True)
def encode_base64(input, *, pad=False):
    """Base 64 of the alphabet that URLs can hold, with the trailing "=" only if `pad`."""

    def encode(text):
        encoded = base64.urlsafe_b64encode(as_bytes(text))
        return encoded if pad else encoded.rstrip(b"=")

    return each(encode, input)


@lower("DecodeBase64", host=True)
def decode_base64(input):
    def decode(text):
        body = as_bytes(text).rstrip(b"=")
        if re.search(rb"[^A-Za-z0-9_-]", body):
            raise InvalidArgumentError("Invalid character found in base64.")
        try:
            return base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))
        except binascii.Error as error:
            raise InvalidArgumentError("Base64 string length must not leave one character over.") from error

    return each(decode, input)


@lower("ReduceJoin", host=True)
def reduce_join(inputs, reduction_indices, *, keep_dims=False, separator=""):
    """Joins along the given axes, the first of them running fastest."""
    rank = inputs.ndim
    axes = [int(axis) for axis in np.ravel(reduction_indices)]
    for axis in axes:
        if not -rank <= axis < rank:
            raise InvalidArgumentError(f"Invalid reduction dimension {axis} for input with {rank} dimension(s)")
    axes = [axis % rank for axis in axes]
    if len(set(axes)) != len(axes):
        raise InvalidArgumentError(f"Duplicate reduction dimension among {axes}")
    kept = [axis for axis in range(rank) if axis not in axes]
    moved = np.transpose(inputs, kept + axes[::-1])
    shape = tuple(inputs.shape[axis] for axis in kept)
    rows = (
        moved.reshape(int(np.prod(shape, dtype=int)), -1) if inputs.size else np.empty((int(np.prod(shape)), 0), object)
    )
    joined = strings([as_bytes(separator).join(map(as_bytes, row)) for row in rows], shape)
    return np.expand_dims(joined, tuple(sorted(axes))) if keep_dims else joined


@lower("UnsortedSegmentJoin", host=True)
def unsorted_segment_join(inputs, segment_ids, num_segments, *, separator=""):
    """The strings of each segment, joined in order; segments without strings are empty."""
    segments, inner = int(num_segments), inputs.shape[segment_ids.ndim :]
    flat = inputs.reshape(segment_ids.size, -1)
    parts: list[list[list[bytes]]] = [[[] for _ in range(flat.shape[1])] for _ in range(segments)]
    for row, segment in zip(flat, segment_ids.ravel(), strict=True):
        if segment >= segments:
            raise InvalidArgumentError(f"Segment id {segment} is out of range [0, {segments})")
        for column, text in enumerate(row):
            if segment >= 0:
                parts[segment][column].append(as_bytes(text))
    joined = [as_bytes(separator).join(column) for segment in parts for column in segment]
    return strings(joined, (segments, *inner))


@lower("StringNGrams", host=True)
def string_n_grams(
    data, data_splits, *, separator, ngram_widths, left_pad, right_pad, pad_width, preserve_short_sequences
):
    """Joins of each `ngram_widths` neighbours of every row, rows padded at both ends; the n-grams and their row splits."""
    between, left, right = (as_bytes(x) for x in (separator, left_pad, right_pad))
    ngrams: list[bytes] = []
    splits = [0]
    for start, stop in itertools.pairwise(data_splits):
        row = [as_bytes(text) for text in data[start:stop]]
        before = len(ngrams)
        for width in ngram_widths:
            pad = width - 1 if pad_width < 0 else min(pad_width, width - 1)
            padded = [left] * pad + row + [right] * pad
            ngrams += [between.join(padded[i : i + width]) for i in range(len(padded) - width + 1)]
        if preserve_short_sequences and row and len(ngrams) == before:
            pad = max(pad_width, 0)
            ngrams.append(between.join([left] * pad + row + [right] * pad))
        splits.append(len(ngrams))
    return strings(ngrams), np.array(splits, data_splits.dtype)


@lower("StringFormat", host=True)
def string_format(inputs, *, template="%s", placeholder="%s", summarize=3):
    """`template` with its placeholders replaced by the tensors, at most `summarize` elements of an axis's each end."""
    pieces = template.split(placeholder)
    if len(pieces) != len(inputs) + 1:
        raise InvalidArgumentError(
            f"num placeholders in template and num inputs must match: {len(pieces) - 1} vs. {len(inputs)}"
        )
    shown = [summary(x, summarize) for x in inputs]
    text = pieces[0] + "".join(value + piece for value, piece in zip(shown, pieces[1:], strict=True))
    return np.array(text.encode(errors="surrogateescape"), object)


def summary(array: np.ndarray, summarize: int, depth: int = 1) -> str:
    """A tensor as TensorFlow's `SummarizeValue` prints it: nested brackets, the middle of long axes left out."""
    if depth == 1 and (marks := hidden_summary(array, summarize)) is not None:
        return f"[{marks}]"
    if np.ndim(array) == 0:
        return _shown(array if isinstance(array, bytes) else array[()])
    chosen: list[int | None] = list(range(len(array)))
    if 0 <= 2 * summarize < len(array):
        chosen[summarize : len(array) - summarize] = [None]
    items = ["..." if i is None else summary(array[i], summarize, depth + 1) for i in chosen]
    # Rows of a matrix, and what contains them, stand on lines of their own.
    separator = " " if array.ndim == 1 else "\n" * (array.ndim - 1) + " " * depth
    return "[" + separator.join(items) + "]"


_ESCAPES = {10: "\\n", 13: "\\r", 9: "\\t", 34: '\\"', 39: "\\'", 92: "\\\\"}


def _shown(value) -> str:
    if isinstance(value, (bytes, str)):
        text = (_ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in as_bytes(value))
        return '"' + "".join(text) + '"'
    if isinstance(value, (bool, np.bool_)):
        return "1" if value else "0"
    kind = np.asarray(value).dtype
    if kind.kind != "f":
        return str(value)
    # As few digits as always survive being written, or else as many as are always enough.
    few, enough, same = (15, 17, np.float64) if kind == np.float64 else (6, 9, np.float32)
    short = f"{float(value):.{few}g}"
    return short if same(short) == same(value) or value != value else f"{float(value):.{enough}g}"


@lower("Fact", host=True)
def fact():
    return np.array(b"0! == 1", object)
