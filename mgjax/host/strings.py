"""Ops on strings: arrays of `object` dtype that hold `bytes`."""

from __future__ import annotations

import base64
import fractions
import itertools
import math
import re
from collections.abc import Callable

import numpy as np

from mgjax.errors import InvalidArgumentError, OutOfRangeError, UnimplementedError
from mgjax.ops import hidden_summary, lower
from mgjax.shapes import describe

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
    _check_split(input, delimiter, "delimiter")
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
    _check_split(input, sep, "sep")
    separator = as_bytes(sep[()])

    def split(text: bytes) -> list[bytes]:
        if separator or maxsplit < 0:
            return text.split(separator or None, maxsplit)
        if maxsplit == 0:
            return [text]
        pieces = text.split(None, maxsplit)
        return [*pieces, b""] if len(pieces) == maxsplit else pieces

    return ragged([split(as_bytes(text)) for text in input])


def _check_split(input: np.ndarray, separator: np.ndarray, name: str) -> None:
    if input.ndim != 1:
        raise InvalidArgumentError(f"input must be a vector, got shape: {describe(input.shape)}")
    if separator.ndim:
        raise InvalidArgumentError(f"{name} must be a scalar, got shape: {describe(separator.shape)}")


@lower("StringLower", host=True)
def string_lower(input, *, encoding=""):
    """ASCII letters of `input` in lower case; all of Unicode's with `encoding` "utf-8", up to the first zero byte."""
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
            return getattr(text.partition(b"\0")[0].decode(errors="replace"), case)().encode()
        return getattr(text, case)()

    return each(recase, input)


@lower("StringStrip", host=True)
def string_strip(input):
    return each(lambda text: as_bytes(text).strip(_SPACES), input)


@lower("StringLength", host=True)
def string_length(input, *, unit="BYTE"):
    """Number of bytes, or with `unit` "UTF8_CHAR" of those that begin a character."""
    if unit == "BYTE":
        return each(lambda text: len(as_bytes(text)), input, dtype=np.int32)
    return each(lambda text: sum(not _continues(byte) for byte in as_bytes(text)), input, dtype=np.int32)


@lower("Substr", host=True)
def substr(input, pos, len, *, unit="BYTE"):
    """`len` bytes or characters from `pos` on (from the end if negative), fewer where the string ends.

    A negative length takes all the bytes that follow, or no characters. Where `pos` is broadcast, or broadcasts the input,
    the result has the axes of `_merged_shape`.
    """
    if pos.shape != len.shape:
        shapes = f"{describe(pos.shape)} vs. {describe(len.shape)}"
        raise InvalidArgumentError(f"pos and len must have the same shape, found {shapes}")
    operands = [x.ravel() for x in np.broadcast_arrays(input, pos, len)]
    shape = input.shape if pos.shape in ((), input.shape) else _merged_shape(input.shape, pos.shape)
    bounds_of = _bytes_within if unit == "BYTE" else _characters_within

    def cut(index, text, start, count):
        bounds = bounds_of(text, int(start), int(count))
        if bounds is None:
            raise InvalidArgumentError(f"pos {start} out of range for string at index {index}")
        return text[slice(*bounds)]

    rows = enumerate(zip(*operands, strict=True))
    return strings([cut(i, as_bytes(text), start, count) for i, (text, start, count) in rows], shape)


