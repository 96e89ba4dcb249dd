"""What a dataset is: an immutable description of a sequence of elements, and the iterators that walk one.

A dataset is what the graph's `variant` tensors of `*Dataset` ops hold. It says how its elements come about; nothing happens
until an iterator is made of it (`Dataset.iterate`), and every iterator starts anew. An element is a tuple of components: NumPy
arrays, or what a variant holds (a dataset, an optional, a list of tensors).

An iterator is a Python iterator that may *fail and go on*: an error (of a function, of a file) is raised by the `next` that
meets it, and the `next` after that gives the following element, as TensorFlow's iterators do. Python's generators end with the
first exception, so iterators that take from others are classes with `__next__`. After its end, an iterator stays at its end.

**Pipelines.** All iterators that come of one initialization belong to one `Pipeline`: it holds the functions' random
generators (those without seeds take them from the generator of the op that initializes), and what iterators leave to those that
come after them in the same place (the seeds of the next epoch's shuffle, the elements of a cache). TensorFlow 1.15 names such a
place by the path of iterators that lead to it, not by the dataset: `repeat` hands its own path on, `flat_map` one for each
element, `interleave` one for each slot of its cycle. So is it here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.streams import Words, draw_seeds
from mgjax.ops import HostObject

Element = tuple[Any, ...]
INFINITE, UNKNOWN = -1, -2
"""Cardinalities that are no number of elements."""

SHUFFLE_AND_REPEAT_FUSION = "shuffle_and_repeat_fusion"
MAP_AND_BATCH_FUSION = "map_and_batch_fusion"


class LibraryFunction(Protocol):
    """A function of the graph's library, ready to be called."""

    def another(self) -> LibraryFunction:
        """The same function, with instances of its own."""

    def instantiate(self, words: Iterator[int]) -> Callable[..., list[Any]]:
        """A callable from a run's context and arguments to results; its random generators advance from call to call.

        Args:
            words: 32 bits each, where random ops without seeds take theirs from.
        """


@dataclass(frozen=True, slots=True)
class Captured:
    """A function and the values that it captures, which follow its arguments."""

    function: LibraryFunction
    arguments: Sequence[Any] = ()


@dataclass(slots=True, eq=False)
class Pipeline:
    """What the iterators of one initialization share; see the module's docstring.

    Attributes:
        context: of the present run: functions are called in it, and files are opened.
        words: 32 bits each: where functions' random ops without seeds take theirs from.
        left: what iterators left for those that come after them, by place and kind.
        instances: the instances of functions: all iterators that call what one node names share its generators.
    """

    context: Any = None
    words: Iterator[int] = field(default_factory=lambda: iter(()))
    left: dict[Hashable, Any] = field(default_factory=dict)
    instances: dict[LibraryFunction, Callable[..., list[Any]]] = field(default_factory=dict)


def new_pipeline(context: Any, generator: Any) -> tuple[Pipeline, np.ndarray]:
    """A pipeline whose functions take seeds from a generator, uint32[6], and that generator after it."""
    seeds, after = draw_seeds(generator)
    return Pipeline(context, Words(*seeds)), after


@dataclass(frozen=True, slots=True)
class Place:
    """Where an iterator stands in a pipeline.

    Attributes:
        pipeline: the pipeline.
        path: the iterators that lead here.
        optimizations: the rewrites that an `OptimizeDataset` around it asked for.
    """

    pipeline: Pipeline
    path: tuple[Hashable, ...] = ()
    optimizations: frozenset[str] = frozenset()

    def at(self, *parts: Hashable) -> Place:
        """The place of an iterator that this one takes from."""
        return replace(self, path=(*self.path, *parts))

    def optimized(self, optimizations: frozenset[str]) -> Place:
        return replace(self, optimizations=self.optimizations | optimizations)

    def left(self, kind: str, make: Callable[[], Any]) -> Any:
        """What an earlier iterator left here; made now if none did."""
        key = (*self.path, kind)
        if key not in self.pipeline.left:
            self.pipeline.left[key] = make()
        return self.pipeline.left[key]

    def callable(self, captured: Captured) -> Callable[..., list[Any]]:
        """The function, called with an element's components (and what it captures)."""
        pipeline, function = self.pipeline, captured.function
        instance = pipeline.instances.get(function)
        if instance is None:
            instance = pipeline.instances[function] = function.instantiate(pipeline.words)
        return lambda *arguments: instance(pipeline.context, *arguments, *captured.arguments)


class Dataset(HostObject):
    """A description of a sequence of elements. Subclasses are frozen dataclasses, equal by identity."""

    __slots__ = ()

    def iterate(self, place: Place) -> Iterator[Element]:
        """An iterator that starts at the first element."""
        raise NotImplementedError

    def cardinality(self) -> int:
        """The number of elements, `INFINITE`, or `UNKNOWN` where only iterating would tell."""
        return UNKNOWN


class Taking:
    """An iterator that takes from another one."""

    def __init__(self, input: Iterator[Element]):
        self.input = input

    def __iter__(self) -> Taking:
        return self

    def __next__(self) -> Element:
        raise NotImplementedError


def apart(value: Any) -> Any:
    """A dataset whose inputs are its own: one that is taken in two places is two, each with instances of its functions."""
    if isinstance(value, Captured):
        return replace(value, function=value.function.another())
    if isinstance(value, (list, tuple)):
        return type(value)(map(apart, value))
    if isinstance(value, Dataset):
        return replace(value, **{part.name: apart(getattr(value, part.name)) for part in fields(value)})  # type: ignore[type-var]
    return value


def description(cls: type) -> type:
    """Makes a class of datasets a frozen dataclass that is equal by identity."""
    return dataclass(frozen=True, eq=False)(cls)


def scalar(array: Any, what: str) -> Any:
    """The number or string of a scalar input. Raises `InvalidArgumentError` for another shape."""
    array = np.asarray(array)
    if array.ndim:
        raise InvalidArgumentError(f"{what} must be a scalar")
    return array.item()


def vector(array: Any, what: str) -> list[Any]:
    """The elements of an input of rank 1 at most."""
    array = np.asarray(array)
    if array.ndim > 1:
        raise InvalidArgumentError(f"`{what}` must be a scalar or a vector.")
    return array.ravel().tolist()


def dataset_of(variant: Any) -> Dataset:
    """The dataset that a variant holds. Raises `InvalidArgumentError` where it holds something else."""
    if isinstance(variant, np.ndarray) and variant.dtype == object and variant.ndim == 0:
        variant = variant.item()
    if not isinstance(variant, Dataset):
        raise InvalidArgumentError("Tensor must be a Dataset object.")
    return variant


def truth(results: Sequence[Any], what: str) -> bool:
    """What a predicate answered. Raises `InvalidArgumentError` unless that is one boolean."""
    if len(results) != 1 or np.asarray(results[0]).dtype != bool or np.asarray(results[0]).ndim:
        raise InvalidArgumentError(f"{what} must return a scalar bool.")
    return bool(results[0])


def seeds_of(seed: Any, seed2: Any, generator: Any) -> tuple[tuple[int, int], Any]:
    """The seeds of an op, and its generator afterwards; two zeros stand for a pair from that generator."""
    seeds = int(scalar(seed, "seed")), int(scalar(seed2, "seed2"))
    return (seeds, generator) if seeds != (0, 0) else draw_seeds(generator)
