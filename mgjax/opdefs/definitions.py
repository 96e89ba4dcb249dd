"""The signature of an op: its inputs, outputs and attributes, from a MetaGraphDef's own list or from the data of this package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mgjax.dtypes import DType, is_ref_number
from mgjax.errors import ReadError
from mgjax.proto import decode_attr, decode_type, encode_attr, graph_pb2

_MAX_TENSORS = 1 << 20
"""More tensors than this, for one argument of one node, are taken for damage."""


@dataclass(frozen=True, slots=True)
class Arg:
    """An input or output of an op: one tensor, `number_attr` many of one type, or one for each type in `type_list_attr`.

    Attributes:
        name: as the OpDef has it.
        dtype: the type, where the op fixes it, else None.
        type_attr: the attr that says the type, or "".
        number_attr: the attr that says how many tensors there are, or "".
        type_list_attr: the attr that says the types of a list of tensors, or "".
        is_ref: whether it is a reference to a variable.
    """

    name: str
    dtype: DType | None
    type_attr: str
    number_attr: str
    type_list_attr: str
    is_ref: bool

    @property
    def is_list(self) -> bool:
        """Whether it stands for any number of tensors."""
        return bool(self.number_attr or self.type_list_attr)


@dataclass(frozen=True, slots=True)
class AttrDef:
    """An attribute of an op. Values are as `mgjax.attributes` describes.

    Attributes:
        name: as the OpDef has it.
        type: "int", "list(shape)", ...
        default: the value of nodes that lack it; None where there is no default (see `has_default`), or as a shape of unknown rank.
        has_default: whether nodes may lack it.
        minimum: the least integer, or the least length of a list; meant only where `has_minimum`.
        has_minimum: whether there is a least one.
        allowed: the values (of a list, its elements) that it may have, or None where any will do.
    """

    name: str
    type: str
    default: Any
    has_default: bool
    minimum: int
    has_minimum: bool
    allowed: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class OpDef:
    """An op's signature.

    Attributes:
        name: the op.
        inputs, outputs: in order.
        attrs: by name, in the OpDef's order.
        is_stateful: whether two equal nodes may give different results, or act on the world.
        is_commutative: whether the two inputs may be swapped.
        is_aggregate: whether it may be taken in parts, in any order.
        allows_uninitialized_input: whether its reference inputs may be variables without a value.
        deprecation: the first version of graphs (`versions.producer`) that may not use it, with the advice; or None.
    """

    name: str
    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    attrs: dict[str, AttrDef]
    is_stateful: bool = False
    is_commutative: bool = False
    is_aggregate: bool = False
    allows_uninitialized_input: bool = False
    deprecation: tuple[int, str] | None = None

    def arg_sizes(self, args: Iterable[Arg], attrs: Mapping[str, Any]) -> list[int]:
        """How many tensors each of `args` (`inputs` or `outputs`) stands for in a node with these attrs, defaults included.

        Raises `ReadError` where an attr that says so is missing or is no such number.
        """
        return [self._size(arg, attrs) if arg.is_list else 1 for arg in args]

    def input_types(self, attrs: Mapping[str, Any]) -> list[tuple[DType, bool]]:
        """Type of each input tensor, with whether it is a reference. Raises `ReadError` as `arg_sizes` does."""
        return self._types(self.inputs, attrs)

    def output_types(self, attrs: Mapping[str, Any]) -> list[tuple[DType, bool]]:
        """Type of each output tensor, with whether it is a reference. Raises `ReadError` as `arg_sizes` does."""
        return self._types(self.outputs, attrs)

    def _types(self, args: Iterable[Arg], attrs: Mapping[str, Any]) -> list[tuple[DType, bool]]:
        types: list[tuple[DType, bool]] = []
        for arg in args:
            if arg.type_list_attr:
                types += [(dtype, arg.is_ref) for dtype in self._type_list(arg, attrs)]
                continue
            dtype = arg.dtype
            if dtype is None:
                dtype = self._attr(arg.type_attr, attrs)
                if not isinstance(dtype, DType):
                    raise ReadError(f"attr '{arg.type_attr}' of {self.name} is {dtype!r}, not a type")
            types += [(dtype, arg.is_ref)] * (self._size(arg, attrs) if arg.number_attr else 1)
        return types

    def _size(self, arg: Arg, attrs: Mapping[str, Any]) -> int:
        if arg.type_list_attr:
            return len(self._type_list(arg, attrs))
        size = self._attr(arg.number_attr, attrs)
        if type(size) is not int or not 0 <= size <= _MAX_TENSORS:
            raise ReadError(f"attr '{arg.number_attr}' of {self.name} is {size!r}, not a number of tensors")
        return size

    def _type_list(self, arg: Arg, attrs: Mapping[str, Any]) -> tuple[DType, ...]:
        types = self._attr(arg.type_list_attr, attrs)
        if not isinstance(types, tuple) or not all(isinstance(dtype, DType) for dtype in types):
            raise ReadError(f"attr '{arg.type_list_attr}' of {self.name} is {types!r}, not a list of types")
        return types

    def _attr(self, name: str, attrs: Mapping[str, Any]) -> Any:
        try:
            return attrs[name]
        except KeyError:
            raise ReadError(f"attr '{name}' of {self.name} is missing, and has no default") from None


def from_proto(message: Any) -> OpDef:
    """The op that an `OpDef` message describes, of this package or of TensorFlow's own."""
    return OpDef(
        name=message.name,
        inputs=tuple(map(_arg_from_proto, message.input_arg)),
        outputs=tuple(map(_arg_from_proto, message.output_arg)),
        attrs={attr.name: _attr_from_proto(attr) for attr in message.attr},
        is_stateful=message.is_stateful,
        is_commutative=message.is_commutative,
        is_aggregate=message.is_aggregate,
        allows_uninitialized_input=message.allows_uninitialized_input,
        deprecation=(message.deprecation.version, message.deprecation.explanation)
        if message.HasField("deprecation")
        else None,
    )


