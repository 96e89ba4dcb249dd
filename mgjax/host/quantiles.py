"""Quantiles of streams of weighted numbers, within an error, in little memory: where boosted trees take their buckets from.

A summary is a float32 matrix of rows (value, weight, least rank, greatest rank), values increasing. A stream keeps one for
each level; those of a level that has grown too long are compressed, and merged into the next (boosted_trees/quantiles).
TensorFlow's arithmetic is float32, but for the comparison with the allowed error, and so is what is here. Of equal values
it adds the weights in the order in which an unstable sort leaves them; here it is that of the stream, so that the last bit of
a sum of unequal weights may differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mgjax.errors import InternalError, InvalidArgumentError, NotFoundError
from mgjax.host.boosted_splits import check_scalars
from mgjax.ops import HostObject, lower
from mgjax.shapes import describe

_VALUE, _WEIGHT, _LEAST, _GREATEST = range(4)
_EMPTY = np.zeros((0, 4), np.float32)


def _before(summary: np.ndarray) -> np.ndarray:
    """The greatest rank of the next smaller value."""
    return summary[:, _GREATEST] - summary[:, _WEIGHT]


def _behind(summary: np.ndarray) -> np.ndarray:
    """The least rank of the next larger value."""
    return summary[:, _LEAST] + summary[:, _WEIGHT]


def _summary_of(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The exact summary of numbers."""
    unique, place = np.unique(values, return_inverse=True)
    summed = np.zeros(len(unique), np.float32)
    np.add.at(summed, place, weights)
    greatest = np.cumsum(summed, dtype=np.float32)
    least = np.concatenate([np.zeros(1, np.float32), greatest[:-1]])[: len(unique)]
    return np.stack([unique, summed, least, greatest], axis=1)


