"""Reductions over segments: the rows of `data` with equal ids.

The sorted forms have as many segments as the last id says, so that their ids must be known while tracing. Where errors
are ignored, the rows of an id out of range are dropped, as on TensorFlow's GPUs. Negative ids of the unsorted
forms are always dropped.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import Static, check, claim, is_known, lower
from mgjax.shapes import describe


def segment_sum(data, ids, size):
    """[size, *data.shape[ids.ndim:]]: the sums of the rows of each id, 0 where there is none."""
    return _places(data, ids, size, 0).at[_rows(ids, size)].add(data, mode="drop")


def segment_count(ids, size, dtype, rank):
    """[size, 1, ...]: how many rows each id has, at least 1, to divide an array of rank `rank` by."""
    # Counted in integers: float16 does not tell 2048 from 2049.
    count = segment_sum(jnp.ones(ids.shape, np.int32), ids, size)
    return jnp.reshape(jnp.maximum(count, 1).astype(dtype), (size,) + (1,) * (rank - 1))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def segment_prod(data, ids, size):
    """The products of the rows of each id, 1 where there is none."""
    return _places(data, ids, size, 1).at[_rows(ids, size)].multiply(data, mode="drop")


@segment_prod.defjvp
def _segment_prod_jvp(size, primals, tangents):
    # The derivative by one factor is the product of the others, which a zero among them makes 0.
    data, ids = primals
    product = segment_prod(data, ids, size)
    is_zero = data == 0
    zeros = segment_sum(is_zero.astype(np.int32), ids, size)
    others = segment_prod(jnp.where(is_zero, jnp.ones_like(data), data), ids, size)
    own = jnp.where(
        is_zero, _spread(others, ids), _spread(product, ids) / jnp.where(is_zero, jnp.ones_like(data), data)
    )
    own = jnp.where(is_zero & (_spread(zeros, ids) > 1), jnp.zeros_like(data), own)
    return product, segment_sum(tangents[0] * own, ids, size)


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def segment_extreme(data, ids, size, largest):
    """The largest (or smallest) of each id; where there is none, the lowest (or highest) finite value of the dtype."""
    limits = jnp.finfo(data.dtype) if jnp.issubdtype(data.dtype, jnp.floating) else jnp.iinfo(data.dtype)
    rows = _rows(ids, size)
    if largest:
        return _places(data, ids, size, limits.min).at[rows].max(data, mode="drop")
    return _places(data, ids, size, limits.max).at[rows].min(data, mode="drop")


@segment_extreme.defjvp
def _segment_extreme_jvp(size, largest, primals, tangents):
    # Equal extremes share evenly, as in TensorFlow's gradients (python/ops/math_grad.py).
    data, ids = primals
    extreme = segment_extreme(data, ids, size, largest)
    chosen = (data == _spread(extreme, ids)).astype(data.dtype)
    count = jnp.maximum(segment_sum(chosen, ids, size), 1)
    return extreme, segment_sum(tangents[0] * chosen, ids, size) / count


def _places(data, ids, size, value):
    return jnp.full((size, *data.shape[ids.ndim :]), value, data.dtype)


def _rows(ids, size):
    # A negative id is out of range, where JAX would count it from the end.
    return jnp.where(ids < 0, size, ids)


def _spread(segments, ids):
    """The segment of every row; zeros where an id is out of range."""
    return segments.at[_rows(ids, segments.shape[0])].get(mode="fill", fill_value=0)


def _unsorted(reduce):
    def unsorted_segment(data, segment_ids, num_segments: Static):
        size = int(num_segments)
        if data.shape[: segment_ids.ndim] != segment_ids.shape:
            raise InvalidArgumentError(
                f"data.shape = {describe(data.shape)} does not start with segment_ids.shape = "
                f"{describe(segment_ids.shape)}"
            )
        if size < 0:
            raise InvalidArgumentError(f"Input num_segments == {size} must not be negative.")
        if is_known(segment_ids):
            for position in np.argwhere(segment_ids >= size)[:1]:
                where = describe(position) if len(position) else ""
                value = segment_ids[tuple(position)]
                raise InvalidArgumentError(f"segment_ids{where} = {value} is out of range [0, {size})")
        return reduce(jnp.asarray(data), segment_ids, size)

    return unsorted_segment


def _max(data, ids, size):
    return segment_extreme(data, ids, size, True)


def _min(data, ids, size):
    return segment_extreme(data, ids, size, False)


_REDUCTIONS = {"Sum": segment_sum, "Prod": segment_prod, "Max": _max, "Min": _min}
for _name, _reduce in _REDUCTIONS.items():
    lower(f"UnsortedSegment{_name}", f"Segment{_name}V2")(_unsorted(_reduce))


@check(
    *(
        f"{kind}{_name}{version}"
        for kind, version in (("UnsortedSegment", ""), ("Segment", "V2"))
        for _name in _REDUCTIONS
    )
)
def unsorted_ids(segment_ids, num_segments):
    message = "segment_ids{at} = {value} is out of range [0, {size})"
    yield claim(segment_ids < num_segments, message, value=segment_ids, size=int(num_segments))


def _sorted_size(ids, rows):
    """The number of segments of known, sorted ids."""
    if ids.ndim != 1:
        raise InvalidArgumentError("segment_ids should be a vector.")
    if ids.shape[0] != rows:
        raise InvalidArgumentError("segment_ids should be the same size as dimension 0 of input.")
    if np.any(np.diff(ids) < 0):
        raise InvalidArgumentError("segment ids are not increasing")
    size = int(ids[-1]) + 1 if rows else 0
    if rows and ids[0] < 0:
        raise InvalidArgumentError(
            f"Segment id {ids[0]} out of range [0, {size}), possibly because 'segment_ids' input is not sorted."
        )
    return size


def _mean(data, ids, size):
    count = segment_count(ids, size, data.dtype, data.ndim)
    return _divide(segment_sum(data, ids, size), count)


def _divide(x, y):
    # Integers divide toward zero.
    return lax.div(*jnp.broadcast_arrays(x, y))


def _where_any(reduce):
    def reduce_or_zero(data, ids, size):
        """Zeros, not the dtype's limit, in a segment that no id names."""
        is_empty = np.isin(np.arange(size), ids, invert=True).reshape((size,) + (1,) * (data.ndim - 1))
        return jnp.where(is_empty, jnp.zeros((), data.dtype), reduce(data, ids, size))

    return reduce_or_zero


