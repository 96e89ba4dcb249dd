"""Sorted tables: the container of a V2 checkpoint's index and of whole V1 checkpoints.

    data block* | metaindex block | index block | footer

A block is followed by one byte of type (0 raw, 1 snappy) and the masked CRC-32C of both. In a block, keys ascend
bytewise and share prefixes with their predecessor:

    (varint shared | varint unshared | varint value size | key from `shared` on | value)*
    fixed32 restart* | fixed32 number of restarts

A restart is the offset of an entry that shares nothing. The index block has an entry for each data block: a key not
below the block's last and below the next block's first, and the block's handle (varint offset, varint size). The footer
is the handles of the metaindex (an empty block) and of the index, padded to 40 bytes, and a magic number.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator
from typing import BinaryIO

from mgjax.checkpoint.checksum import crc32c, mask
from mgjax.checkpoint.files import Source
from mgjax.checkpoint.snappy import decompress
from mgjax.checkpoint.wire import decode_varint, encode_varint
from mgjax.errors import ReadError

MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER_SIZE = 48
_TRAILER_SIZE = 5
_RESTART_INTERVAL = 16
_BLOCK_SIZE = 262144  # TensorFlow ends a block when its estimated size reaches this


class Table:
    """A table file, open for reading.

    Raises `ReadError`, here and from its methods, where the bytes are not those of an undamaged table.
    """

    def __init__(self, source: Source):
        self._source = source
        if source.size < _FOOTER_SIZE:
            raise ReadError(
                f"{source}: {source.size} bytes are too few for a table, which ends in a footer of {_FOOTER_SIZE}"
            )
        footer = source.read(source.size - _FOOTER_SIZE, _FOOTER_SIZE)
        if footer[-8:] != MAGIC:
            raise ReadError(
                f"{source}: not a table (its last 8 bytes are {footer[-8:].hex()}, not {MAGIC.hex()}): "
                "neither the .index of a V2 checkpoint nor a V1 checkpoint, or a truncated one"
            )
        where = f"{source}, footer"
        metaindex, position = _handle(footer, 0, where)
        index, _ = _handle(footer, position, where)
        self._block(metaindex)  # it says nothing, but damage anywhere is to be found
        self._index_keys: list[bytes] = []
        self._handles: list[tuple[int, int]] = []
        end = 0
        for key, value in self._block(index):
            handle, _ = _handle(value, 0, f"{source}, index block")
            if handle[0] < end:
                raise ReadError(f"{source}: data blocks at {handle[0]} and {end} overlap or are out of order")
            end = handle[0] + handle[1] + _TRAILER_SIZE
            self._index_keys.append(key)
            self._handles.append(handle)
        self._last_block: tuple[int, list[tuple[bytes, bytes]]] = (-1, [])

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries, in the order of their keys."""
        last = None
        for handle in self._handles:
            entries = self._block(handle)
            if entries:
                if last is not None and entries[0][0] <= last:
                    raise ReadError(
                        f"{self._source}: the data block at {handle[0]} does not begin after its predecessor's last key"
                    )
                last = entries[-1][0]
            yield from entries

    def find(self, key: bytes) -> bytes | None:
        """The value of `key`, reading only the block that it would be in."""
        number = bisect_left(self._index_keys, key)
        if number == len(self._handles):
            return None
        last = self._last_block
        if last[0] != number:
            # Set as a whole: threads may share a table.
            last = self._last_block = (number, self._block(self._handles[number]))
        entries = last[1]
        position = bisect_left(entries, (key,))
        return entries[position][1] if position < len(entries) and entries[position][0] == key else None

    def _block(self, handle: tuple[int, int]) -> list[tuple[bytes, bytes]]:
        offset, size = handle
        where = f"{self._source}, block of {size} bytes at {offset}"
        if offset + size + _TRAILER_SIZE > self._source.size - _FOOTER_SIZE:
            raise ReadError(f"{where}: reaches beyond the {self._source.size} bytes of the file")
        stored = self._source.read(offset, size + _TRAILER_SIZE)
        (checksum,) = struct.unpack_from("<I", stored, size + 1)
        found = mask(crc32c(memoryview(stored)[: size + 1]))
        if found != checksum:
            raise ReadError(
                f"{where}: block checksum mismatch: stored {checksum:#010x}, computed {found:#010x}; the file is damaged"
            )
        contents = stored[:size]
        if stored[size] == 1:
            try:
                contents = decompress(contents)
            except ValueError as error:
                raise ReadError(f"{where}: {error}") from error
        elif stored[size] != 0:
            raise ReadError(f"{where}: compression type {stored[size]} is not known (0 is none, 1 is snappy)")
        return _entries(contents, where)


def is_table(source: Source) -> bool:
    """Whether the file ends as a table does."""
    return source.size >= _FOOTER_SIZE and source.read(source.size - 8, 8) == MAGIC


