"""Library functions that host steps call: those of a dataset's `map`, `filter`, `flat_map` and the like.

A function is compiled once, into device programs and host steps as a run of the graph is, and called for each element. What it
holds between calls belongs to an *instance*: the generators of its random ops, and host objects that it makes itself.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mgjax.attributes import FunctionName
from mgjax.ir import walk
from mgjax.lowering.program import Program
from mgjax.ops import Optional, Reference, initial_generator
from mgjax.passes import generator_of

Instance = Callable[..., list[Any]]


class LibraryFunction:
    """A function of a graph's library as one node names it.

    Args:
        compiled: the function.
    """

    def __init__(self, compiled: CompiledFunction):
        self._compiled = compiled

    def another(self) -> LibraryFunction:
        """The same function, as another node would name it."""
        return LibraryFunction(self._compiled)

    def instantiate(self, words: Iterator[int]) -> Instance:
        """A callable from a run's context and arguments to NumPy results; its generators start as in a fresh session.

        Args:
            words: 32 bits each; random ops without seeds take four of them.
        """
        program = self._compiled.program
        held: dict[tuple[str, str], Any] = {
            key: initial_generator(*(seeds if seeds != (0, 0) else _next_seeds(words)))
            for key, seeds in self._compiled.seeds.items()
        }

        def call(context: Any, *arguments: Any) -> list[Any]:
            given = iter(context.held(x) if isinstance(x, Reference) else x for x in arguments)
            held["context", ""] = context
            taken = [next(given) if key[0] == "feed" else held.get(key) for key in program.inputs]
            with _on_cpu():
                outputs = program.run(taken)
            results = []
            for key, array in zip(program.outputs, outputs, strict=True):
                if key[0] == "fetch":
                    results.append(_on_host(array))
                else:
                    held[key] = array
            return results

        return call


class CompiledFunction:
    """A function of a graph's library, compiled when it is first called.

    Args:
        name: the function, with the attributes that it leaves open.
        compile: makes its program.
    """

    def __init__(self, name: FunctionName, compile: Callable[[FunctionName], Program]):
        self._name = name
        self._compile = compile

    @functools.cached_property
    def program(self) -> Program:
        return self._compile(self._name)

    @functools.cached_property
    def seeds(self) -> dict[tuple[str, str], tuple[int, int]]:
        """The seeds of the operations that draw random numbers, by what the program takes for them."""
        drawing = {name: (role, name) for role, name in self.program.inputs if role in ("generator", "function seeds")}
        return {
            drawing[generator_of(op)]: (int(op.attributes.get("seed", 0)), int(op.attributes.get("seed2", 0)))
            for op in walk(self.program.function.body)
            if generator_of(op) in drawing
        }


class LibraryFunctions:
    """The library functions that one program's host steps call."""

    def __init__(self, compile: Callable[[FunctionName], Program]):
        self._compile = compile
        self._compiled: dict[Hashable, CompiledFunction] = {}

    def decoded(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """A node's attributes with functions in the place of functions' names."""
        return {name: self._decoded(value) for name, value in attributes.items()}

    def _decoded(self, value: Any) -> Any:
        if isinstance(value, FunctionName):
            key = value.name, repr(sorted(value.attrs.items()))
            return LibraryFunction(self._compiled.setdefault(key, CompiledFunction(value, self._compile)))
        if isinstance(value, tuple) and any(isinstance(item, FunctionName) for item in value):
            return tuple(map(self._decoded, value))
        return value


def _next_seeds(words: Iterator[int]) -> tuple[int, int]:
    return next(words) | next(words) << 32, next(words) | next(words) << 32


def _on_cpu() -> contextlib.AbstractContextManager[Any]:
    """Elements are made on the CPU, as in TensorFlow, and travel to an accelerator as batches."""
    if jax.default_backend() == "cpu":
        return contextlib.nullcontext()
    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # JAX was told to leave the CPU alone
        return contextlib.nullcontext()


def _on_host(array: Any) -> Any:
    if isinstance(array, Optional):
        return jax.tree.map(_on_host, array)
    return np.asarray(array) if isinstance(array, jax.Array) else array
