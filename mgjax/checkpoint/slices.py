"""Slices of tensors: how they are written in save and restore ops, in tables, and how pieces make up a region.

A slice is a tuple of (start, length), one a dimension; length -1 stands for the whole dimension (and start is then 0).
In text it is `0,50:-`; a save or restore op names a piece of a larger tensor by that tensor's sizes and the slice:
`100 3 0,50:-`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

Slice = tuple[tuple[int, int], ...]
Bounds = tuple[tuple[int, int], ...]  # (start, stop) a dimension, both known
WHOLE = -1


def whole_slice(rank: int) -> Slice:
    """The slice that is all of a tensor."""
    return ((0, WHOLE),) * rank


def parse_slice(text: str) -> Slice:
    """The slice written as `0,50:-`. Raises `ValueError` where it is not one."""
    extents = []
    for part in text.split(":") if text else ():
        if part == "-":
            extents.append((0, WHOLE))
            continue
        start, _, length = part.partition(",")
        if not (_is_number(start) and _is_number(length)):
            raise ValueError(f"{text!r} is not a slice: '-' or 'start,length' for each dimension, joined by ':'")
        extents.append((int(start), int(length)))
    return tuple(extents)


def format_slice(extents: Slice) -> str:
    """The slice as text, `0,50:-`."""
    return ":".join("-" if length == WHOLE else f"{start},{length}" for start, length in extents)


def parse_shape_and_slice(text: str) -> tuple[tuple[int, ...], Slice] | None:
    """The full shape and the slice written as `100 3 0,50:-`; None for the empty text, which stands for a whole tensor.

    Raises `ValueError` where the text is of another form, or the slice does not lie in the shape.
    """
    if not text:
        return None
    *sizes, last = text.split(" ")
    if not all(map(_is_number, sizes)):
        raise ValueError(f"{text!r} is not a shape and a slice, such as '100 3 0,50:-'")
    shape = tuple(map(int, sizes))
    extents = parse_slice(last)
    bounds_of(extents, shape)
    return shape, extents


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def bounds_of(extents: Slice, shape: Sequence[int]) -> Bounds:
    """Where the slice starts and stops in a tensor of `shape`. Raises `ValueError` where it does not lie in it."""
    if len(extents) != len(shape):
        raise ValueError(
            f"slice {format_slice(extents)!r} has {len(extents)} dimensions, the tensor {len(shape)}: {list(shape)}"
        )
    bounds = []
    for (start, length), size in zip(extents, shape, strict=True):
        stop = size if length == WHOLE else start + length
        if not 0 <= start <= stop <= size or (length == WHOLE and start):
            raise ValueError(f"slice {format_slice(extents)!r} does not lie in shape {list(shape)}")
        bounds.append((start, stop))
    return tuple(bounds)


def region_bounds(region: str | slice | Sequence[slice | tuple[int, int]], shape: Sequence[int]) -> Bounds:
    """Bounds of a region that a caller gives: text, (start, length) pairs, or Python slices of step 1.

    Of Python slices there may be fewer than dimensions, or a single one, as in NumPy.

    Raises `ValueError` where it does not lie in `shape`.
    """
    if isinstance(region, str):
        return bounds_of(parse_slice(region), shape)
    if isinstance(region, slice):
        region = (region,)
    if not any(isinstance(part, slice) for part in region):
        return bounds_of(tuple(region), shape)  # type: ignore[arg-type]
    if len(region) > len(shape):
        raise ValueError(f"a region of {len(region)} dimensions in shape {list(shape)}")
    bounds = [(0, size) for size in shape]
    for axis, part in enumerate(region):
        if not isinstance(part, slice) or part.step not in (None, 1):
            raise ValueError(f"dimension {axis} of a region is {part!r}; it must be a slice of step 1")
        start, stop, _ = part.indices(shape[axis])
        bounds[axis] = (start, max(start, stop))
    return tuple(bounds)


def sizes_of(bounds: Bounds) -> tuple[int, ...]:
    """The shape of what lies within the bounds."""
    return tuple(stop - start for start, stop in bounds)


def intersection(a: Bounds, b: Bounds) -> Bounds | None:
    """What lies within both; None where no element does."""
    common = tuple((max(p[0], q[0]), min(p[1], q[1])) for p, q in zip(a, b, strict=True))
    return common if all(start < stop for start, stop in common) else None


def index_within(inner: Bounds, outer: Bounds) -> tuple[slice, ...]:
    """Where `inner` is in an array that holds `outer`."""
    return tuple(slice(p[0] - q[0], p[1] - q[0]) for p, q in zip(inner, outer, strict=True))


def covers(parts: Sequence[Bounds], region: Bounds) -> bool:
    """Whether every element of `region` lies in one of `parts`, all of which lie in `region`."""
    volume = math.prod(sizes_of(region))
    if volume == 0:
        return True
    if sum(math.prod(sizes_of(part)) for part in parts) < volume:
        return False
    for axis, (start, stop) in enumerate(region):
        # The usual case: cut along one dimension.
        if all(part[:axis] == region[:axis] and part[axis + 1 :] == region[axis + 1 :] for part in parts):
            for part_start, part_stop in sorted(part[axis] for part in parts):
                if part_start > start:
                    return False
                start = max(start, part_stop)
            return start >= stop
    seen = np.zeros(sizes_of(region), np.bool_)
    for part in parts:
        seen[index_within(part, region)] = True
    return bool(seen.all())


def encode_key(name: str, extents: Slice) -> bytes:
    """The key of a slice in a table. Such keys begin with a zero byte, and sort by name, then by position."""
    escaped = re.sub(rb"[\x00\xff]", lambda found: _ESCAPES[found[0]], encode_name(name))
    rank = len(extents)
    size = (rank.bit_length() + 7) // 8
    numbers = b"".join(_encode_signed(number) for extent in extents for number in extent)
    return b"\0" + escaped + b"\0\1" + bytes([size]) + rank.to_bytes(size, "big") + numbers


def encode_name(name: str) -> bytes:
    """A name as the bytes of a key; `decode_name` gives it back."""
    return name.encode("utf-8", "surrogateescape")


def decode_name(key: bytes) -> str:
    """The name that a key holds. TensorFlow does not ask for UTF-8: other bytes become lone surrogates."""
    return key.decode("utf-8", "surrogateescape")


_ESCAPES = {b"\0": b"\0\xff", b"\xff": b"\xff\0"}


def _encode_signed(value: int) -> bytes:
    """Two's complement in the fewest bytes that leave room for a mark of as many bits; sorts as the values do."""
    size = ((value if value >= 0 else ~value).bit_length() + 7) // 7
    header = (1 << size) - 1 << 7 * size
    return (value & (1 << 8 * size) - 1 ^ header).to_bytes(size, "big")
