"""Candidate samplers that learn how often each class occurs: every class counts once, and once more for each time it was true."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.streams import Words, below
from mgjax.ops import HostObject, candidates, lower, philox

_MOST = 2**31 - 1


class ClassCounts(HostObject):
    """How often each class has been true, plus one: a value, int32[classes], never changed in place."""

    __slots__ = ("counts",)

    def __init__(self, counts: np.ndarray):
        self.counts = counts

    def __repr__(self) -> str:
        return f"<counts of {len(self.counts)} classes>"

    def with_classes(self, classes: np.ndarray) -> ClassCounts:
        """The counts with further true classes, as many as keep the total an int32."""
        room = _MOST - int(self.counts.sum(dtype=np.int64))
        counts = self.counts + np.bincount(classes.ravel()[:room], minlength=len(self.counts))
        return ClassCounts(counts.astype(np.int32))


@lower("LearnedUnigramCandidateSampler", "ThreadUnsafeUnigramCandidateSampler", host=True, draws=True, keeps=True)
def learned_unigram_candidate_sampler(true_classes, *, num_true, num_sampled, unique, range_max, held, generator):
    """Classes of [0, range_max), each as likely as its count says; then the true classes of this run are counted.

    Outputs as those of the other samplers (`mgjax.ops.candidates`). The draws go through the whole of the counts, so that a
    run's cost grows with `range_max`.
    """
    if true_classes.ndim != 2 or true_classes.shape[1] != num_true:
        raise InvalidArgumentError(
            f"true_classes must be a matrix with {num_true} columns (num_true), not of shape {true_classes.shape}"
        )
    if unique and num_sampled > range_max:
        raise InvalidArgumentError(f"Sampler's range is too small: {num_sampled} unique classes of {range_max}")
    if true_classes.size and not (true_classes.min() >= 0 and true_classes.max() < range_max):
        raise InvalidArgumentError(f"true_classes must lie in [0, {range_max})")
    known = held or ClassCounts(np.ones(range_max, np.int32))
    ends = np.cumsum(known.counts, dtype=np.int64)
    sampled, tries = _draw(ends, Words.of(generator), num_sampled, unique)

    def expected(classes: np.ndarray) -> np.ndarray:
        p = known.counts[classes].astype(np.float32) / np.float32(ends[-1])
        if tries == num_sampled:
            return p * np.float32(num_sampled)
        return -np.expm1(np.float32(tries) * np.log1p(-p))

    after = philox.skip(generator, (candidates.BLOCKS_PER_SAMPLE * num_sampled + 3) // 4)
    return sampled, expected(true_classes), expected(sampled), known.with_classes(true_classes), np.asarray(after)


def _draw(ends: np.ndarray, stream: Iterator[int], wanted: int, unique: bool) -> tuple[np.ndarray, int]:
    """`wanted` classes, all different if `unique`, and how many were drawn for them."""
    sampled: list[int] = []
    used: set[int] = set()
    tries = 0
    while len(sampled) < wanted:
        tries += 1
        value = int(np.searchsorted(ends, below(int(ends[-1]), stream), side="right"))
        if not (unique and value in used):
            used.add(value)
            sampled.append(value)
    return np.array(sampled, np.int64), tries