def _merged_shape(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """What two shapes broadcast to, neighbouring axes that do so alike as one, without axes of size one.

    This is the form in which 1.15's kernel works, and in which it leaves the result: tensorflow/core/util/bcast.cc.
    """
    rank = max(map(len, (first, second)))
    kinds: list[tuple[bool, bool]] = []
    sizes: list[int] = []
    for m, n in zip(*((1,) * (rank - len(shape)) + shape for shape in (first, second)), strict=True):
        kind = (m == 1, n == 1)
        if kind == (True, True):
            continue
        size = n if m == 1 else m
        if kinds and kind == kinds[-1]:
            sizes[-1] *= size
        else:
            kinds.append(kind)
            sizes.append(size)
    if len(sizes) > 2:
        raise UnimplementedError(f"Substr broadcast not implemented for {len(sizes)} dimensions")
    return tuple(sizes) or (1,)


def _bytes_within(text: bytes, start: int, count: int) -> tuple[int, int | None] | None:
    """Where the bytes from `start` on begin and end; None where `start` is outside."""
    start += len(text) if start < 0 else 0
    if not 0 <= start <= len(text):
        return None
    return start, start + count if count >= 0 else None


def _characters_within(text: bytes, start: int, count: int) -> tuple[int, int] | None:
    """Where the `count` UTF-8 characters from `start` on begin and end, as bytes; None where `start` is outside."""
    if start >= 0:
        begin, moved = _forward(text, 0, start)
        return (begin, _forward(text, begin, count)[0]) if moved == start else None
    skipped = max(-start - count, 0)
    end, moved = _back(text, len(text), skipped)
    if moved != skipped:
        return None
    begin, moved = _back(text, end, -start - skipped)
    return (begin, end) if moved == -start - skipped else None


def _forward(text: bytes, at: int, count: int) -> tuple[int, int]:
    """The byte after at most `count` characters from byte `at` on, and how many there were."""
    moved = 0
    while moved < count and at < len(text):
        at += 1
        while at < len(text) and _continues(text[at]):
            at += 1
        moved += 1
    return at, moved


def _back(text: bytes, at: int, count: int) -> tuple[int, int]:
    """The byte where the last `count` characters before byte `at` begin, and how many there were."""
    moved = 0
    while moved < count and at > 0:
        at -= 1
        while at > 0 and _continues(text[at]):
            at -= 1
        moved += 1
    return at, moved


def _continues(byte: int) -> bool:
    """Whether a byte is not the first of a UTF-8 character."""
    return 0x80 <= byte < 0xC0


@lower("AsString", host=True)
def as_string(input, *, precision=-1, scientific=False, shortest=False, width=-1, fill=""):
    """Numbers in the form of C's printf: %f unless `scientific` (%e) or `shortest` (%g); true and false."""
    kind = input.dtype.kind
    if fill and (len(fill) > 1 or fill not in " +-0#"):
        raise InvalidArgumentError(f'Fill argument not supported: "{fill}"')
    if scientific and shortest:
        raise InvalidArgumentError("Cannot select both scientific and shortest notation")
    if kind in "iub" and (scientific or shortest):
        raise InvalidArgumentError(f"scientific and shortest format not supported for datatype {input.dtype}")
    if kind in "iub" and precision >= 0:
        raise InvalidArgumentError(f"precision not supported for datatype {input.dtype}")
    if kind == "b":
        return each(lambda x: b"true" if x else b"false", input)
    if kind == "O":  # which 1.15 does not take yet
        cut, pad = (precision if precision >= 0 else None), ("ljust" if fill == "-" else "rjust")
        return input if width <= 0 else each(lambda x: getattr(as_bytes(x)[:cut], pad)(width), input)
    if kind == "u" and fill in ("+", " "):
        fill = ""  # what has no sign gets none
    form = "%" + fill + (str(width) if width >= 0 else "") + (f".{precision}" if precision >= 0 else "")
    form += "d" if kind in "iu" else "e" if scientific else "g" if shortest else "f"
    if kind in "iu":
        return each(lambda x: (form % int(x)).encode(), input)
    if kind == "c":
        return each(lambda x: f"({_printed(x.real, form)},{_printed(x.imag, form)})".encode(), input)
    return each(lambda x: _printed(x, form).encode(), input)


def _printed(x: float, form: str) -> str:
    """A floating number as C prints it: what is not finite is padded with spaces only, and NaN has a sign."""
    if np.isfinite(x):
        return form % float(x)
    form = re.sub("^%0", "%", form)
    if np.isnan(x) and np.signbit(x):
        return (form % -math.inf).replace("inf", "nan")
    return form % float(x)


#: What the buffer holds in which TensorFlow's numbers are parsed.
_LONGEST_NUMBER = 31
_FLOAT = re.compile(rb"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|inf|nan)", re.IGNORECASE)
_HEX_FLOAT = re.compile(rb"[+-]?0[xX][0-9a-fA-F]+")
_INTEGER = {"i": re.compile(rb"-?\d+"), "u": re.compile(rb"\d+")}


@lower("StringToNumber", host=True)
def string_to_number(string_tensor, *, out_type):
    return each(lambda text: parse_number(as_bytes(text), out_type.numpy), string_tensor, dtype=out_type.numpy)


def parse_number(text: bytes, dtype: np.dtype) -> float | int:
    """The number that a string says, white space around it allowed; nothing but white space is 0.0."""
    trimmed = text.strip(_SPACES)
    if dtype.kind == "f":
        if len(text) > _LONGEST_NUMBER:
            pass
        elif _FLOAT.fullmatch(trimmed):
            return _rounded(trimmed, dtype)
        elif _HEX_FLOAT.fullmatch(trimmed):
            return float(int(trimmed, 16))
        elif text and not trimmed:
            return 0.0
    elif _INTEGER[dtype.kind].fullmatch(trimmed):
        number, limits = int(trimmed), np.iinfo(dtype)
        if limits.min <= number <= limits.max:
            return number
    shown = text.decode(errors="backslashreplace")
    raise InvalidArgumentError(f"StringToNumberOp could not correctly convert string: {shown}")


def _rounded(number: bytes, dtype: np.dtype) -> float:
    """The number, rounded once."""
    wide = float(number)
    if dtype != np.float32 or not math.isfinite(wide):
        return wide
    with np.errstate(over="ignore"):
        near = np.float32(wide)
    nearest = float(near)
    if nearest == wide or not math.isfinite(nearest):
        return nearest
    other = np.nextafter(near, np.float32(math.copysign(math.inf, wide - nearest)))
    if nearest + float(other) != 2 * wide:
        return nearest
    # Halfway between two numbers of 32 bits stands what 64 bits have rounded already.
    exact = fractions.Fraction(number.decode())
    return float(min((near, other), key=lambda x: (abs(fractions.Fraction(float(x)) - exact), x != near)))


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
        body = as_bytes(text)
        if len(body) % 4 == 0:
            # Elsewhere "=" is no filler.
            body = body[:-4] + re.sub(b"==?$", b"", body[-4:])
        if re.search(rb"[^A-Za-z0-9_-]", body):
            raise InvalidArgumentError("Invalid character found in base64.")
        if len(body) % 4 == 1:
            raise InvalidArgumentError("Base64 string length cannot be 1 modulo 4.")
        return base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))

    return each(decode, input)


