"""Protocol buffers by their descriptors: fields as tensors, and tensors as fields.

The descriptors are a FileDescriptorSet in the attr `descriptor_source`, after "bytes://", or in a file that the attr names.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, message_factory, text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from mgjax import dtypes
from mgjax.dtypes import DType
from mgjax.errors import DataLossError, InvalidArgumentError, UnsupportedError
from mgjax.host.context import RunContext
from mgjax.host.strings import as_bytes, strings
from mgjax.host.wire import field_of_bytes, varint
from mgjax.ops import lower
from mgjax.shapes import describe

_VARINT, _EIGHT, _BYTES, _GROUP, _END, _FOUR = range(6)
_INT = (dtypes.int32, dtypes.int64)
_UINT = (dtypes.uint32, dtypes.uint64)
_STRING = (dtypes.string,)


@dataclass(frozen=True)
class _Kind:
    """How a type of field is written.

    Attributes:
        wire: how long it is.
        types: those of the tensors that can hold it.
        form: of a number of fixed length, for `struct`.
        decode: the value of a varint.
        encode: the varint of a value.
    """

    wire: int
    types: tuple[DType, ...]
    form: str = ""
    decode: Callable[[int], Any] = lambda x: x
    encode: Callable[[int], int] = lambda x: x % 2**64


def _signed(bits: int) -> Callable[[int], int]:
    """The number that the low bits are in two's complement."""
    return lambda x: (x + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def _unsigned(bits: int) -> Callable[[int], int]:
    return lambda x: x % 2**bits


def _zigzag(bits: int) -> tuple[Callable[[int], int], Callable[[int], int]]:
    def decode(x: int) -> int:
        x %= 2**bits
        return x >> 1 ^ -(x & 1)

    def encode(x: int) -> int:
        x = _signed(bits)(x)
        return (x << 1 ^ x >> (bits - 1)) % 2**bits

    return decode, encode


_INT32 = _Kind(_VARINT, _INT, "", _signed(32), lambda x: _signed(32)(x) % 2**64)
_KINDS = {
    FieldDescriptor.TYPE_DOUBLE: _Kind(_EIGHT, (dtypes.float64,), "<d"),
    FieldDescriptor.TYPE_FLOAT: _Kind(_FOUR, (dtypes.float32, dtypes.float64), "<f"),
    FieldDescriptor.TYPE_INT64: _Kind(_VARINT, (dtypes.int64,), "", _signed(64)),
    FieldDescriptor.TYPE_UINT64: _Kind(_VARINT, (dtypes.uint64,)),
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_FIXED64: _Kind(_EIGHT, (dtypes.uint64,), "<Q", encode=_unsigned(64)),
    FieldDescriptor.TYPE_FIXED32: _Kind(_FOUR, _UINT, "<I", encode=_unsigned(32)),
    FieldDescriptor.TYPE_BOOL: _Kind(_VARINT, (dtypes.bool_,), "", bool),
    FieldDescriptor.TYPE_STRING: _Kind(_BYTES, _STRING),
    FieldDescriptor.TYPE_GROUP: _Kind(_GROUP, _STRING),
    FieldDescriptor.TYPE_MESSAGE: _Kind(_BYTES, _STRING),
    FieldDescriptor.TYPE_BYTES: _Kind(_BYTES, _STRING),
    FieldDescriptor.TYPE_UINT32: _Kind(_VARINT, _UINT, "", _unsigned(32), _unsigned(32)),
    FieldDescriptor.TYPE_ENUM: _Kind(_VARINT, (dtypes.int32,), "", _INT32.decode, _INT32.encode),
    FieldDescriptor.TYPE_SFIXED32: _Kind(_FOUR, _INT, "<i", encode=_signed(32)),
    FieldDescriptor.TYPE_SFIXED64: _Kind(_EIGHT, (dtypes.int64,), "<q", encode=_signed(64)),
    FieldDescriptor.TYPE_SINT32: _Kind(_VARINT, _INT, "", *_zigzag(32)),
    FieldDescriptor.TYPE_SINT64: _Kind(_VARINT, (dtypes.int64,), "", *_zigzag(64)),
}


@lower("DecodeProtoV2", context=True, host=True)
def decode_proto_v2(
    bytes,
    *,
    message_type,
    field_names,
    output_types,
    descriptor_source="local://",
    message_format="binary",
    sanitize=False,
    context,
):
    """How often each field is there, int32[..., fields], and of each field its values, [..., most of any message].

    What a message has less than others is filled with the default, and so is one place where no message has any.
    """
    pool = _pool(as_bytes(descriptor_source), context)
    message = _message(pool, message_type)
    if len(field_names) != len(output_types):
        raise InvalidArgumentError("field_names and output_types attributes must have the same length")
    fields = [_field(message, name, pool) for name in field_names]
    for field, dtype in zip(fields, output_types, strict=True):
        if dtype not in _KINDS[field.type].types:
            raise InvalidArgumentError(f"Unexpected output type for {field.full_name}: {dtype}")
    if message_format not in ("binary", "text"):
        raise InvalidArgumentError("format must be one of binary or text")
    if not bytes.size:
        raise InvalidArgumentError("Bufs argument must contain at least one value")
    texts = [as_bytes(text) for text in bytes.ravel()]
    if sanitize or message_format == "text":
        texts = [_rewritten(message, text, message_format == "text", pool) for text in texts]
    rows = [_decoded(text, fields) for text in texts]
    sizes = np.array([[len(values) for values in row] for row in rows], np.int32)
    outputs = []
    for i, (field, dtype) in enumerate(zip(fields, output_types, strict=True)):
        width = max(1, *(len(row[i]) for row in rows))
        values = np.full((len(rows), width), _default(field), dtype.numpy)
        for row, found in zip(values, rows, strict=True):
            row[: len(found[i])] = found[i]
        outputs.append(values.reshape(*bytes.shape, width))
    return sizes.reshape(*bytes.shape, len(fields)), outputs


@lower("EncodeProto", context=True, host=True)
def encode_proto(sizes, values, *, field_names, message_type, descriptor_source="local://", context):
    """Messages [...] of the first `sizes` [..., fields] of the values [..., most] of each field, in order of their numbers."""
    message = _message(_pool(as_bytes(descriptor_source), context), message_type)
    fields = [_field(message, name) for name in field_names]
    if len(fields) != len(values):
        raise InvalidArgumentError("Length of inputs list must match field_names")
    for field, value in zip(fields, values, strict=True):
        dtype = dtypes.from_numpy(value.dtype)
        if dtype not in _KINDS[field.type].types:
            raise InvalidArgumentError(f"Incompatible type for field {field.name}.  Saw dtype: {dtype}")
        if value.ndim < 2:
            raise InvalidArgumentError(
                f"Invalid shape for field {field.name}.  Saw shape {describe(value.shape)} but it should be at least a matrix."
            )
        if value.shape[:-1] != values[0].shape[:-1]:
            raise InvalidArgumentError("Values must match up to the last dimension")
    shape = values[0].shape[:-1]
    if sizes.shape != (*shape, len(fields)):
        raise InvalidArgumentError(
            f"sizes should be batch_size + [len(field_names)].  Saw: {describe(sizes.shape)} "
            f"but expected: {describe((*shape, len(fields)))}"
        )
    counts = sizes.reshape(-1, len(fields))
    for i, value in enumerate(values):
        if np.any(counts[:, i] > value.shape[-1]):
            raise InvalidArgumentError(
                f"Size to write must not be larger than value tensor; but saw: {counts[:, i].max()} > {value.shape[-1]}"
            )
    columns = [value.reshape(len(counts), value.shape[-1]) for value in values]
    order = sorted(range(len(fields)), key=lambda i: fields[i].number)
    rows = [
        b"".join(_encoded(fields[i], columns[i][row][: counts[row, i]]) for i in order if counts[row, i] > 0)
        for row in range(len(counts))
    ]
    return strings(rows, shape)


def _pool(source: bytes, context: RunContext) -> DescriptorPool:
    """The descriptors that the attr gives or names."""
    if source in (b"", b"local://"):
        raise UnsupportedError(
            "descriptor_source 'local://' means the messages that a TensorFlow process was linked with, which are not part of the "
            "graph; only descriptors after 'bytes://' or in a file are known"
        )
    if source.startswith(b"bytes://"):
        return _pool_of(source.removeprefix(b"bytes://"))
    return _pool_of(context.files.read(source.decode(errors="surrogateescape")))


@functools.lru_cache(maxsize=16)
def _pool_of(descriptors: bytes) -> DescriptorPool:
    pool = DescriptorPool()
    try:
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
            pool.AddSerializedFile(file.SerializeToString())
            pool.FindFileByName(file.name)
    except (DecodeError, TypeError, KeyError, ValueError) as error:
        raise InvalidArgumentError(f"descriptor_source contains invalid FileDescriptorSet: {error}") from error
    return pool


def _message(pool: DescriptorPool, name: str) -> Descriptor:
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError:
        raise InvalidArgumentError(f"No descriptor found for message type {name}") from None


def _field(message: Descriptor, name: str, pool: DescriptorPool | None = None) -> FieldDescriptor:
    """A field of a message, or with `pool` an extension by its full name."""
    if name in message.fields_by_name:
        return message.fields_by_name[name]
    for extension in pool.FindAllExtensions(message) if pool is not None else ():
        if extension.full_name == name:
            return extension
    raise InvalidArgumentError(f"Unknown field: {name} in message type {message.full_name}")


def _default(field: FieldDescriptor) -> Any:
    if field.type in (FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP):
        return b""
    if _KINDS[field.type].wire == _BYTES:
        # Which the kernel keeps as a string of C.
        return b"" if field.is_repeated else as_bytes(field.default_value).partition(b"\0")[0]
    return 0 if field.is_repeated else field.default_value


def _rewritten(message: Descriptor, text: bytes, is_text: bool, pool: DescriptorPool) -> bytes:
    """A message in binary form, through a parser that knows all of its fields."""
    found = message_factory.GetMessageClass(message)()
    try:
        if is_text:
            text_format.Parse(text, found, descriptor_pool=pool)
        else:
            found.ParseFromString(text)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise DataLossError(f"Unable to parse {'text' if is_text else 'binary'} protobuf") from error
    if not found.IsInitialized():
        raise DataLossError(f"Unable to parse protobuf: {message.full_name} lacks required fields")
    return found.SerializeToString(deterministic=True)


def _decoded(text: bytes, fields: list[FieldDescriptor]) -> list[list]:
    """The values of each field; of one that is not repeated the last, if there is any."""
    values: list[list] = [[] for _ in fields]
    places = {field.number: i for i, field in enumerate(fields)}
    for number, wire, raw in _parts(text):
        place = places.get(number)
        if place is None:
            continue
        kind = _KINDS[fields[place].type]
        if wire == _BYTES and kind.wire not in (_BYTES, _GROUP):
            values[place] += _unpacked(raw, kind)
        elif wire == kind.wire:
            values[place].append(_value(raw, kind))
    return [found if field.is_repeated else found[-1:] for found, field in zip(values, fields, strict=True)]


def _value(raw: Any, kind: _Kind) -> Any:
    return kind.decode(raw) if kind.wire == _VARINT else struct.unpack(kind.form, raw)[0] if kind.form else raw


def _unpacked(raw: bytes, kind: _Kind) -> list:
    if kind.wire != _VARINT:
        if len(raw) % struct.calcsize(kind.form):
            raise DataLossError(f"Illegal data length for packed fixed-size type: {len(raw)}")
        return [number for (number,) in struct.iter_unpack(kind.form, raw)]
    found, at = [], 0
    while at < len(raw):
        number, at = _read_varint(raw, at)
        found.append(kind.decode(number))
    return found


def _parts(text: bytes) -> Iterator[tuple[int, int, Any]]:
    """The fields of a message in order: number, wire type, and an integer or bytes. Raises `DataLossError` for what is none."""
    at = 0
    while at < len(text):
        number, wire, raw, at = _part(text, at, 0)
        yield number, wire, raw


def _part(text: bytes, start: int, depth: int) -> tuple[int, int, Any, int]:
    """The field at byte `start`, and where it ends. A group is all of its bytes."""
    tag, at = _read_varint(text, start)
    number, wire = tag >> 3, tag & 7
    if not number or wire > _FOUR or depth > 100 or (wire == _END and not depth):
        raise DataLossError(f"Failed to consume entire buffer: no field at byte {start}")
    if wire == _VARINT:
        value, at = _read_varint(text, at)
        return number, wire, value, at
    if wire == _END:
        return number, wire, b"", at
    if wire == _GROUP:
        inner = None
        while inner != (number, _END):
            *inner_part, at = _part(text, at, depth + 1)
            inner = (inner_part[0], inner_part[1])
            if inner[1] == _END and inner[0] != number:
                raise DataLossError(f"the group at byte {start} has the end of another")
        return number, wire, text[start:at], at
    size = {_EIGHT: 8, _FOUR: 4}.get(wire, 0)
    if wire == _BYTES:
        size, at = _read_varint(text, at)
    if at + size > len(text):
        raise DataLossError(f"the field at byte {start} does not end")
    return number, wire, text[at : at + size], at + size


def _read_varint(text: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(text):
            break
        byte = text[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number % 2**64, at
    raise DataLossError("Corrupt varint")


def _encoded(field: FieldDescriptor, values: np.ndarray) -> bytes:
    kind = _KINDS[field.type]
    if kind.wire == _BYTES:
        return b"".join(field_of_bytes(field.number, as_bytes(text)) for text in values)
    start = varint(field.number << 3 | kind.wire)
    if kind.wire == _GROUP:
        end = varint(field.number << 3 | _END)
        return b"".join(start + as_bytes(text) + end for text in values)
    pieces = [_number(kind, x) for x in values.tolist()]
    # Not what proto3 packs by itself: only what says so.
    if field.GetOptions().packed:
        return field_of_bytes(field.number, b"".join(pieces))
    return b"".join(start + piece for piece in pieces)


def _number(kind: _Kind, value: Any) -> bytes:
    if kind.wire == _VARINT:
        return varint(kind.encode(int(value)))
    if kind.form == "<f":
        with np.errstate(over="ignore"):
            return np.float32(value).tobytes()
    return struct.pack(kind.form, value if kind.form == "<d" else kind.encode(value))
