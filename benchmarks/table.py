"""The rows of the table that the benchmarks print."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what is measured.
        ours: what it costs with mgjax, in `unit`.
        against: what stands beside it, in words.
        theirs: what that costs, in `unit`; or a fixed amount of it.
        unit: "s", "ms", "us".
        limit: the most that ours / theirs should be, or None.
    """

    what: str
    ours: float
    against: str
    theirs: float
    unit: str
    limit: float | None = None

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def is_within(self) -> bool:
        return self.limit is None or self.ratio <= self.limit

    def __str__(self) -> str:
        verdict = "" if self.limit is None else f"{self.limit:5.2f} {'yes' if self.is_within else 'NO'}"
        ours, theirs = (f"{number:9.3f} {self.unit:2}" for number in (self.ours, self.theirs))
        return f"{self.what:54} {ours}  {theirs}  {self.ratio:6.2f}  {verdict:9} {self.against}"


HEADER = f"{'what':54} {'mgjax':>12}  {'beside it':>12}  {'ratio':>6}  {'at most':9} what is beside it"


def alternate(calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each call returns, the calls taking turns, so that a slow spell of the machine meets them all."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(call())
    return {name: statistics.median(numbers) for name, numbers in found.items()}


def seconds_a_call(function: Callable[..., Any], *arguments: Any, repeats: int = 200) -> Callable[[], float]:
    """A call that measures: the mean time of one of `repeats` calls, after one that compiles and each awaited."""
    jax.block_until_ready(function(*arguments))

    def measure() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            jax.block_until_ready(function(*arguments))
        return (time.perf_counter() - start) / repeats

    return measure