def _merged(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The summary of both; a value's ranks grow by those of the other summary's values around it."""
    if not len(first) or not len(second):
        return first if len(first) else second
    parts = []
    for summary, other in ((first, second), (second, first)):
        below = np.searchsorted(other[:, _VALUE], summary[:, _VALUE])
        is_shared = np.isin(summary[:, _VALUE], other[:, _VALUE])
        least = np.concatenate([np.zeros(1, np.float32), _behind(other)])[below]
        greatest = np.concatenate([_before(other), other[-1:, _GREATEST]])[below]
        alone = summary.copy()
        alone[:, _LEAST] += least
        alone[:, _GREATEST] += greatest
        parts.append(alone[~is_shared])
    _, at, other_at = np.intersect1d(first[:, _VALUE], second[:, _VALUE], assume_unique=True, return_indices=True)
    shared = first[at] + second[other_at]
    shared[:, _VALUE] = first[at, _VALUE]
    rows = np.concatenate([*parts, shared])
    return rows[np.argsort(rows[:, _VALUE], kind="stable")]


def _compressed(summary: np.ndarray, size_hint: int, least_error: float = 0.0) -> np.ndarray:
    """At most about `size_hint` of the rows, the first and the last among them, so far as the error stays small."""
    size_hint, count = max(size_hint, 2), len(summary)
    if count <= size_hint:
        return summary
    allowed = float(summary[-1, _GREATEST]) * max(1.0 / size_hint, least_error)
    before, behind = list(_before(summary)), list(_behind(summary))
    kept = []
    read = spent = 0
    while read + 1 < count:
        then = read + 1
        while then < count and spent < count and float(before[then] - behind[read]) <= allowed:
            spent += size_hint
            then += 1
        read = max(read + 1, then - 1)
        kept.append(read)
        spent -= count
    if kept[-1] + 1 != count:
        kept.append(count - 1)
    return summary[[0, *kept]]


def _boundaries(summary: np.ndarray, count: int) -> np.ndarray:
    """Some `count` values that stand for the numbers, without repetition."""
    if not len(summary):
        return np.zeros(0, np.float32)
    gaps = np.maximum(
        summary[1:, _GREATEST] - summary[1:, _LEAST] - summary[1:, _WEIGHT],
        _before(summary)[1:] - _behind(summary)[:-1],
    )
    error = float(gaps.max(initial=np.float32(0))) / float(summary[-1, _GREATEST])
    values = _compressed(summary, count, float(np.float32(error + 1.0 / count)))[:, _VALUE]
    return values[np.concatenate([[True], values[1:] != values[:-1]])]


def _quantiles(summary: np.ndarray, count: int) -> np.ndarray:
    """`count` values, those of evenly spaced ranks."""
    if not len(summary):
        raise InternalError(f"{count} quantiles are wanted of a stream that had no entries")
    parts = max(count - 1, 2)
    ranks = np.arange(parts + 1).astype(np.float32)
    doubled = np.float32(2) * (ranks * summary[-1, _GREATEST] / np.float32(parts))
    then = np.maximum(np.searchsorted(summary[:, _LEAST] + summary[:, _GREATEST], doubled, side="right"), 1)
    ends = then == len(summary)
    closer = doubled < _behind(summary)[then - 1] + _before(summary)[np.where(ends, 0, then)]
    return summary[np.where(ends | closer, then - 1, then), _VALUE]


@dataclass(frozen=True, eq=False)
class Stream:
    """What a stream has seen.

    Attributes:
        epsilon: the allowed error, of the total weight.
        max_elements: how many numbers will come at most.
        levels: the summaries, those of higher levels compressed more often.
    """

    epsilon: float
    max_elements: int
    levels: tuple[np.ndarray, ...] = ()

    @property
    def block_size(self) -> int:
        """How long a level's summary may become."""
        level, size = 1, 2
        if self.epsilon <= np.finfo(np.float64).eps:
            return max(self.max_elements, 2)
        while (size << level) < self.max_elements:
            size = math.ceil(level / self.epsilon) + 1
            level += 1
        return max(size, 2)

    def push(self, summary: np.ndarray) -> Stream:
        """The stream after the numbers of a summary."""
        block = self.block_size
        summary = _compressed(summary, block, self.epsilon)
        if not len(summary):
            return self
        levels = list(self.levels)
        for i in range(len(levels) + 1):
            held = levels[i] if i < len(levels) else _EMPTY
            levels[i : i + 1] = [_EMPTY]
            summary = _merged(summary, held)
            if not len(held) or len(summary) <= block + 1:
                levels[i] = summary
                break
            summary = _compressed(summary, block, self.epsilon)
        return replace(self, levels=tuple(levels))

    def push_all(self, values: np.ndarray, weights: np.ndarray) -> Stream:
        """The stream after numbers with weights, of which those that are not positive do not count."""
        stream, size = self, min(2 * self.block_size, self.max_elements)
        counts = ~(weights <= 0)
        values, weights = values[counts], weights[counts]
        for i in range(0, len(values), size):
            stream = stream.push(_summary_of(values[i : i + size], weights[i : i + size]))
        return stream

    def summary(self) -> np.ndarray:
        """The summary of all."""
        summary = _EMPTY
        for level in self.levels:
            summary = _merged(summary, level)
        return summary


@dataclass(frozen=True, eq=False)
class Streams(HostObject):
    """The streams of several features, and the boundaries that came of those which were flushed.

    Attributes:
        streams: None before the resource is created.
        boundaries: float32[boundaries] of each.
    """

    streams: tuple[Stream, ...] | None = None
    boundaries: tuple[np.ndarray, ...] = ()

    def fresh(self, boundaries: Iterable[np.ndarray]) -> Streams:
        """With streams that have seen nothing, and with these boundaries."""
        return Streams(tuple(replace(stream, levels=()) for stream in _streams(self)), tuple(boundaries))

    def __repr__(self) -> str:
        return "<quantile streams, not created>" if self.streams is None else f"<{len(self.streams)} quantile streams>"


def _streams(handle: Streams, count: int | None = None) -> tuple[Stream, ...]:
    """The streams of a handle, which must be `count`."""
    if handle.streams is None:
        raise NotFoundError("the handle's BoostedTreesQuantileStreamResource does not exist: it was not created")
    if count is not None and count != len(handle.streams):
        raise InternalError(f"Expected num_streams == num_features, got {len(handle.streams)} vs {count}")
    return handle.streams


def _checked(epsilon: np.ndarray) -> float:
    check_scalars(epsilon=epsilon)
    if not epsilon > 0:
        raise InvalidArgumentError("An epsilon value of zero is not allowed.")
    if not epsilon < 1:
        raise InvalidArgumentError(f"epsilon must be below 1, not {epsilon}")
    return float(epsilon)


_HANDLE = "quantile_stream_resource_handle"


@lower("BoostedTreesQuantileStreamResourceHandleOp", makes="quantile streams", host=True)
def boosted_trees_quantile_stream_resource_handle_op(*, held):
    return Streams() if held is None else held


@lower("IsBoostedTreesQuantileStreamResourceInitialized", reads=(_HANDLE,), host=True)
def is_boosted_trees_quantile_stream_resource_initialized(quantile_stream_resource_handle):
    return np.array(quantile_stream_resource_handle.streams is not None)


@lower("BoostedTreesCreateQuantileStreamResource", updates=(_HANDLE,), host=True)
def boosted_trees_create_quantile_stream_resource(
    quantile_stream_resource_handle, epsilon, num_streams, *, max_elements=1 << 40
):
    """Of a handle that has streams already, those stay."""
    error = _checked(epsilon)
    check_scalars(num_streams=num_streams)
    if num_streams < 0:
        raise InvalidArgumentError("Num_streams input cannot be a negative integer")
    if quantile_stream_resource_handle.streams is not None:
        return quantile_stream_resource_handle
    count = int(num_streams)
    return Streams((Stream(error, max_elements),) * count, (np.zeros(0, np.float32),) * count)


@lower("BoostedTreesMakeQuantileSummaries", host=True)
def boosted_trees_make_quantile_summaries(float_values, example_weights, epsilon):
    """The summary of each feature's values, [entries, 4]: value, weight, least and greatest rank."""
    if not float_values:
        raise InternalError("Got empty feature list")
    error, weights, batch = _checked(epsilon), example_weights.ravel(), float_values[0].size
    if len(weights) not in (1, batch):
        raise InvalidArgumentError("Weights should be a single value or same size as features.")
    stream, weights = Stream(error, batch + 1), np.broadcast_to(weights, (batch,))
    return ([stream.push_all(values.ravel(), weights).summary() for values in float_values],)


@lower("BoostedTreesQuantileStreamResourceAddSummaries", updates=(_HANDLE,), host=True)
def boosted_trees_quantile_stream_resource_add_summaries(quantile_stream_resource_handle, summaries):
    streams = _streams(quantile_stream_resource_handle, len(summaries))
    for summary in summaries:
        if summary.ndim != 2 or summary.shape[1] != 4:
            raise InternalError(f"Expected tensor_shape.dim_size(1) == 4, got {describe(summary.shape)}")
    pushed = (stream.push(summary) for stream, summary in zip(streams, summaries, strict=True))
    return replace(quantile_stream_resource_handle, streams=tuple(pushed))


@lower("BoostedTreesFlushQuantileSummaries", updates=(_HANDLE,), host=True)
def boosted_trees_flush_quantile_summaries(quantile_stream_resource_handle, *, num_features):
    """The summaries, and streams that begin anew."""
    summaries = [stream.summary() for stream in _streams(quantile_stream_resource_handle, num_features)]
    return quantile_stream_resource_handle.fresh(quantile_stream_resource_handle.boundaries), summaries


@lower("BoostedTreesQuantileStreamResourceFlush", updates=(_HANDLE,), host=True)
def boosted_trees_quantile_stream_resource_flush(
    quantile_stream_resource_handle, num_buckets, *, generate_quantiles=False
):
    """Makes boundaries of what the streams have seen; these begin anew."""
    check_scalars(num_buckets=num_buckets)
    if num_buckets < 1:
        raise InvalidArgumentError(f"num_buckets must be positive, not {num_buckets}")
    make = _quantiles if generate_quantiles else _boundaries
    streams = _streams(quantile_stream_resource_handle)
    return quantile_stream_resource_handle.fresh(make(stream.summary(), int(num_buckets)) for stream in streams)


@lower("BoostedTreesQuantileStreamResourceDeserialize", updates=(_HANDLE,), host=True)
def boosted_trees_quantile_stream_resource_deserialize(quantile_stream_resource_handle, bucket_boundaries):
    _streams(quantile_stream_resource_handle, len(bucket_boundaries))
    for i, boundaries in enumerate(bucket_boundaries):
        if boundaries.ndim != 1:
            raise InvalidArgumentError(
                f"bucket boundaries for each stream must be a vector, received shape {describe(boundaries.shape)} "
                f"for stream {i}"
            )
    return replace(quantile_stream_resource_handle, boundaries=tuple(bucket_boundaries))


@lower("BoostedTreesQuantileStreamResourceGetBucketBoundaries", reads=(_HANDLE,), host=True)
def boosted_trees_quantile_stream_resource_get_bucket_boundaries(
    quantile_stream_resource_handle, *, num_features
) -> tuple[Sequence[np.ndarray]]:
    _streams(quantile_stream_resource_handle, num_features)
    return (list(quantile_stream_resource_handle.boundaries),)