def _sorted(reduce):
    def sorted_segment(data, segment_ids: Static):
        return reduce(jnp.asarray(data), segment_ids, _sorted_size(segment_ids, data.shape[0]))

    return sorted_segment


lower("SegmentSum")(_sorted(segment_sum))
lower("SegmentProd")(_sorted(segment_prod))
lower("SegmentMean")(_sorted(_mean))
lower("SegmentMax")(_sorted(_where_any(_max)))
lower("SegmentMin")(_sorted(_where_any(_min)))


def _root_mean(data, ids, size):
    return segment_sum(data, ids, size) / jnp.sqrt(segment_count(ids, size, data.dtype, data.ndim))


def _gather(data, indices):
    if is_known(indices):
        for i in np.flatnonzero((indices < 0) | (indices >= data.shape[0]))[:1]:
            raise InvalidArgumentError(f"Bad: indices[{i}] == {indices[i]} out of range [0, {data.shape[0]})")
    return _spread(jnp.asarray(data), indices)


def _sparse(reduce):
    def sparse_segment(data, indices, segment_ids: Static):
        """`reduce` over the rows `indices` of `data`; `sparse_gradient` is a matter of Python's gradient."""
        return reduce(_gather(data, indices), segment_ids, _sorted_size(segment_ids, indices.shape[0]))

    return sparse_segment


