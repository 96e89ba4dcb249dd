"""Static shapes as scripts of TensorFlow 1 see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mgjax import shapes


class Dimension:
    """One size; `value` is None where it is unknown."""

    def __init__(self, value: Any):
        self.value: int | None = (
            value.value if isinstance(value, Dimension) else None if value in (None, -1) else int(value)
        )

    def __int__(self) -> int:
        if self.value is None:
            raise TypeError("the size of this dimension is not known")
        return self.value

    __index__ = __int__

    def __eq__(self, other: object) -> Any:
        value = other.value if isinstance(other, Dimension) else other
        return None if self.value is None or value is None else self.value == value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Dimension({self.value})"

    def __str__(self) -> str:
        return "?" if self.value is None else str(self.value)


class TensorShape:
    """A partial shape: `dims` is a list of `Dimension`, or None where the rank is unknown."""

    def __init__(self, dims: Any):
        if isinstance(dims, TensorShape):
            dims = dims.as_tuple()
        elif hasattr(dims, "unknown_rank"):  # a TensorShapeProto
            dims = None if dims.unknown_rank else [dim.size for dim in dims.dim]
        elif isinstance(dims, (int, Dimension)):
            dims = (dims,)
        self.dims = None if dims is None else [Dimension(n) for n in dims]

    def as_tuple(self) -> shapes.Shape:
        return None if self.dims is None else tuple(n.value for n in self.dims)

    @property
    def ndims(self) -> int | None:
        return None if self.dims is None else len(self.dims)

    rank = ndims

    def as_list(self) -> list[int | None]:
        """The sizes. Raises `ValueError` where the rank is unknown."""
        if self.dims is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return [n.value for n in self.dims]

    def is_fully_defined(self) -> bool:
        return shapes.is_static(self.as_tuple())

    def num_elements(self) -> int | None:
        """The number of elements, or None where it is not known."""
        if not self.is_fully_defined():
            return None
        count = 1
        for n in self.as_list():
            count *= n or 0
        return count

    def is_compatible_with(self, other: Any) -> bool:
        found = TensorShape(other).as_tuple()
        return found is None or shapes.is_compatible(self.as_tuple(), found)

    def merge_with(self, other: Any) -> TensorShape:
        """What is known of both. Raises `ValueError` where they contradict each other."""
        other = TensorShape(other)
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are not compatible")
        return TensorShape(shapes.merge(self.as_tuple(), other.as_tuple()))

    def __len__(self) -> int:
        if self.dims is None:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        return len(self.dims)

    def __iter__(self) -> Iterator[Dimension]:
        if self.dims is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter(self.dims)

    def __getitem__(self, index: Any) -> Any:
        if self.dims is None:
            return TensorShape(None) if isinstance(index, slice) else Dimension(None)
        return TensorShape(self.dims[index]) if isinstance(index, slice) else self.dims[index]

    def __bool__(self) -> bool:
        return self.dims is not None

    def __eq__(self, other: object) -> bool:
        try:
            return self.as_tuple() == TensorShape(other).as_tuple()
        except (TypeError, ValueError):
            return False

    def __hash__(self) -> int:
        return hash(self.as_tuple())

    def __str__(self) -> str:
        if self.dims is None:
            return "<unknown>"
        inside = ", ".join(map(str, self.dims))
        return f"({inside},)" if len(self.dims) == 1 else f"({inside})"

    def __repr__(self) -> str:
        return f"TensorShape({self.dims})"