def _entries(contents: bytes, where: str) -> list[tuple[bytes, bytes]]:
    restarts = int.from_bytes(contents[-4:], "little") if len(contents) >= 4 else -1
    limit = len(contents) - 4 - 4 * restarts
    if restarts < 0 or limit < 0:
        raise ReadError(f"{where}: no room for its restart points")
    entries: list[tuple[bytes, bytes]] = []
    key = b""
    position = 0
    while position < limit:
        shared, unshared, size = contents[position : position + 3] if position + 3 <= limit else (128, 0, 0)
        if shared < 128 and unshared < 128 and size < 128:
            position += 3
        else:
            try:
                shared, position = decode_varint(contents, position)
                unshared, position = decode_varint(contents, position)
                size, position = decode_varint(contents, position)
            except ReadError as error:
                raise ReadError(f"{where}: {error}") from error
        value_start = position + unshared
        end = value_start + size
        if end > limit or shared > len(key):
            raise ReadError(f"{where}: entry {len(entries)} does not fit")
        next_key = key[:shared] + contents[position:value_start]
        if next_key <= key and entries:
            raise ReadError(f"{where}: key {next_key!r} comes after {key!r}")
        key = next_key
        entries.append((key, contents[value_start:end]))
        position = end
    return entries


def _handle(data: bytes, position: int, where: str) -> tuple[tuple[int, int], int]:
    try:
        offset, position = decode_varint(data, position)
        size, position = decode_varint(data, position)
    except ReadError as error:
        raise ReadError(f"{where}: {error}") from error
    return (offset, size), position


class TableWriter:
    """Writes a table to a file, as TensorFlow's builder does, byte for byte. Keys must be added in ascending order."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._offset = 0
        self._block = _BlockBuilder(_RESTART_INTERVAL)
        self._index = _BlockBuilder(1)
        self._last_key = b""
        # The handle of a finished block. Its key in the index depends on the next block's first key.
        self._pending: bytes | None = None

    def add(self, key: bytes, value: bytes) -> None:
        if self._pending is not None:
            self._index.add(_separator(self._last_key, key), self._pending)
            self._pending = None
        self._block.add(key, value)
        self._last_key = key
        if self._block.size >= _BLOCK_SIZE:
            self._end_block()

    def finish(self) -> None:
        """Writes what is left: the last block, the metaindex, the index and the footer."""
        if not self._block.is_empty:
            self._end_block()
        metaindex = self._write_block(_BlockBuilder(_RESTART_INTERVAL).finish())
        if self._pending is not None:
            self._index.add(_successor(self._last_key), self._pending)
        index = self._write_block(self._index.finish())
        self._file.write((metaindex + index).ljust(_FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC)

    def _end_block(self) -> None:
        self._pending = self._write_block(self._block.finish())
        self._block = _BlockBuilder(_RESTART_INTERVAL)

    def _write_block(self, contents: bytes) -> bytes:
        typed = contents + b"\0"
        self._file.write(typed + struct.pack("<I", mask(crc32c(typed))))
        handle = encode_varint(self._offset) + encode_varint(len(contents))
        self._offset += len(contents) + _TRAILER_SIZE
        return handle


class _BlockBuilder:
    def __init__(self, interval: int):
        self._interval = interval
        self._data = bytearray()
        self._restarts = [0]
        self._since_restart = 0
        self._last_key = b""

    @property
    def is_empty(self) -> bool:
        return not self._data

    @property
    def size(self) -> int:
        return len(self._data) + 4 * len(self._restarts) + 4

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._since_restart < self._interval:
            shared = _common_prefix(self._last_key, key)
        else:
            self._restarts.append(len(self._data))
            self._since_restart = 0
        unshared = len(key) - shared
        if shared < 128 and unshared < 128 and len(value) < 128:
            self._data += bytes((shared, unshared, len(value)))
        else:
            self._data += encode_varint(shared) + encode_varint(unshared) + encode_varint(len(value))
        self._data += key[shared:]
        self._data += value
        self._last_key = key
        self._since_restart += 1

    def finish(self) -> bytes:
        return bytes(self._data) + struct.pack(f"<{len(self._restarts) + 1}I", *self._restarts, len(self._restarts))


def _common_prefix(a: bytes, b: bytes) -> int:
    size = min(len(a), len(b))
    if a[:size] == b[:size]:
        return size
    difference = int.from_bytes(a[:size], "big") ^ int.from_bytes(b[:size], "big")
    return size - (difference.bit_length() + 7) // 8


def _separator(key: bytes, limit: bytes) -> bytes:
    """A short key from `key` on and below `limit`."""
    shared = _common_prefix(key, limit)
    if shared < min(len(key), len(limit)) and key[shared] < 0xFF and key[shared] + 1 < limit[shared]:
        return key[:shared] + bytes([key[shared] + 1])
    return key


def _successor(key: bytes) -> bytes:
    """A short key from `key` on: up to its first byte that can be raised."""
    for position, byte in enumerate(key):
        if byte != 0xFF:
            return key[:position] + bytes([byte + 1])
    return key
