"""CRC-32C (Castagnoli) at memory speed, with nothing but NumPy.

A CRC is the remainder of the message, read as a polynomial over GF(2), modulo P of degree 32. Two facts make that fast:

- P divides x^6777 + x^484 + x^100 + 1, hence also (squaring keeps the form) the same polynomial in x^8, x^16, ... x^128.
  So modulo P every byte may be moved to three places further on in the message and disappear: three XORs of whole arrays
  replace the message by its last few kilobytes (`_fold`).
- The remainder is linear, so that of 64 bytes is the XOR of 64 table entries; sixteen such remainders are again 64 bytes,
  combined by a table that knows their distance (`_remainders`).

The bytes of a message come in the order of falling powers; the initial value and the running state are XORed into its
first four bytes. The package `google-crc32c` does the same with the processor's own instruction, three times as fast; what
is here takes its place where there is no build of it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np


def _find_native() -> Callable[[int, np.ndarray], int] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its own form in Python, which is not wanted here
        try:
            import google_crc32c
        except ImportError:
            return None
    return google_crc32c.extend if google_crc32c.implementation == "c" else None


_extend_native = _find_native()

Bytes = bytes | bytearray | memoryview | np.ndarray

_POLYNOMIAL = 0x82F63B78  # bit-reflected: the highest bit is the coefficient of x^0
_ALL_ONES = 0xFFFFFFFF
# The sparse multiple of P: x^_DEGREE + x^_MIDDLE + x^_LOW + 1, the one below degree 8000 that folds most bytes at a time.
_DEGREE, _MIDDLE, _LOW = 6777, 484, 100
_SCALAR_LIMIT = 32  # up to here a Python loop is faster than NumPy's calls
_FOLD_LIMIT = 2 * _DEGREE  # from here on folding is faster than the tables
_BLOCK = 64  # bytes that one level of the tables takes together
_BATCH = 1 << 18  # bytes of rows that are taken together
_PARALLEL_LIMIT = 1 << 25  # bytes from which one message is worth several threads


def crc32c(data: Bytes, crc: int = 0) -> int:
    """The CRC-32C of `data`, or of what had the checksum `crc` followed by `data`."""
    message = _as_bytes(data)
    if _extend_native is not None:
        return _extend_native(crc, message)
    size = len(message)
    if size <= _SCALAR_LIMIT:
        return _scalar(message.tobytes(), crc)
    if size >= _PARALLEL_LIMIT:
        return _parallel(message, crc)
    return _vector(message, crc)


def crc32c_of_each(messages: Iterable[Bytes]) -> list[int]:
    """The CRC-32C of each message. Small ones, and what is left of large ones, are taken together.

    A message is asked for when the one before it is no longer needed.
    """
    if _extend_native is not None:
        return [_extend_native(0, _as_bytes(message)) for message in messages]
    results: list[int] = []
    # Positions in `results` and rows, by the width that the rows will have and whether they have been folded.
    waiting: dict[tuple[int, bool], tuple[list[int], list[bytes]]] = {}
    for position, message in enumerate(messages):
        results.append(0)
        size = message.nbytes if isinstance(message, (np.ndarray, memoryview)) else len(message)
        if size < 4:
            results[position] = _scalar(bytes(message), 0)
            continue
        is_folded = size > _FOLD_LIMIT
        if is_folded:
            row = _fold(_as_bytes(message)[None], _ALL_ONES).tobytes()
            width = len(row)
        else:
            row = bytes(message)
            width = _BLOCK << (-(-size // _BLOCK) - 1).bit_length()  # few widths, so that many are taken together
        positions, rows = waiting.setdefault((width, is_folded), ([], []))
        positions.append(position)
        rows.append(row)
        if len(rows) * width >= _BATCH:
            for position, crc in zip(positions, _of_rows(rows, width, is_folded), strict=True):
                results[position] = crc
            del waiting[width, is_folded]
    for (width, is_folded), (positions, rows) in waiting.items():
        for position, crc in zip(positions, _of_rows(rows, width, is_folded), strict=True):
            results[position] = crc
    return results


def crc32c_of_concatenation(crcs: Sequence[int], sizes: Sequence[int]) -> int:
    """The CRC-32C of messages put one after the other, from that of each and its size."""
    if len(crcs) == 1:
        return crcs[0]
    parts = np.array(crcs, np.uint32)
    # How far each part's remainder is moved, taken bit by bit: by a byte, two bytes, four, ...
    following = np.array(sizes[1:], np.int64)[::-1].cumsum()[::-1]
    for exponent in range(int(following[0]).bit_length()):
        chosen = np.flatnonzero(following >> exponent & 1)
        parts[chosen] = _moved(_byte_shift(exponent), parts[chosen])
    return int(np.bitwise_xor.reduce(parts))


def mask(crc: int) -> int:
    """The form in which a checksum is stored, so that a checksum of checksums stays strong."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & _ALL_ONES


