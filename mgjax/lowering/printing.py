"""Prints in the midst of compiled programs: a callback to Python, which costs nothing where there is no print.

TensorFlow's prints happen as the graph runs, once for each time that their operation does. A side of a branch that does not
run prints nothing; `vmap` turns a branch into both of its sides, so that each print is told which sides it stands on. A
program that is run again, because a plan had to be made anew or a list had too little room, prints once even so.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.ir import Operation, walk
from mgjax.lowering.evaluate import Environment, Evaluator, uninitialized
from mgjax.passes import PRINTED, free_values


class PrintCounts:
    """How often each `Print` with a `first_n` has printed."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, name: str, most: int) -> bool:
        """Whether the `Print` of the name may print once more; it may `most` times, always if that is negative."""
        with self._lock:
            may = most < 0 or self._counts[name] < most
            self._counts[name] += may
        return may

    def clear(self) -> None:
        """Starts anew, as a new session does."""
        with self._lock:
            self._counts.clear()


class Printer:
    """Where the prints of one program go."""

    def __init__(self, counts: PrintCounts):
        self._counts = counts
        self._held: list[Callable[[], None]] | None = None
        self._done: set[Operation] = set()

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """A run, at the end of which all is printed."""
        try:
            yield
        finally:
            jax.effects_barrier()
            self._done = set()

    def end(self, operations: Iterable[Operation]) -> None:
        """Waits for what the operations print, and lets them print no more in this run."""
        if prints := prints_in(operations):
            jax.effects_barrier()
            self._done |= prints

    def begin(self, operations: Iterable[Operation]) -> None:
        """Lets the operations print again: they are run once more because a loop goes round."""
        self._done.difference_update(operations)

    def print(self, operation: Operation, write: Callable[[], None]) -> None:
        """Writes, or keeps for later what `write` does."""
        if operation in self._done:
            return

        def counted() -> None:
            if self._counts.take(operation.name, operation.attributes.get("first_n", -1)):
                write()

        counted() if self._held is None else self._held.append(counted)

    @contextlib.contextmanager
    def holding(self, may_repeat: bool) -> Iterator[Callable[[], None]]:
        """A scope in which prints wait, if what runs in it may have to run again; gives what forgets them."""
        if not may_repeat or self._held is not None:
            yield lambda: None
            return
        held = self._held = []

        def forget() -> None:
            jax.effects_barrier()
            held.clear()

        try:
            yield forget
            jax.effects_barrier()
        finally:
            self._held = None
        for counted in held:
            counted()


def prints_in(operations: Iterable[Operation]) -> set[Operation]:
    """The prints among the operations and in their regions."""
    inner = (each for operation in operations for each in (operation, *(x for r in operation.regions for x in walk(r))))
    return {operation for operation in inner if operation.kind == PRINTED}


def evaluate_printed(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """Prints what the region gives: at once, or when the program that is traced runs."""
    if environment.is_replay:
        return []
    (region,) = operation.regions
    captured = {value: environment[value] for value in free_values(region)}
    for value, array in captured.items():
        if array is None:
            raise uninitialized(operation, value)
    given = {value: array for value, array in captured.items() if isinstance(array, jax.Array)}
    known = {value: array for value, array in captured.items() if value not in given}
    kind = operation.attributes["op"]
    lowering = evaluator.lowerings[kind]
    keywords = {k: v for k, v in operation.attributes.items() if lowering.keywords and k in lowering.keywords}
    predicates, sides = [predicate for predicate, _ in environment.sides], [side for _, side in environment.sides]

    def write(runs: Sequence[Any], arrays: Sequence[Any]) -> None:
        if any(bool(np.asarray(predicate)) is not side for predicate, side in zip(runs, sides, strict=True)):
            return
        held = [_from_words(words, value.dtype) for words, value in zip(arrays, given.values(), strict=True)]
        inner = Environment({**known, **dict(zip(given, held, strict=True))})
        texts = [np.asarray(text) for text in evaluator.block(region, (), inner)]
        inputs = (None, texts) if kind == "Print" else texts
        evaluator.printer.print(operation, lambda: lowering.function(*inputs, **keywords))

    arrays = [_as_words(array) for array in given.values()]
    if isinstance(jnp.zeros(()), jax.core.Tracer) or any(isinstance(x, jax.core.Tracer) for x in arrays):
        jax.debug.callback(write, predicates, arrays, ordered=environment.is_in_order)
    else:
        write(predicates, arrays)
    return []


def _as_words(array: Any) -> Any:
    """The array as JAX hands it to Python whatever the mode: without its 64-bit mode that is no number of 64 bits."""
    if array.dtype == np.complex128:
        array = jnp.stack([array.real, array.imag], -1)
    return (
        jax.lax.bitcast_convert_type(array, np.uint32)
        if array.dtype.itemsize == 8 and array.dtype.kind != "c"
        else array
    )


def _from_words(words: Any, dtype: Any) -> np.ndarray:
    array = np.ascontiguousarray(words)
    if array.dtype == dtype:
        return np.asarray(words)
    found = array.view(np.float64 if dtype == np.complex128 else dtype)[..., 0]
    return np.ascontiguousarray(found).view(dtype)[..., 0] if dtype == np.complex128 else found
