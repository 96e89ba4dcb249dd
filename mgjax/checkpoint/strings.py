"""String tensors in a bundle.

    varint length * n | fixed32 masked checksum of the lengths | bytes * n

The first checksum is over the lengths as 4-byte numbers (8 bytes where a length needs them), not over the varints. The
entry's checksum goes on from it over the four stored bytes and all the strings.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from mgjax.checkpoint.checksum import crc32c, mask
from mgjax.checkpoint.wire import decode_varint, encode_varint
from mgjax.errors import ReadError


def decode_strings(data: np.ndarray, count: int, *, big_endian: bool = False) -> tuple[list[bytes], int]:
    """The `count` strings that a tensor's bytes hold, and the checksum that its entry should have.

    Raises `ReadError` where the bytes are not such a tensor; the caller adds which.
    """
    if count == 0 and len(data) == 0:
        return [], 0
    if len(data) < count + 4:
        raise ReadError(f"{len(data)} bytes cannot hold {count} strings")
    stored = data.tobytes()
    lengths, position = _decode_lengths(stored, count)
    end_of_lengths = position + 4
    if end_of_lengths + sum(lengths) != len(stored):
        raise ReadError(f"the strings take {end_of_lengths + sum(lengths)} bytes, {len(stored)} are there")
    crc = _crc_of_lengths(lengths, big_endian)
    found = struct.unpack_from(">I" if big_endian else "<I", stored, position)[0]
    if found != mask(crc):
        raise ReadError(f"the length checksum does not match: stored {found:#010x}, computed {mask(crc):#010x}")
    strings = []
    start = end_of_lengths
    for length in lengths:
        strings.append(stored[start : start + length])
        start += length
    return strings, crc32c(memoryview(stored)[position:], crc)


def encode_strings(strings: Sequence[bytes]) -> tuple[bytes, int]:
    """The bytes that hold the strings, and the checksum for their entry."""
    lengths = [len(string) for string in strings]
    crc = _crc_of_lengths(lengths, False)
    tail = struct.pack("<I", mask(crc)) + b"".join(strings)
    return b"".join(map(encode_varint, lengths)) + tail, crc32c(tail, crc)


def _crc_of_lengths(lengths: list[int], big_endian: bool) -> int:
    order = ">" if big_endian else "<"
    if all(length <= 0xFFFFFFFF for length in lengths):
        return crc32c(np.array(lengths, order + "u4"))
    return crc32c(b"".join(struct.pack(order + ("I" if length <= 0xFFFFFFFF else "Q"), length) for length in lengths))


def _decode_lengths(data: bytes, count: int) -> tuple[list[int], int]:
    lengths: list[int] = []
    position = 0
    lengths_end = len(data) - 4
    while len(lengths) < count:
        length, position = decode_varint(data, position)
        if position > lengths_end:
            raise ReadError(f"the length of string {len(lengths)} does not fit")
        lengths.append(length)
    return lengths, position
