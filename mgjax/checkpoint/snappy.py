"""Decompression of raw snappy, the optional compression of a table's blocks.

A varint gives the length of the result; elements follow, told apart by the two low bits of a tag byte: a literal, or a
copy of what was produced up to 2^32 - 1 bytes ago, which may run over into its own output.
"""

from __future__ import annotations

_MOST_FROM_ONE_BYTE = 32  # a copy makes at most 64 bytes of two and more


def decompress(data: bytes) -> bytes:
    """The bytes of which `data` is the compressed form. Raises `ValueError` where it is not one."""
    length, position = _length(data)
    if length > _MOST_FROM_ONE_BYTE * len(data):
        raise ValueError(f"{len(data)} compressed bytes cannot hold the {length} that they announce")
    result = bytearray()
    while position < len(data):
        tag = data[position]
        position += 1
        kind = tag & 3
        if kind == 0:
            size = tag >> 2
            if size >= 60:
                extra = size - 59
                size = int.from_bytes(_take(data, position, extra), "little")
                position += extra
            size += 1
            result += _take(data, position, size)
            position += size
        else:
            if kind == 1:
                size = 4 + (tag >> 2 & 7)
                offset = (tag >> 5) << 8 | _take(data, position, 1)[0]
                position += 1
            else:
                width = 2 if kind == 2 else 4
                size = 1 + (tag >> 2)
                offset = int.from_bytes(_take(data, position, width), "little")
                position += width
            if not 0 < offset <= len(result):
                raise ValueError(f"a copy from {offset} bytes back, where {len(result)} bytes have been produced")
            start = len(result) - offset
            piece = result[start : start + size]
            result += (piece * (size // len(piece) + 1))[:size]
        if len(result) > length:
            break
    if len(result) != length:
        raise ValueError(f"{len(result)} or more bytes where {length} are announced")
    return bytes(result)


def _take(data: bytes, position: int, size: int) -> bytes:
    taken = data[position : position + size]
    if len(taken) < size:
        raise ValueError(f"compressed bytes end within an element, at {len(data)}")
    return taken


def _length(data: bytes) -> tuple[int, int]:
    value = 0
    for position, byte in enumerate(data[:5]):
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, position + 1
    raise ValueError("no length at the start of the compressed bytes")
