"""What boosted trees count: sums of gradients and hessians by node, feature and bucket."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from mgjax.ops.registry import lower


@lower("BoostedTreesBucketize")
def boosted_trees_bucketize(float_values, bucket_boundaries):
    """The bucket of each value: the first whose boundary is not below it, or the last."""
    return [
        jnp.minimum(jnp.searchsorted(bounds, values, side="left"), len(bounds) - 1).astype(np.int32)
        for values, bounds in zip(float_values, bucket_boundaries, strict=True)
    ]


@lower("BoostedTreesMakeStatsSummary")
def boosted_trees_make_stats_summary(
    node_ids, gradients, hessians, bucketized_features_list, *, max_splits, num_buckets
):
    """[feature, node, bucket, 2]: the sums of gradients and of hessians."""
    both = jnp.concatenate([jnp.asarray(gradients), jnp.asarray(hessians)], axis=1)
    return jnp.stack([
        jnp.zeros((max_splits, num_buckets, 2), np.float32).at[node_ids, buckets].add(both)
        for buckets in bucketized_features_list
    ])  # fmt: skip


@lower("BoostedTreesAggregateStats")
def boosted_trees_aggregate_stats(node_ids, gradients, hessians, feature, *, max_splits, num_buckets):
    """[node, feature, bucket, gradient and hessian]: their sums; one more bucket is for missing values."""
    both = jnp.concatenate([jnp.asarray(gradients), jnp.asarray(hessians)], axis=1)
    count = feature.shape[1]
    sums = jnp.zeros((max_splits, count, num_buckets + 1, both.shape[1]), np.float32)
    return sums.at[jnp.asarray(node_ids)[:, None], np.arange(count), jnp.asarray(feature)].add(both[:, None])
