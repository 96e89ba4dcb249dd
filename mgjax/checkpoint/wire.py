"""The wire format of protocol buffers, as far as V1 checkpoints need it: large packed fields as arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mgjax.errors import ReadError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def encode_varint(value: int) -> bytes:
    """A number of up to 64 bits, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_field(number: int, value: bytes) -> bytes:
    """A field that is a message, bytes, or packed numbers."""
    return encode_varint(number << 3 | BYTES) + encode_varint(len(value)) + value


def encode_varints(numbers: np.ndarray) -> bytes:
    """Numbers of up to 64 bits, one after the other."""
    if not len(numbers):
        return b""
    rest = numbers.astype(np.uint64)
    if rest.max() < 0x80:
        return rest.astype(np.uint8).tobytes()
    columns = []
    while rest.any():
        columns.append((rest & np.uint64(0x7F)).astype(np.uint8))
        rest >>= np.uint64(7)
    digits = np.stack(columns, axis=1)
    # A digit is written if it or a higher one is not zero; the lowest always is.
    is_written = np.maximum.accumulate(digits[:, ::-1] != 0, axis=1)[:, ::-1]
    is_written[:, 0] = True
    goes_on = np.zeros_like(is_written)
    goes_on[:, :-1] = is_written[:, 1:]
    return (digits | goes_on.astype(np.uint8) << 7)[is_written].tobytes()


def decode_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """The number at `position` and where it ends. Raises `ReadError` where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise ReadError(f"no number before {position}")


def fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """The fields of a message: number, wire type, and the value (an integer, or the bytes where they lie).

    Raises `ReadError` where the bytes are not a message.
    """
    position = 0
    while position < len(message):
        tag, position = decode_varint(message, position)
        kind = tag & 7
        if kind == VARINT:
            value, position = decode_varint(message, position)
            yield tag >> 3, kind, value
            continue
        if kind == BYTES:
            size, position = decode_varint(message, position)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ReadError(f"wire type {kind} at {position}")
        if size > len(message) - position:
            raise ReadError(f"a field of {size} bytes at {position}, where {len(message) - position} are left")
        yield tag >> 3, kind, message[position : position + size]
        position += size


def packed_fixed(message: memoryview, number: int, dtype: np.dtype) -> np.ndarray:
    """All values of a repeated field of 4-byte or 8-byte numbers, packed or not."""
    kind = FIXED32 if dtype.itemsize == 4 else FIXED64
    parts = [value for found, wire, value in fields(message) if found == number and wire in (BYTES, kind)]
    data = parts[0] if len(parts) == 1 else b"".join(parts)  # type: ignore[arg-type]
    if len(data) % dtype.itemsize:  # type: ignore[arg-type]
        raise ReadError(f"{len(data)} bytes of {dtype} values")  # type: ignore[arg-type]
    return np.frombuffer(data, dtype)  # type: ignore[arg-type]


def packed_varints(message: memoryview, number: int) -> np.ndarray:
    """All values of a repeated field of integers, packed or not, as the 64 bits of each, uint64."""
    parts = []
    for found, wire, value in fields(message):
        if found == number and wire == BYTES:
            parts.append(bytes(value))  # type: ignore[arg-type]
        elif found == number and wire == VARINT:
            parts.append(encode_varint(value))  # type: ignore[arg-type]
    data = np.frombuffer(b"".join(parts), np.uint8)
    if not len(data):
        return np.zeros(0, np.uint64)
    ends = np.flatnonzero(data < 0x80)
    if not len(ends) or ends[-1] != len(data) - 1:
        raise ReadError("a packed number does not end")
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    if sizes.max() > 10:
        raise ReadError("a packed number of more than ten bytes")
    shifts = 7 * (np.arange(len(data)) - np.repeat(starts, sizes))
    return np.add.reduceat((data & 0x7F).astype(np.uint64) << shifts.astype(np.uint64), starts)


def byte_strings(message: memoryview, number: int) -> list[bytes]:
    """All values of a repeated field of byte strings."""
    return [bytes(value) for found, wire, value in fields(message) if found == number and wire == BYTES]  # type: ignore[arg-type]


def submessage(message: memoryview, number: int) -> memoryview:
    """The bytes of a field that is a message; empty where it is absent."""
    parts = [value for found, wire, value in fields(message) if found == number and wire == BYTES]
    return memoryview(b"".join(parts)) if len(parts) > 1 else parts[0] if parts else memoryview(b"")  # type: ignore[arg-type, return-value]
