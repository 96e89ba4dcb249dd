"""Sums of gradients and hessians over features of which most values are missing, and the best splits from them."""

from __future__ import annotations

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.boosted_splits import (
    LEFT,
    RIGHT,
    check_node_range,
    check_scalars,
    first_best,
    splits_of,
    weights_and_gains,
)
from mgjax.ops import lower
from mgjax.shapes import describe


def _check_ranks(wanted, **inputs):
    for name, value in inputs.items():
        if value.ndim != wanted:
            what = "vector" if wanted == 1 else "matrix"
            raise InvalidArgumentError(f"{name} must be a {what}, received shape {describe(value.shape)}")


@lower("BoostedTreesSparseAggregateStats", host=True)
def boosted_trees_sparse_aggregate_stats(
    node_ids, gradients, hessians, feature_indices, feature_values, feature_shape, *, max_splits, num_buckets
):
    """The sums over the examples of each node, dimension and bucket that has any, as a sparse tensor.

    Its shape is [node, dimension, bucket, gradient and hessian]. The feature is a sparse matrix of buckets, [batch,
    dimension]; what it lacks counts in one more bucket, the last.
    """
    _check_ranks(1, node_ids=node_ids, feature_values=feature_values, feature_shape=feature_shape)
    _check_ranks(2, gradients=gradients, hessians=hessians, feature_indices=feature_indices)
    if feature_indices.shape[1] != 2:
        raise InvalidArgumentError(
            f"feature_indices must be a matrix of shape [?, 2], received shape {describe(feature_indices.shape)}"
        )
    if len(feature_indices) != len(feature_values):
        raise InvalidArgumentError(
            f"there are {len(feature_values)} feature_values for {len(feature_indices)} feature_indices"
        )
    if np.any((feature_values < 0) | (feature_values > num_buckets)):
        raise InvalidArgumentError(f"feature_values must lie in [0, {num_buckets}]")
    batch, dimensions = len(gradients), int(feature_shape[1])
    rows, columns = feature_indices.T
    if np.any((rows < 0) | (rows >= batch) | (columns < 0) | (columns >= dimensions)):
        raise InvalidArgumentError(f"feature_indices must lie in [{batch},{dimensions}]")
    if np.any(np.diff(rows.astype(np.int64) * dimensions + columns) <= 0):
        raise InvalidArgumentError("feature_indices should be increasing")
    buckets = np.full((batch, dimensions), num_buckets, np.int64)
    buckets[rows, columns] = feature_values
    cells = (node_ids[:, None].astype(np.int64) * dimensions + np.arange(dimensions)) * (num_buckets + 1) + buckets
    there, place = np.unique(cells, return_inverse=True)
    stats = np.concatenate([gradients, hessians], axis=1)
    sums = np.zeros((len(there), stats.shape[1]), np.float32)
    # One example after another, as TensorFlow adds them.
    np.add.at(sums, place.reshape(batch, dimensions), stats[:, None])
    node_and_dimension, bucket = np.divmod(there, num_buckets + 1)
    node, dimension = np.divmod(node_and_dimension, max(dimensions, 1))
    count = stats.shape[1]
    indices = np.repeat(np.stack([node, dimension, bucket, np.zeros_like(node)], axis=1), count, axis=0)
    indices[:, 3] = np.tile(np.arange(count), len(there))
    shape = np.array([max_splits, dimensions, num_buckets + 1, count], np.int32)
    return indices.astype(np.int32), sums.ravel(), shape


@lower("BoostedTreesSparseCalculateBestFeatureSplit", host=True)
def boosted_trees_sparse_calculate_best_feature_split(
    node_id_range,
    stats_summary_indices,
    stats_summary_values,
    stats_summary_shape,
    l1,
    l2,
    tree_complexity,
    min_node_weight,
    *,
    logits_dimension,
    split_type="inequality",
):
    """The best split of each node that is heavy enough, from what `BoostedTreesSparseAggregateStats` gives of one logit.

    Returned is what `BoostedTreesCalculateBestFeatureSplit` returns. TensorFlow 1.15 does not look at the range.
    """
    check_node_range(node_id_range)
    check_scalars(l1=l1, l2=l2, tree_complexity=tree_complexity, min_node_weight=min_node_weight)
    _check_ranks(2, stats_summary_indices=stats_summary_indices)
    _check_ranks(1, stats_summary_values=stats_summary_values, stats_summary_shape=stats_summary_shape)
    missing, stats_count = int(stats_summary_shape[2]) - 1, int(stats_summary_shape[3])
    nodes, dimensions, buckets, stat = stats_summary_indices.astype(np.int64).T
    if np.any((stat < 0) | (stat >= stats_count)):
        raise InvalidArgumentError(f"the last of stats_summary_indices must lie in [0, {stats_count})")
    # A row for each dimension of each node, with its buckets in their order.
    keys, cell = np.unique(np.stack([nodes, dimensions, buckets], axis=1), axis=0, return_inverse=True)
    cells = np.zeros((len(keys), stats_count), np.float32)
    cells[cell.ravel(), stat] = stats_summary_values
    begins = np.flatnonzero(np.any(np.diff(keys[:, :2], axis=0, prepend=-1), axis=1))
    row = np.cumsum(np.isin(np.arange(len(keys)), begins)) - 1
    column = np.arange(len(keys)) - begins[row]
    width = int(column.max(initial=0)) + 1
    padded = np.zeros((len(begins), width, 2), np.float32)
    padded[row, column] = cells[:, :2]
    bucket = np.full((len(begins), width), -1)
    bucket[row, column] = keys[:, 2]

    is_first = np.diff(keys[begins, 0], prepend=-1) != 0
    sums = np.cumsum(padded, axis=1, dtype=np.float32)
    # A node's sums are those of its first dimension.
    of_node = sums[is_first, -1]
    total = of_node[np.cumsum(is_first) - 1][:, None]
    default = np.sum(np.where((bucket == missing)[..., None], padded, np.float32(0)), axis=1, dtype=np.float32)[:, None]
    # In the order in which TensorFlow tries them: missing values to the right, then to the left.
    left = np.stack([sums, sums + default], axis=2)
    right = np.stack([total - sums, total - default - sums], axis=2)
    left_weights, left_gains = weights_and_gains(left[..., 0], left[..., 1], l1, l2)
    right_weights, right_gains = weights_and_gains(right[..., 0], right[..., 1], l1, l2)
    is_tried = (bucket >= 0) & (bucket != missing)
    gains = np.where(is_tried[..., None], left_gains + right_gains, -np.inf).astype(np.float32)
    _, parents = weights_and_gains(of_node[:, 0], of_node[:, 1], l1, l2)

    chosen = []
    ends = [*np.flatnonzero(is_first)[1:].tolist(), len(begins)]
    for i, (begin, end) in enumerate(zip(np.flatnonzero(is_first).tolist(), ends, strict=True)):
        if of_node[i, 1] < min_node_weight:
            continue
        place = int(first_best(gains[begin:end].reshape(1, -1))[0])
        if place >= 0:
            at = np.unravel_index(place, gains[begin:end].shape)
            chosen.append((i, begin + at[0], at[1], at[2]))
    node, row, column, way = np.array(chosen, np.intp).reshape(-1, 4).T
    at = row, column, way
    return splits_of(
        keys[begins[row], 0],
        gains[at] - parents[node] - tree_complexity,
        keys[begins[row], 1],
        bucket[row, column],
        left_weights[at][:, None],
        right_weights[at][:, None],
        [(RIGHT, LEFT)[i] for i in way],
    )
