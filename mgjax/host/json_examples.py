"""Examples written as JSON, in the binary form that TensorFlow 1.15 gives them.

Its protobuf writes fields in the order of the text, and lists of numbers unpacked, where a message that is parsed and then
serialized would have an order of its own; and the bytes are what a graph hashes and compares.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from typing import Any

from mgjax.errors import InvalidArgumentError
from mgjax.host.strings import as_bytes, each
from mgjax.host.wire import field_of_bytes, varint
from mgjax.ops import lower

_LARGEST_FLOAT = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_KINDS = {"bytesList": 1, "bytes_list": 1, "floatList": 2, "float_list": 2, "int64List": 3, "int64_list": 3}


class _Object(list):
    """The pairs of an object, in the order of the text."""


@lower("DecodeJSONExample", host=True)
def decode_json_example(json_examples):
    """Examples written as JSON, in their binary form."""
    return each(lambda text: _example(as_bytes(text)), json_examples)


def _example(text: bytes) -> bytes:
    try:
        root = json.loads(text.decode(), object_pairs_hook=_Object, parse_constant=_refuse)
        if root is None:
            raise _error("Root element must be a message.")
        features = [value for _, value in _fields(root, ("features",))]
        return b"".join(field_of_bytes(1, _features(value)) for value in features)
    except (ValueError, OverflowError, RecursionError) as error:
        raise _error(str(error)) from error


def _error(what: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"Error while parsing JSON: {what}")


def _refuse(value: object, kind: str = "number") -> Any:
    raise _error(f"invalid value {value!r} for type {kind}")


def _fields(value: object, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    """The fields of a message that are given; null is nothing."""
    if not isinstance(value, _Object):
        _refuse(value, "message")
    for name, _ in value:
        if name not in names:
            raise _error(f"{name}: Cannot find field.")
    return [(name, item) for name, item in value if item is not None]


def _features(value: object) -> bytes:
    """The entries of a map; each key once."""
    entries = []
    for _, feature in _fields(value, ("feature",)):
        if not isinstance(feature, _Object):
            _refuse(feature, "Map")
        entries += feature
    keys = [key for key, _ in entries]
    if len(set(keys)) < len(keys):
        raise _error("Repeated map key")
    return b"".join(
        field_of_bytes(
            1, field_of_bytes(1, key.encode()) + (b"" if item is None else field_of_bytes(2, _feature(item)))
        )
        for key, item in entries
    )


def _feature(value: object) -> bytes:
    lists = _fields(value, tuple(_KINDS))
    if len(lists) > 1:
        raise _error("oneof field 'kind' is already set")
    return b"".join(field_of_bytes(_KINDS[name], _list(_KINDS[name], items)) for name, items in lists)


def _list(kind: int, value: object) -> bytes:
    write = (_bytes, _float, _int64)[kind - 1]
    return b"".join(write(item) for _, items in _fields(value, ("value",)) for item in _flat(items))


def _flat(value: Any) -> list:
    """The items of a list, and of lists in it; a value stands for a list of one."""
    if not isinstance(value, list) or isinstance(value, _Object):
        return [] if value is None else [value]
    return [item for part in value for item in _flat(part)]


def _bytes(value: Any) -> bytes:
    """Base 64 of either alphabet, with all of its padding or none."""
    if isinstance(value, str) and re.fullmatch(r"([A-Za-z0-9_-]*|[A-Za-z0-9+/]*)=*", value):
        text = value.translate(str.maketrans("-_", "+/"))
        bare = text.rstrip("=")
        padded = bare + "=" * (-len(bare) % 4)
        if text in (bare, padded) and len(bare) % 4 != 1:
            decoded = base64.b64decode(padded)
            # The bits that padding leaves over are zeros.
            if base64.b64encode(decoded).decode() == padded:
                return field_of_bytes(1, decoded)
    return _refuse(value, "TYPE_BYTES")


def _float(value: Any) -> bytes:
    if isinstance(value, str) and (_NUMBER.fullmatch(value) or value in ("NaN", "Infinity", "-Infinity")):
        number = float(value)
        is_given = "n" in value
    else:
        number, is_given = value, False
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return _refuse(value, "TYPE_FLOAT")
    if not is_given and abs(number) > _LARGEST_FLOAT:
        return _refuse(value, "TYPE_FLOAT")
    return b"\x0d" + struct.pack("<f", number)


def _int64(value: Any) -> bytes:
    number = value
    if (isinstance(value, str) and re.fullmatch("[+-]?[0-9]+", value)) or (
        isinstance(value, float) and value.is_integer()
    ):
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not -(2**63) <= number < 2**63:
        return _refuse(value, "TYPE_INT64")
    return b"\x08" + varint(number % 2**64)
