"""The state of a model: a pytree that reads as a mapping from variable name to array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from mgjax.host import Surroundings


class HostObjects(Mapping[str, Any]):
    """Host objects by the name of the first node that makes their handle. Two are equal only if they are the same one.

    Tables are values: a run that changes one gives a state with another. Queues, readers, iterators and accumulators change
    in place, and belong to all states that come from the one in which they were made.
    """

    __slots__ = ("_objects",)

    def __init__(self, objects: Mapping[str, Any]):
        self._objects = dict(objects)

    def __getitem__(self, name: str) -> Any:
        return self._objects[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"HostObjects({self._objects!r})"


@dataclass(slots=True, eq=False)
class State(Mapping[str, Any]):
    """Variables by TensorFlow name, and the counters of random ops.

    It reads as a mapping; `dict(state)` gives a plain dict of the arrays, which is a valid state too. As a pytree its
    leaves are the arrays, and `generators` and `seed_words` where the graph has random ops.

    Attributes:
        arrays: from variable name to array. A variable that is absent is uninitialized.
        generators: uint32[random ops, 6], one row for each random op of the graph, in the order of its nodes, with
            those of the functions that a node calls in its place: key (low word, high word) and 128-bit counter (lowest
            word first). A queue that shuffles has one too, and what initializes iterators whose functions draw. None where
            there are no random ops, or where the counters stand where those of a fresh session do.
        seed_words: uint32[4], the words of `seed`, lowest first; None where there are no random ops.
        objects: tables, queues and their like; no leaves of the pytree, but part of its structure. None where there are none.
    """

    arrays: dict[str, Any]
    generators: Any = None
    seed_words: Any = None
    objects: HostObjects | None = None

    @property
    def seed(self) -> int | None:
        """The seed that random ops without one of their own took theirs from, whoever chose it: `init` or `restore` with it
        repeats the run. None where there are no random ops, or where no run has asked for a seed yet."""
        return None if self.seed_words is None else join_words(self.seed_words)

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def replace(self, arrays: Mapping[str, Any]) -> State:
        """A state with these variables in place of those of the same names."""
        return State({**self.arrays, **arrays}, self.generators, self.seed_words, self.objects)

    def with_objects(self, objects: Mapping[str, Any]) -> State:
        """A state with these host objects in place of those of the same names; itself where it has them already."""
        held: Mapping[str, Any] = self.objects or {}
        if all(held.get(name) is value for name, value in objects.items()):
            return self
        return State(self.arrays, self.generators, self.seed_words, HostObjects({**held, **objects}))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}: {_describe(array)}" for name, array in self.arrays.items())
        return f"State({{{inside}}})"


jax.tree_util.register_dataclass(State, data_fields=["arrays", "generators", "seed_words"], meta_fields=["objects"])


@dataclass(slots=True, eq=False)
class SessionState:
    """A state that runs of several threads take and change in turn.

    Attributes:
        state: as it is between two runs.
        surroundings: the lock that a run holds, and what its steps wait with.
    """

    state: State
    surroundings: Surroundings


def _describe(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)}" if hasattr(array, "dtype") else repr(array)


def split_words(seed: int) -> np.ndarray:
    """A seed below 2**128 as uint32[4], lowest word first. Raises `ValueError` for any other."""
    if not 0 <= seed < 2**128:
        raise ValueError(f"a seed is an integer from 0 to 2**128 - 1, not {seed}")
    return np.array([seed >> shift & 0xFFFFFFFF for shift in range(0, 128, 32)], np.uint32)


def join_words(words: Any) -> int:
    """The inverse of `split_words`."""
    return sum(int(word) << 32 * i for i, word in enumerate(np.asarray(words)))


def as_state(variables: Mapping[str, Any]) -> State:
    """The state that a caller passed: a `State`, or any mapping from variable name to array."""
    return variables if isinstance(variables, State) else State(dict(variables))