@lower("ReduceJoin", host=True)
def reduce_join(inputs, reduction_indices, *, keep_dims=False, separator=""):
    """Joins along the given axes, the first of them running fastest."""
    rank = inputs.ndim
    axes = [int(axis) for axis in np.ravel(reduction_indices)]
    for axis in axes:
        if not -rank <= axis < rank:
            raise OutOfRangeError(f"Invalid reduction dimension {axis} for input with {rank} dimension(s)")
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
    count = int(num_segments)
    if segment_ids.ndim == 0:
        raise InvalidArgumentError("Segment_id cannot have rank 0")
    if segment_ids.ndim > inputs.ndim:
        raise OutOfRangeError(f"Invalid segment_id rank {segment_ids.ndim} for input with {inputs.ndim} dimension(s)")
    if inputs.shape[: segment_ids.ndim] != segment_ids.shape:
        raise InvalidArgumentError(
            f"Segment dimensions are {describe(segment_ids.shape)}, the input has {describe(inputs.shape)}"
        )
    if np.any((segment_ids < 0) | (segment_ids >= count)):
        raise InvalidArgumentError("segment_ids are not allowed to exceed num_segments or to have negative values.")
    between, inner = as_bytes(separator), inputs.shape[segment_ids.ndim :]
    joined = np.full((count, int(np.prod(inner))), b"", object)
    for row, segment in zip(inputs.reshape(segment_ids.size, joined.shape[1]), segment_ids.ravel(), strict=True):
        for column, text in enumerate(row):
            # What is empty so far gets no separator: tensorflow/core/kernels/unsorted_segment_join_op.cc.
            before = joined[segment, column]
            joined[segment, column] = (before and before + between) + as_bytes(text)
    return joined.reshape(count, *inner)


@lower("StringNGrams", host=True)
def string_n_grams(
    data, data_splits, *, separator, ngram_widths, left_pad, right_pad, pad_width, preserve_short_sequences
):
    """Joins of each `ngram_widths` neighbours of every row, rows padded at both ends; the n-grams and their row splits."""
    _check_splits(data_splits, len(data))
    if not len(data) or not len(data_splits):
        return strings([]), np.zeros_like(data_splits)
    if preserve_short_sequences and pad_width < 0 and not ngram_widths:
        raise InvalidArgumentError(
            "Pad width should be >= 0 when preserve_short_sequences is True and ngram_widths are not provided, "
            f"got {pad_width}"
        )
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


def _check_splits(splits: np.ndarray, size: int) -> None:
    if len(splits) and splits[0] != 0:
        raise InvalidArgumentError(f"First split value must be 0, got {splits[0]}")
    for before, split in itertools.pairwise(splits):
        if not before <= split <= size:
            raise InvalidArgumentError(f"Invalid split value {split}, must be in [{before}, {size}]")
    if len(splits) and splits[-1] != size:
        raise InvalidArgumentError(f"Last split value must be data size. Expected {size}, got {splits[-1]}")


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


def summary(array: np.ndarray, summarize: int) -> str:
    """A tensor as TensorFlow's `SummarizeValue` prints it: nested brackets, the middle of long axes left out."""
    if (marks := hidden_summary(array, summarize)) is not None:
        return f"[{marks}]"
    array = np.asarray(array)
    count = array.size if summarize < 0 else min(summarize, array.size)
    if array.ndim == 0:
        return _shown(array[()]) if count else "..."
    return _nested(array, count, 1)


def _nested(array: np.ndarray, count: int, depth: int) -> str:
    """The first and the last `count` elements of each axis; rows of a matrix, and what contains them, on lines of their own."""
    space = " " if array.ndim == 1 else "\n" * (array.ndim - 1) + " " * depth

    def shown(rows) -> list[str]:
        return [_shown(x) if array.ndim == 1 else _nested(x, count, depth + 1) for x in rows]

    items = shown(array[:count])
    if len(array) > 2 * count:
        items += ["..."] if items else [space + "..."]
    items += shown(array[max(count, len(array) - count) :])
    return "[" + space.join(items) + "]"


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


@lower("ObtainNext", updates=("counter",), host=True)
def obtain_next(list, counter):
    """Moves the counter on, from the end of the list to its beginning, and gives the element there."""
    if not list.size:
        raise InvalidArgumentError("ObtainNext has no elements to choose from")
    place = (int(counter) + 1) % list.size
    return np.array(place, np.int64), strings([as_bytes(list.ravel()[place])], ())
