"""The generators of a graph's random ops: which there are, where they begin, and what one run takes and advances.

A node that draws random numbers has one generator for the life of a session. A library function's node has one for each
way in which calls lead to it, as TensorFlow has a kernel for each copy that it makes of the function. The functions of
datasets are not among them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mgjax.errors import UnsupportedError
from mgjax.metagraph import Graph, library_nodes
from mgjax.ops import initial_generator
from mgjax.passes import called_functions, path_in

MOST_ROWS = 1 << 16
"""Rows: a library in which calls lead to a random op in more ways than this has no generators for the further ones."""


class Drawing(NamedTuple):
    """A random op: its path (for a node of the graph its name), and its attributes."""

    path: str
    attributes: Mapping[str, Any]


def drawings(graph: Graph, draws: Collection[str]) -> Iterator[Drawing]:
    """The random ops of the graph, node by node, those of the functions that a node calls in its place.

    Args:
        draws: the ops that draw random numbers.
    """
    callers = _Callers(graph, draws)
    for node in graph.graph_def.node:
        if node.op in draws:
            yield Drawing(node.name, graph.attributes(node.name))
        elif callers.may_call(node):
            yield from callers.below(node.name, node.op, graph.attributes(node.name), ())


class _Callers:
    """The random ops that calls lead to."""

    def __init__(self, graph: Graph, draws: Collection[str]):
        self.graph = graph
        self.draws = draws
        self.drawing = self.find_drawing()

    def find_drawing(self) -> frozenset[str]:
        """The functions that draw, themselves or in what they may call."""
        ops = {name: {node.op for node in function.node_def} for name, function in self.graph.library.items()}
        named = {name: ops[name] | _names_in(function.node_def) for name, function in self.graph.library.items()}
        found = {name for name in ops if not ops[name].isdisjoint(self.draws)}
        while further := {name for name in named if name not in found and not named[name].isdisjoint(found)}:
            found |= further
        return frozenset(found)

    def may_call(self, node: Any) -> bool:
        """Whether the node names a function that draws."""
        return bool(self.drawing) and (node.op in self.drawing or not self.drawing.isdisjoint(_names_in([node])))

    def below(self, path: str, op: str, attributes: Mapping[str, Any], inside: tuple[str, ...]) -> Iterator[Drawing]:
        """What the functions draw that an operation calls. A function that calls itself is entered once."""
        for label, name in called_functions(op, attributes, op in self.graph.library):
            if name.name not in self.drawing or name.name in inside:
                continue
            for inner, inner_op, inner_attributes in library_nodes(self.graph, name.name, name.attrs):
                inner_path = path_in(path, label, inner)
                if inner_op in self.draws:
                    yield Drawing(inner_path, inner_attributes)
                else:
                    # Recursion goes as deep as functions call functions.
                    yield from self.below(inner_path, inner_op, inner_attributes, (*inside, name.name))


def _names_in(nodes: Iterable[Any]) -> set[str]:
    """The names of the functions that are values of the nodes' attributes."""
    found: set[str] = set()
    for node in nodes:
        for value in node.attr.values():
            found.update(inner.name for inner in [value.func, *value.list.func] if inner.name)
    return found


def first_rows(found: Iterable[Drawing], seed: int) -> np.ndarray:
    """The counters as a fresh session has them: uint32[random ops, 6].

    Args:
        seed: for random ops that have no seed of their own.
    """
    chosen = np.random.SeedSequence(seed)
    rows = []
    for _, attributes in found:
        seeds: tuple[int, ...] = int(attributes.get("seed", 0)), int(attributes.get("seed2", 0))
        if seeds == (0, 0):
            seeds = tuple(int(word) for word in chosen.spawn(1)[0].generate_state(2, np.uint64).view(np.int64))
        rows.append(initial_generator(*seeds))
    return np.stack(rows)


class Generators:
    """The rows of a state's generators that one run takes and advances.

    Args:
        before: uint32[random ops, 6], or None where the run draws nothing.
        seed_words: those of the state.
        rows: from path to row.
    """

    def __init__(self, before: Any, seed_words: Any, rows: Mapping[str, int]):
        self._before = before
        self._seed_words = seed_words
        self._rows = rows
        self._changed: dict[int, Any] = {}

    def row(self, path: str) -> Any:
        if path not in self._rows:
            raise UnsupportedError(
                f"{path!r} draws random numbers inside a library function, to which calls lead in more than "
                f"{MOST_ROWS} ways, or which calls itself; feed what it draws"
            )
        return self._before[self._rows[path]]

    def advance(self, path: str, row: Any) -> None:
        self._changed[self._rows[path]] = row

    def after(self) -> tuple[Any, Any]:
        """The generators after the run, and the seed's words."""
        if not self._changed:
            return self._before, self._seed_words
        rows = np.asarray(list(self._changed), np.int32)
        return jnp.asarray(self._before).at[rows].set(jnp.stack(list(self._changed.values()))), self._seed_words
