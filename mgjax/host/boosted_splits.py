"""The best splits of boosted trees' nodes, from the sums of gradients and hessians that each bucket holds."""

from __future__ import annotations

import numpy as np

from mgjax.errors import UnsupportedError
from mgjax.host.strings import strings
from mgjax.ops import lower

_LEAST_HESSIAN = 1e-15
_LEAST_GAIN = 1e-15


def _weights_and_gains(gradients, hessians, l1, l2):
    """What a leaf adds to the prediction, and by how much that lowers the loss (boosted_trees/tree_helper.h)."""
    shrunk = np.sign(gradients) * np.maximum(np.abs(gradients) - l1, np.float32(0))
    enough = hessians + l2 > _LEAST_HESSIAN
    weights = np.where(enough, -shrunk / np.where(enough, hessians + l2, np.float32(1)), np.float32(0))
    return weights, -shrunk * weights


@lower("BoostedTreesCalculateBestGainsPerFeature", host=True)
def boosted_trees_calculate_best_gains_per_feature(
    node_id_range, stats_summary_list, l1, l2, tree_complexity, min_node_weight, *, max_splits
):
    """For each feature, [node, bucket, 2]: the nodes that are heavy enough, and the gain, bucket and leaves of their best split."""
    found = []
    for stats in stats_summary_list:
        rows = []
        for node in range(int(node_id_range[0]), int(node_id_range[1])):
            left = np.cumsum(stats[node], axis=0, dtype=np.float32)
            total = left[-1]
            if total[1] < min_node_weight:
                continue
            _, parent = _weights_and_gains(*total, l1, l2)
            left_weights, left_gains = _weights_and_gains(left[:, 0], left[:, 1], l1, l2)
            right = total - left
            right_weights, right_gains = _weights_and_gains(right[:, 0], right[:, 1], l1, l2)
            gains = left_gains + right_gains
            bucket = _first_largest(gains)
            gain = gains[bucket] - parent - tree_complexity
            rows.append((node, gain, bucket, left_weights[bucket], right_weights[bucket]))
        columns = list(zip(*rows, strict=True)) or [()] * 5
        found.append(
            [
                np.array(columns[0], np.int32),
                np.array(columns[1], np.float32),
                np.array(columns[2], np.int32),
                np.array(columns[3], np.float32)[:, None],
                np.array(columns[4], np.float32)[:, None],
            ]
        )
    return tuple(list(column) for column in zip(*found, strict=True))


def _first_largest(gains):
    """The first bucket that no later one surpasses by more than rounding."""
    best = 0
    for bucket, gain in enumerate(gains):
        if gain - gains[best] >= _LEAST_GAIN:
            best = bucket
    return best


@lower("BoostedTreesCalculateBestFeatureSplit", host=True)
def boosted_trees_calculate_best_feature_split(
    node_id_range,
    stats_summary,
    l1,
    l2,
    tree_complexity,
    min_node_weight,
    *,
    logits_dimension,
    split_type="inequality",
):
    """The best split of each node that is heavy enough, over all dimensions of a feature, [node, dimension, bucket, 2].

    Returned are the nodes, and of each split its gain, dimension and bucket, the leaves and where missing values go, which
    the last bucket counts.
    """
    if logits_dimension != 1 or stats_summary.shape[-1] != 2:
        raise UnsupportedError(
            f"logits_dimension {logits_dimension} is not supported (1 is, with one gradient and hessian)"
        )
    rows = []
    for node in range(int(node_id_range[0]), int(node_id_range[1])):
        total = np.sum(stats_summary[node, 0], axis=0, dtype=np.float32)
        if total[1] < min_node_weight:
            continue
        # In the order in which TensorFlow tries them, which decides between equal ones.
        left, places = [], []
        for dimension, buckets in enumerate(stats_summary[node]):
            if split_type == "equality":
                tries = {b"EQUALITY_DEFAULT_RIGHT": buckets[:-1]}
            else:
                sums = np.cumsum(buckets[:-1], axis=0, dtype=np.float32)
                tries = {b"INEQUALITY_DEFAULT_LEFT": sums + buckets[-1], b"INEQUALITY_DEFAULT_RIGHT": sums}
            for direction, parts in tries.items():
                left.append(parts)
                places += [(dimension, bucket, direction) for bucket in range(len(parts))]
        left = np.concatenate(left)
        right = total - left
        left_weights, left_gains = _weights_and_gains(left[:, 0], left[:, 1], l1, l2)
        right_weights, right_gains = _weights_and_gains(right[:, 0], right[:, 1], l1, l2)
        gains = left_gains + right_gains
        best = _first_largest(gains)
        _, parent = _weights_and_gains(*total, l1, l2)
        gain = gains[best] - parent - tree_complexity
        rows.append((node, gain, *places[best], left_weights[best], right_weights[best]))
    nodes, gains, dimensions, buckets, directions, left, right = zip(*rows, strict=True) if rows else [()] * 7
    return (
        np.array(nodes, np.int32),
        np.array(gains, np.float32),
        np.array(dimensions, np.int32),
        np.array(buckets, np.int32),
        np.array(left, np.float32)[:, None],
        np.array(right, np.float32)[:, None],
        strings(list(directions)),
    )