def unmask(masked: int) -> int:
    """The checksum of which `masked` is the stored form."""
    rotated = (masked - 0xA282EAD8) & _ALL_ONES
    return (rotated >> 17 | rotated << 15) & _ALL_ONES


def masked_crc32c(data: Bytes) -> int:
    """The stored form of the checksum of `data`."""
    return mask(crc32c(data))


def _as_bytes(data: Bytes) -> np.ndarray:
    if isinstance(data, np.ndarray):
        return data.reshape(-1).view(np.uint8)
    return np.frombuffer(data, np.uint8)


def _parallel(message: np.ndarray, crc: int) -> int:
    """One long message, a part a thread. NumPy lets go of the interpreter while it XORs."""
    parts = np.array_split(message, os.cpu_count() or 1)
    with ThreadPoolExecutor(len(parts)) as pool:
        crcs = list(pool.map(_vector, parts, [crc] + [0] * (len(parts) - 1)))
    result = crcs[0]
    for part, part_crc in zip(parts[1:], crcs[1:], strict=True):
        result = _multiply(result, _power_of_x(8 * len(part))) ^ part_crc
    return result


def _vector(message: np.ndarray, crc: int) -> int:
    """One message of at least four bytes."""
    if len(message) > _FOLD_LIMIT:
        return _finish(_fold(message[None], crc ^ _ALL_ONES))[0]
    width = -(-len(message) // _BLOCK) * _BLOCK
    row = np.zeros((1, width), np.uint8)
    start = width - len(message)
    row[0, start:] = message
    row[0, start : start + 4] ^= _state_bytes(crc ^ _ALL_ONES)
    return _finish(row)[0]


def _of_rows(messages: list[bytes], width: int, is_folded: bool) -> list[int]:
    """Messages of 4 to `width` bytes, each in the end of a row: leading zeros leave a remainder as it is."""
    joined = bytearray().join([message.rjust(width, b"\0") for message in messages])
    rows = np.frombuffer(joined, np.uint8).reshape(-1, width)
    if not is_folded:
        starts = width - np.array([len(message) for message in messages])
        rows[np.arange(len(messages))[:, None], starts[:, None] + np.arange(4)] ^= 0xFF
    return _finish(rows)


def _finish(rows: np.ndarray) -> list[int]:
    """The checksums of messages whose state has been taken in, uint8 [messages, bytes]."""
    while rows.shape[1] > _FOLD_LIMIT:
        rows = _fold(rows, 0)
    padding = -rows.shape[1] % _BLOCK
    if padding:
        rows = np.concatenate([np.zeros((len(rows), padding), np.uint8), rows], axis=1)
    return (_remainders(rows) ^ np.uint32(_ALL_ONES)).tolist()


def _state_bytes(state: int) -> np.ndarray:
    return np.frombuffer(state.to_bytes(4, "little"), np.uint8)


def _fold(messages: np.ndarray, state: int) -> np.ndarray:
    """Shorter messages with the same remainders, `state` taken in: `_DEGREE` times a power of two bytes of each.

    In units of `unit` bytes: where a byte goes is where others came from, so a folded byte is the message's own and those
    folded `near`, `far` and `whole` bytes before it. `near` of them can be had at once, as none of these depends on another.

    Args:
        messages: one a row, uint8 [messages, bytes].
        state: the register that they begin with.
    """
    count, length = messages.shape
    # A large unit leaves much to a second fold, a small one makes many calls.
    unit = next((unit for unit in (16, 8, 4, 2) if length > 4 * _DEGREE * unit), 1)
    near, far, whole = (_DEGREE - _MIDDLE) * unit, (_DEGREE - _LOW) * unit, _DEGREE * unit
    body = length - whole
    # Of what is folded only the last `whole` bytes stay; the buffer is small enough for a second-level cache.
    folded = np.empty((count, whole + min(body, 8 * near)), np.uint8)
    folded[:, :whole] = 0
    start, at = 0, whole
    xor = np.bitwise_xor
    while start < body:
        if at == folded.shape[1]:
            folded[:, :whole] = folded[:, at - whole :].copy()
            at = whole
        size = min(near, body - start, folded.shape[1] - at)
        out = folded[:, at : at + size]
        xor(messages[:, start : start + size], folded[:, at - near : at - near + size], out=out)
        if start == 0:
            out[:, :4] ^= _state_bytes(state)
        xor(out, folded[:, at - far : at - far + size], out=out)
        xor(out, folded[:, at - whole : at - whole + size], out=out)
        start += size
        at += size
    rest = messages[:, body:].copy()
    last = folded[:, at - whole : at]
    for distance in (near, far, whole):
        xor(rest[:, :distance], last[:, whole - distance :], out=rest[:, :distance])
    return rest


def _remainders(rows: np.ndarray) -> np.ndarray:
    """The remainder of each row of `rows`, uint8 [messages, multiple of 64], as uint32 [messages]."""
    count = len(rows)
    level = 0
    while True:
        table, offsets = _table(level)
        entries = table.take(rows.reshape(-1, _BLOCK) + offsets)
        remainders = np.bitwise_xor.reduce(entries, axis=1).reshape(count, -1)
        width = remainders.shape[1]
        if width == 1:
            return remainders[:, 0]
        padded = -(-width // 16) * 16
        if padded != width:
            wider = np.zeros((count, padded), np.uint32)
            wider[:, padded - width :] = remainders
            remainders = wider
        rows = remainders.view(np.uint8)
        level += 1


@cache
def _byte_table() -> np.ndarray:
    """The remainder of each single byte, uint32 [256]."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = table >> np.uint32(1) ^ (table & np.uint32(1)) * np.uint32(_POLYNOMIAL)
    return table


@cache
def _byte_list() -> list[int]:
    return _byte_table().tolist()


@cache
def _table(level: int) -> tuple[np.ndarray, np.ndarray]:
    """What byte b at position p of a block adds to its remainder, at index 256 p + b; and the offsets 256 p.

    At level 0 a block is 64 bytes of the message; at level n it is the remainders of 16 blocks of level n - 1.
    """
    table = np.empty((_BLOCK, 256), np.uint32)
    if level == 0:
        single = _byte_table()
        table[-1] = single
        for position in range(_BLOCK - 2, -1, -1):
            nearer = table[position + 1]
            table[position] = (nearer >> 8) ^ single[nearer & 0xFF]
    else:
        table[-4:] = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
        for position in range(_BLOCK - 8, -1, -4):
            table[position : position + 4] = _moved(_shift(level - 1), table[position + 4 : position + 8])
    return table.reshape(-1), np.arange(0, _BLOCK * 256, 256, dtype=np.intp)


@cache
def _shift(level: int) -> np.ndarray:
    """What each byte of a remainder becomes when a block of `level` follows, uint32 [4, 256]."""
    first = _table(level)[0].reshape(_BLOCK, 256)[:4]
    return first if level == 0 else _moved(_shift(level - 1), first)


@cache
def _byte_shift(exponent: int) -> np.ndarray:
    """What each byte of a remainder becomes when 2^exponent bytes follow, uint32 [4, 256]."""
    if exponent == 0:
        table = np.arange(256, dtype=np.uint32) << np.arange(0, 32, 8, dtype=np.uint32)[:, None]
        return table >> np.uint32(8) ^ _byte_table()[table & np.uint32(0xFF)]
    half = _byte_shift(exponent - 1)
    return _moved(half, half)


def _moved(shift: np.ndarray, remainders: np.ndarray) -> np.ndarray:
    return np.bitwise_xor.reduce([shift[i][remainders >> (8 * i) & 0xFF] for i in range(4)])


def _multiply(a: int, b: int) -> int:
    """The product of two remainders modulo P."""
    product = 0
    while b:
        if b & 0x80000000:
            product ^= a
        b = b << 1 & _ALL_ONES
        a = a >> 1 ^ (_POLYNOMIAL if a & 1 else 0)
    return product


def _power_of_x(exponent: int) -> int:
    """x to `exponent` modulo P."""
    result, square = 0x80000000, 0x40000000
    while exponent:
        if exponent & 1:
            result = _multiply(result, square)
        square = _multiply(square, square)
        exponent >>= 1
    return result


def _scalar(message: bytes, crc: int) -> int:
    table = _byte_list()
    state = crc ^ _ALL_ONES
    for byte in message:
        state = state >> 8 ^ table[(state ^ byte) & 0xFF]
    return state ^ _ALL_ONES
