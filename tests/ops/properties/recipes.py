"""Calls of ops, drawn from their definitions.

A recipe fills in one call. Types are drawn from what one of TensorFlow's kernels takes, attrs from what the OpDef allows.
The function of the op's family then gives the inputs; an op without a family is taken for an elementwise one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from mgjax import dtypes
from mgjax.dtypes import DType
from mgjax.opdefs import Arg, AttrDef, OpDef
from mgjax.ops import REGISTRY
from tests.ops.properties.comparison import EXACT, Bound
from tests.ops.properties.kernels import kernels_of, op_def_of
from tests.ops.properties.values import FLAVORS, values

T = TypeVar("T")

SIZES = (0, 1, 2, 3, 4, 5)
MOST_ELEMENTS = 240

COMPUTED = tuple(d for d in dtypes.ALL if d not in (dtypes.resource, dtypes.variant))
ANY_TYPE = tuple(d for d in COMPUTED if not d.is_quantized)


@dataclass
class Call:
    """An op with operands: by input name an array, or a list of arrays for an input that is a list.

    A variable stands as its value before, None where it is uninitialized.
    """

    op: str
    inputs: dict[str, Any] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shown = ", ".join(f"{k}={_shown(v)}" for k, v in self.inputs.items())
        return f"{self.op}({shown}; {', '.join(f'{k}={v!r}' for k, v in self.attrs.items())})"


def variables_of(op: str) -> list[Arg]:
    """The inputs that are variables; lists of them are not drawn."""
    lowering = REGISTRY[op]
    taken = () if lowering.host else (*lowering.reads, *lowering.writes)
    # By "handle" arrays of tensors are known.
    return [
        arg for arg in op_def_of(op).inputs
        if arg.name in taken and arg.name != "handle" and not arg.is_list and (arg.is_ref or arg.dtype == dtypes.resource)
    ]  # fmt: skip


def value_type(call: Call) -> DType:
    """The type of the variables that an op on handles takes."""
    return next((call.attrs[name] for name in ("dtype", "T") if name in call.attrs), dtypes.float32)


def _shown(value: Any) -> str:
    if value is None:
        return "uninitialized"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value.dtype}{list(value.shape)} {np.array2string(value, threshold=300, max_line_width=10000)}"


@dataclass(frozen=True)
class Family:
    """How calls of some ops are drawn, and what equal means for them.

    Attributes:
        fill: gives a recipe its inputs (and the attrs that it cares about).
        bound: how near floating results must be.
        view: of the outputs and the call, what is compared, where outputs are determined only up to something.
        types: restricts type attrs further than the kernels do.
        attrs: attrs that keep this value in every call.
    """

    fill: Callable[[Recipe], None]
    bound: Bound
    view: Callable[[list[np.ndarray], Call], list[np.ndarray]] = lambda outputs, call: outputs
    types: dict[str, tuple[DType, ...]] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)


FAMILIES: dict[str, Family] = {}


def family(
    *ops: str, bound: Bound = EXACT, view: Callable | None = None, types: dict[str, Any] | None = None, **attrs: Any
) -> Callable[[Callable], Callable]:
    """Registers the decorated function as the `fill` of each of `ops`."""

    def register(fill: Callable[[Recipe], None]) -> Callable[[Recipe], None]:
        for op in ops:
            FAMILIES[op] = Family(fill, bound, view or Family.view, types or {}, attrs)
        return fill

    return register


class Recipe:
    """A call that is being made; see the module's docstring."""

    def __init__(
        self,
        op: str,
        draw: Callable[[st.SearchStrategy[T]], T],
        flavors: Sequence[str] = FLAVORS,
        preferred: Sequence[DType] = (),
    ):
        self.draw = draw
        self.preferred = preferred
        op_def = op_def_of(op)
        assert op_def is not None, op
        self.op_def: OpDef = op_def
        self.call = Call(op)
        self.flavor = self.choice(flavors)  # of what `array` gives
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        family_ = family_of(op)
        self._draw_attrs(family_)
        family_.fill(self)

    # Choices

    def choice(self, options: Sequence[T]) -> T:
        return self.draw(st.sampled_from(options))

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def boolean(self) -> bool:
        return self.draw(st.booleans())

    def rarely(self) -> bool:
        """One time in eight."""
        return self.draw(st.integers(0, 7)) == 7

    def shape(self, low: int = 0, high: int = 5, sizes: Sequence[int] = SIZES) -> tuple[int, ...]:
        """A shape of rank `low` to `high` of few elements."""
        rank = self.integer(low, high)
        shape: list[int] = []
        for _ in range(rank):
            room = MOST_ELEMENTS // max(int(np.prod(shape)), 1)
            shape.append(min(self.choice(sizes), max(room, 1)))
        return tuple(shape)

    def broadcastable(self, shape: Sequence[int]) -> tuple[int, ...]:
        """A shape that broadcasts with `shape` (and perhaps widens it)."""
        kept = list(shape)[self.integer(0, len(shape)) :] if self.boolean() else list(shape)
        return tuple(1 if size != 1 and self.rarely() else size for size in kept)

    def axis(self, rank: int) -> int:
        """An axis of an array of this rank (counted from either end); rarely one that is not."""
        if self.rarely():
            return self.integer(-rank - 1, rank)
        return self.integer(-rank, rank - 1) if rank else 0

    def axes(self, rank: int) -> list[int]:
        """Distinct axes, in any order."""
        picked = self.draw(st.lists(st.integers(0, rank - 1), unique=True, max_size=rank)) if rank else []
        return [axis - rank if self.rarely() else axis for axis in picked]

    def permutation(self, rank: int) -> list[int]:
        return [int(i) for i in self.rng.permutation(rank)]

    # Attrs

    def attr(self, name: str) -> Any:
        return self.call.attrs[name]

    def set(self, **attrs: Any) -> None:
        self.call.attrs.update(attrs)

    def _draw_attrs(self, family_: Family) -> None:
        kernels = [
            kernel
            for kernel in kernels_of(self.op_def.name)
            if all(not set(types).isdisjoint(kernel.get(name, types)) for name, types in family_.types.items())
        ]
        most = max(map(self._preferences, kernels))
        kernel = self.choice([kernel for kernel in kernels if self._preferences(kernel) == most])
        for attr in self.op_def.attrs.values():
            if attr.name in family_.attrs:
                value = family_.attrs[attr.name]
            elif attr.type in ("type", "list(type)"):
                value = self._types(attr, kernel.get(attr.name), family_.types.get(attr.name))
            else:
                value = self._plain_attr(attr, kernel.get(attr.name) or attr.allowed)
            self.call.attrs[attr.name] = value

    def _preferences(self, kernel: Mapping[str, tuple[Any, ...]]) -> int:
        """How many of the types that it fixes are preferred."""
        return sum(not set(allowed).isdisjoint(self.preferred) for allowed in kernel.values())

    def _types(self, attr: AttrDef, by_kernel: Sequence[DType] | None, by_family: Sequence[DType] | None) -> Any:
        options = [d for d in by_kernel or attr.allowed or ANY_TYPE if by_family is None or d in by_family]
        options = [d for d in options if d in COMPUTED] or list(by_family or ANY_TYPE)
        options = [d for d in options if d in self.preferred] or options
        if attr.type == "type":
            return self.choice(options)
        count = self.integer(max(attr.minimum, 1), max(attr.minimum, 3))
        return tuple(self.choice(options) for _ in range(count))

    def _plain_attr(self, attr: AttrDef, allowed: Sequence[Any] | None) -> Any:
        if allowed is not None and attr.type in ("string", "int"):
            return self.choice(allowed)
        if attr.type == "bool" and attr.name not in ("use_locking",):
            return self.boolean()
        if attr.has_default and attr.name not in {arg.number_attr for arg in self.op_def.inputs}:
            return attr.default
        if attr.type == "int":
            return self.integer(max(attr.minimum, 1), max(attr.minimum, 1) + 2)
        return {"float": 0.5, "string": "", "shape": (), "list(int)": (1,), "bool": False}.get(attr.type, ())

    # Inputs

    def arg(self, name: str) -> Arg:
        return next(arg for arg in self.op_def.inputs if arg.name == name)

    def dtype(self, name: str) -> DType:
        """The type of an input; of a variable that a handle leads to, the variable's."""
        arg = self.arg(name)
        if arg.dtype == dtypes.resource:
            return value_type(self.call)
        return arg.dtype if arg.dtype is not None else self.attr(arg.type_attr)

    def array(self, dtype: DType, shape: Sequence[int], **kind: Any) -> np.ndarray:
        """Values of the call's flavor (or of `flavor`)."""
        return values(self.rng, dtype, shape, kind.pop("flavor", self.flavor), **kind)

    def uniform(self, dtype: DType, shape: Sequence[int], low: float, high: float) -> np.ndarray:
        """Numbers between `low` and `high`; integers include both."""
        if dtype.numpy.kind in "iu":
            return np.asarray(self.rng.integers(int(low), int(high), shape, endpoint=True)).astype(dtype.numpy)
        return np.asarray(self.rng.uniform(low, high, shape)).astype(dtype.numpy)

    def input(self, name: str, shape: Sequence[int] = (), **kind: Any) -> np.ndarray:
        """Gives the input values of the call's flavor, of this shape."""
        return self.give(name, self.array(self.dtype(name), shape, **kind))

    def give(self, name: str, value: Any) -> np.ndarray:
        """Gives the input this value, as an array of its type."""
        numpy = self.dtype(name).numpy
        array = value if isinstance(value, np.ndarray) and value.dtype == numpy else np.asarray(value).astype(numpy)
        self.call.inputs[name] = array
        return array

    def inputs(self, name: str, shapes: Sequence[Sequence[int]], **kind: Any) -> list[np.ndarray]:
        """Gives a list input one array for each of `shapes`; sets its length."""
        arg = self.arg(name)
        if arg.type_list_attr:
            types = self.attr(arg.type_list_attr)
        else:
            self.set(**{arg.number_attr: len(shapes)})
            types = [arg.dtype or self.attr(arg.type_attr)] * len(shapes)
        arrays = [self.array(dtype, shape, **kind) for dtype, shape in zip(types, shapes, strict=True)]
        self.call.inputs[name] = arrays
        return arrays

    def finish(self) -> Call:
        """The call, its inputs in the OpDef's order, its attrs as a graph has them: floating ones are float32."""
        for name, value in self.call.attrs.items():
            if isinstance(value, float):
                self.set(**{name: float(np.float32(value))})
        self.call.inputs = {arg.name: self.call.inputs[arg.name] for arg in self.op_def.inputs}
        return self.call


def fill_elementwise(recipe: Recipe) -> None:
    """All inputs of one shape; `x` and `y` mostly of shapes that broadcast, and now and then of any two."""
    shape = recipe.shape()
    names = [arg.name for arg in recipe.op_def.inputs]
    for arg in recipe.op_def.inputs:
        if arg.is_list:
            count = len(recipe.attr(arg.type_list_attr)) if arg.type_list_attr else recipe.attr(arg.number_attr)
            recipe.inputs(arg.name, [shape] * count)
        elif names == ["x", "y"] and arg.name == "y":
            recipe.input("y", recipe.shape() if recipe.rarely() else recipe.broadcastable(shape))
        else:
            recipe.input(arg.name, shape)


ELEMENTWISE = Family(fill_elementwise, Bound())


def family_of(op: str) -> Family:
    return FAMILIES.get(op, ELEMENTWISE)


@st.composite
def calls(draw: Callable, op: str, flavors: Sequence[str] = FLAVORS, preferred: Sequence[DType] = ()) -> Call:
    """Calls of an op, with values of these flavors, and of the preferred types where a kernel takes such."""
    return Recipe(op, draw, flavors, preferred).finish()
