"""The state of a model: a pytree that reads as a mapping from variable name to array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax


@dataclass(slots=True, eq=False)
class State(Mapping[str, Any]):
    """Variables by TensorFlow name, and the counters of random ops.

    It reads as a mapping; `dict(state)` gives a plain dict of the arrays, which is a valid state too. As a pytree its
    leaves are the arrays, and `generators` where the graph has random ops.

    Attributes:
        arrays: from variable name to array. A variable that is absent is uninitialized.
        generators: uint32[random ops, 6], one row for each random op of the graph, in the order of its nodes: key (low
            word, high word) and 128-bit counter (lowest word first). None where there are no random ops, or where the
            counters stand where those of a fresh session do.
    """

    arrays: dict[str, Any]
    generators: Any = None

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def replace(self, arrays: Mapping[str, Any]) -> State:
        """A state with these variables in place of those of the same names."""
        return State({**self.arrays, **arrays}, self.generators)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}: {_describe(array)}" for name, array in self.arrays.items())
        return f"State({{{inside}}})"


jax.tree_util.register_dataclass(State, data_fields=["arrays", "generators"], meta_fields=[])


def _describe(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)}" if hasattr(array, "dtype") else repr(array)


def as_state(variables: Mapping[str, Any]) -> State:
    """The state that a caller passed: a `State`, or any mapping from variable name to array."""
    return variables if isinstance(variables, State) else State(dict(variables))