def _arg_from_proto(arg: Any) -> Arg:
    return Arg(
        name=arg.name,
        dtype=decode_type(arg.type) if arg.type else None,
        type_attr=arg.type_attr,
        number_attr=arg.number_attr,
        type_list_attr=arg.type_list_attr,
        is_ref=arg.is_ref or is_ref_number(arg.type),
    )


def _attr_from_proto(attr: Any) -> AttrDef:
    allowed = decode_attr(attr.allowed_values) if attr.HasField("allowed_values") else None
    return AttrDef(
        name=attr.name,
        type=attr.type,
        default=decode_attr(attr.default_value) if attr.HasField("default_value") else None,
        has_default=attr.HasField("default_value"),
        minimum=attr.minimum,
        has_minimum=attr.has_minimum,
        allowed=allowed if isinstance(allowed, tuple) else None,
    )


def to_proto(op: OpDef) -> graph_pb2.OpDef:
    """The `OpDef` message of an op, without descriptions."""
    message = graph_pb2.OpDef(
        name=op.name,
        is_stateful=op.is_stateful,
        is_commutative=op.is_commutative,
        is_aggregate=op.is_aggregate,
        allows_uninitialized_input=op.allows_uninitialized_input,
    )
    for args, protos in ((op.inputs, message.input_arg), (op.outputs, message.output_arg)):
        for arg in args:
            protos.add(
                name=arg.name,
                type=arg.dtype.number if arg.dtype else 0,
                type_attr=arg.type_attr,
                number_attr=arg.number_attr,
                type_list_attr=arg.type_list_attr,
                is_ref=arg.is_ref,
            )
    for attr in op.attrs.values():
        proto = message.attr.add(name=attr.name, type=attr.type, has_minimum=attr.has_minimum, minimum=attr.minimum)
        if attr.has_default:
            proto.default_value.CopyFrom(encode_attr(attr.default, attr.type))
        if attr.allowed is not None:
            kind = attr.type.removeprefix("list(").removesuffix(")")
            proto.allowed_values.CopyFrom(encode_attr(attr.allowed, f"list({kind})"))
    if op.deprecation:
        message.deprecation.version, message.deprecation.explanation = op.deprecation
    return message