def _sparse_with_size(reduce):
    def sparse_segment(data, indices, segment_ids, num_segments: Static):
        size = int(np.reshape(num_segments, ()))
        if is_known(segment_ids) and _sorted_size(segment_ids, indices.shape[0]) > size:
            raise InvalidArgumentError("segment ids must be < num_segments")
        return reduce(_gather(data, indices), segment_ids, size)

    return sparse_segment


def _sparse_gradient(weigh):
    def sparse_segment_grad(grad, indices, segment_ids, output_dim0: Static):
        """The gradient by `data`, of `output_dim0` rows: row `indices[i]` gets `grad[segment_ids[i]]`, weighted."""
        if is_known(segment_ids) and np.any(segment_ids >= grad.shape[0]):
            raise InvalidArgumentError("Invalid number of segments")
        size = int(output_dim0)
        if is_known(indices):
            for i in np.flatnonzero((indices < 0) | (indices >= size))[:1]:
                raise InvalidArgumentError(f"Index {indices[i]} out of range [0, {size}).")
        count = segment_count(segment_ids, grad.shape[0], grad.dtype, grad.ndim)
        return segment_sum(_spread(weigh(jnp.asarray(grad), count), segment_ids), indices, size)

    return sparse_segment_grad


def _sparse_gradient_rows(weigh):
    gradient = _sparse_gradient(weigh)

    def sparse_segment_grad_v2(grad, indices: Static, segment_ids, dense_output_dim0: Static):
        """The gradient's rows that are not zero, and which rows these are, in order."""
        for i in np.flatnonzero((indices < 0) | (indices >= dense_output_dim0))[:1]:
            raise InvalidArgumentError(f"Index {indices[i]} out of range [0, {dense_output_dim0}).")
        rows, places = np.unique(indices, return_inverse=True)
        return gradient(grad, places, segment_ids, np.int32(rows.size)), rows

    return sparse_segment_grad_v2


for _name, _reduce, _weigh in (
    ("Sum", segment_sum, lambda grad, count: grad),
    ("Mean", _mean, lambda grad, count: grad / count),
    ("SqrtN", _root_mean, lambda grad, count: grad / jnp.sqrt(count)),
):
    lower(f"SparseSegment{_name}")(_sparse(_reduce))
    lower(f"SparseSegment{_name}WithNumSegments")(_sparse_with_size(_reduce))
    lower(f"SparseSegment{_name}Grad")(_sparse_gradient(_weigh))
    lower(f"SparseSegment{_name}GradV2")(_sparse_gradient_rows(_weigh))


_SPARSE = ("Sum", "Mean", "SqrtN")


@check(*(f"SparseSegment{_name}{_with}" for _name in _SPARSE for _with in ("", "WithNumSegments")))
def gathered(data, indices):
    size = data.shape[0]
    message = f"Bad: indices{{at}} == {{value}} out of range [0, {size})"
    yield claim((indices >= 0) & (indices < size), message, value=indices)


@check(*(f"SparseSegment{_name}WithNumSegments" for _name in _SPARSE))
def sorted_ids(segment_ids, num_segments):
    yield claim(segment_ids[1:] >= segment_ids[:-1], "segment ids are not increasing")
    yield claim(segment_ids >= 0, "segment ids must be >= 0")
    yield claim(segment_ids < num_segments, "segment ids must be < num_segments")


@check(*(f"SparseSegment{_name}Grad" for _name in _SPARSE))
def spread(grad, indices, segment_ids, output_dim0):
    size, segments = int(output_dim0), grad.shape[0]
    yield claim((indices >= 0) & (indices < size), f"Index {{value}} out of range [0, {size}).", value=indices)
    message = f"Segment id {{value}} out of range [0, {segments})."
    yield claim((segment_ids >= 0) & (segment_ids < segments), message, value=segment_ids)
