"""Reading op definitions from the lines of `tf1.txt` and `tf2.txt`; `protos/make_opdefs.py` describes and writes them."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from mgjax import dtypes
from mgjax.dtypes import DType
from mgjax.opdefs.definitions import Arg, AttrDef, OpDef
from mgjax.proto import decode_type

_ARG = re.compile(
    r"(?P<name>\w+):(?P<ref>&?)(?:(?P<list>\w+)\.\.\.|(?:(?P<number>\w+)\*)?(?:=(?P<type>\w+)|(?P<attr>\w+)))"
)
_ATTR = re.compile(r"(?P<name>\w+):(?P<type>\w+(?:\(\w+\))?)(?:>=(?P<minimum>-?\d+))?")
_JSON = json.JSONDecoder()


def parse_line(line: str) -> OpDef:
    """The op that a line of the data describes."""
    name, flags, inputs, outputs, attrs, *deprecation = line.split("\t")
    version, _, explanation = deprecation[0].partition(" ") if deprecation else ("", "", "")
    return OpDef(
        name=name,
        inputs=tuple(map(_arg, inputs.split())),
        outputs=tuple(map(_arg, outputs.split())),
        attrs={attr.name: attr for attr in map(_attr, attrs.split())},
        is_stateful="s" in flags,
        is_commutative="c" in flags,
        is_aggregate="a" in flags,
        allows_uninitialized_input="u" in flags,
        deprecation=(int(version), explanation) if deprecation else None,
    )


def _arg(text: str) -> Arg:
    match = _ARG.fullmatch(text)
    assert match is not None, text
    return Arg(
        name=match["name"],
        dtype=_type(match["type"]) if match["type"] else None,
        type_attr=match["attr"] or "",
        number_attr=match["number"] or "",
        type_list_attr=match["list"] or "",
        is_ref=bool(match["ref"]),
    )


def _attr(text: str) -> AttrDef:
    match = _ATTR.match(text)
    assert match is not None, text
    kind, end = match["type"], match.end()
    default, allowed = None, None
    has_default = text[end : end + 1] == "="
    if has_default:
        default, end = _JSON.raw_decode(text, end + 1)
        default = _value(kind, default)
    if text[end : end + 1] == "|":
        allowed = _value(f"list({kind.removeprefix('list(').removesuffix(')')})", json.loads(text[end + 1 :]))
    return AttrDef(
        name=match["name"],
        type=kind,
        default=default,
        has_default=has_default,
        minimum=int(match["minimum"] or 0),
        has_minimum=match["minimum"] is not None,
        allowed=allowed,
    )


def _value(kind: str, value: Any) -> Any:
    if kind.startswith("list("):
        return tuple(_value(kind[5:-1], element) for element in value)
    match kind:
        case "float":
            # The text is the shortest that gives the number in 32 bits, which is what graphs carry.
            return float(np.float32(value))
        case "type":
            return _type(value)
        case "shape":
            return None if value is None else tuple(value)
        case "tensor":
            return np.array(value["values"], dtypes.BY_NAME[value["dtype"]].numpy).reshape(value["shape"])
    return value


def _type(name: str | int) -> DType:
    return decode_type(int(name)) if str(name).isdigit() else dtypes.BY_NAME[str(name)]
