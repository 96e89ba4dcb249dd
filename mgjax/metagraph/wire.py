"""Where the bytes of a protocol buffer stop making sense.

The protobuf runtimes say only that a message could not be parsed. `find_damage` walks the same bytes, field by field, and
says at which one a field is cut off or impossible, so that an error can tell a truncated file from one of another kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 100  # The protobuf runtimes' own limit.


@dataclass(frozen=True, slots=True)
class Damage:
    """The first byte that cannot be part of a message.

    Attributes:
        offset: of the field's first byte, in bytes from the start.
        path: the fields that the byte lies in, such as `graph_def.node[3].attr`.
        reason: what is wrong there.
        truncated: whether the message would go on after the last byte.
    """

    offset: int
    path: str
    reason: str
    truncated: bool = False


class _Stop(Exception):
    def __init__(self, offset: int, reason: str, truncated: bool = False, field: str = ""):
        self.damage = (offset, reason, truncated, field)


@dataclass(slots=True)
class _Frame:
    end: int
    descriptor: Any
    name: str
    counts: dict[str, int]


def find_damage(data: bytes, descriptor: Any) -> Damage | None:
    """The first place where `data` is no message of the type that `descriptor` describes, or None where all of it is."""
    frames = [_Frame(len(data), descriptor, "", {})]
    position = 0
    try:
        while frames:
            frame = frames[-1]
            if position == frame.end:
                frames.pop()
                continue
            position = _step(data, position, frames)
    except _Stop as stop:
        offset, reason, truncated, field = stop.damage
        names = [frame.name for frame in frames] + [field]
        return Damage(offset, ".".join(filter(None, names)), reason, truncated)
    return None


def _step(data: bytes, start: int, frames: list[_Frame]) -> int:
    """Reads one field, or enters it if it is a message; returns the position after what was read."""
    frame = frames[-1]
    end = frame.end
    # Inner messages lie whole within the outermost: only that one can be cut off by the end of the data.
    is_outermost = len(frames) == 1
    tag, position = _read_varint(data, start, end, is_outermost)
    number, wire_type = tag >> 3, tag & 7
    if number == 0 or number >= 1 << 29:
        raise _Stop(start, f"no field has the number {number}")
    if wire_type == _VARINT:
        return _read_varint(data, position, end, is_outermost)[1]
    if wire_type in (_FIXED64, _FIXED32):
        size = 8 if wire_type == _FIXED64 else 4
        return _skip(start, position, size, end, is_outermost)
    if wire_type != _BYTES:
        raise _Stop(start, f"no field is written with the wire type {wire_type}")
    size, position = _read_varint(data, position, end, is_outermost)
    field = frame.descriptor.fields_by_number.get(number)
    after = _skip(start, position, size, end, is_outermost, field.name if field is not None else "")
    if field is None:
        return after
    if field.message_type is not None:
        if len(frames) > _MAX_DEPTH:
            raise _Stop(start, f"messages are nested more than {_MAX_DEPTH} deep")
        index = frame.counts.get(field.name, 0)
        frame.counts[field.name] = index + 1
        name = f"{field.name}[{index}]" if _is_repeated(field) else field.name
        frames.append(_Frame(after, field.message_type, name, {}))
        return position
    if field.type == field.TYPE_STRING:
        try:
            data[position:after].decode()
        except UnicodeDecodeError as error:
            raise _Stop(position + error.start, f"the text of field '{field.name}' is not UTF-8") from None
    return after


def _is_repeated(field: Any) -> bool:
    # `label` is deprecated in newer runtimes and `is_repeated` unknown to older ones.
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _skip(start: int, position: int, size: int, end: int, is_outermost: bool, field: str = "") -> int:
    if position + size > end:
        where = "the file ends" if is_outermost else "the message around it ends"
        reason = f"a field of {size} bytes begins, and {where} after {end - position} of them"
        raise _Stop(start, reason, is_outermost, field)
    return position + size


def _read_varint(data: bytes, position: int, end: int, is_outermost: bool) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position + shift // 7 >= end:
            raise _Stop(position, "a number is cut off", is_outermost)
        byte = data[position + shift // 7]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + shift // 7 + 1
    raise _Stop(position, "a number has more than ten bytes")
