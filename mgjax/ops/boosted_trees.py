"""What boosted trees count: sums of gradients and hessians by node, feature and bucket."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from mgjax.ops.registry import lower


@lower("BoostedTreesBucketize")
def boosted_trees_bucketize(float_values, bucket_boundaries):
    """The bucket of each value: the first whose boundary is not below it, or the last; NaN is in the first."""
    return [
        _buckets(jnp.asarray(values).ravel()[: values.shape[0]], bounds)
        for values, bounds in zip(float_values, bucket_boundaries, strict=True)
    ]


def _buckets(values, bounds):
    places = jnp.searchsorted(bounds, values, side="left").astype(np.int32)
    return jnp.where(jnp.isnan(values), 0, jnp.clip(places, 0, max(len(bounds) - 1, 0)))


@lower("BoostedTreesMakeStatsSummary")
def boosted_trees_make_stats_summary(
    node_ids, gradients, hessians, bucketized_features_list, *, max_splits, num_buckets
):
    """[feature, node, bucket, 2]: the sums of gradients and of hessians, which TensorFlow adds up in float64."""
    both = _both(gradients[:, :1], hessians[:, :1])
    sums = [
        jnp.zeros((max_splits, num_buckets, 2), np.float64).at[node_ids, buckets].add(both)
        for buckets in bucketized_features_list
    ]
    return jnp.stack(sums).astype(np.float32)


def _both(gradients, hessians):
    return jnp.concatenate([jnp.asarray(gradients), jnp.asarray(hessians)], axis=1).astype(np.float64)


@lower("BoostedTreesAggregateStats")
def boosted_trees_aggregate_stats(node_ids, gradients, hessians, feature, *, max_splits, num_buckets):
    """[node, feature, bucket, gradient and hessian]: their sums; one more bucket, the last, is for missing values, -1."""
    both = _both(gradients, hessians)
    count = feature.shape[1]
    sums = jnp.zeros((max_splits, count, num_buckets + 1, both.shape[1]), np.float64)
    sums = sums.at[jnp.asarray(node_ids)[:, None], np.arange(count), jnp.asarray(feature)].add(both[:, None])
    return sums.astype(np.float32)
