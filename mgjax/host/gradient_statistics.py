"""Sums of gradients by place in a tree: what the trees of tf.contrib.boosted_trees gather before they choose their splits.

(contrib/boosted_trees/kernels/stats_accumulator_ops.cc.) A slot is a partition (a leaf), a feature and a dimension of it; slots
come in the order of (partition, dimension, feature). An accumulator takes only updates that bear its stamp. Where TensorFlow
would end the process, for a flush with a wrong stamp, there is an error here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mgjax.errors import InternalError, InvalidArgumentError, NotFoundError
from mgjax.ops import HostObject, lower
from mgjax.shapes import describe

Slots = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class GradientStatistics(HostObject):
    """What an accumulator holds.

    Attributes:
        stamp: None before it is created.
        shapes: of a slot's gradient and hessian.
        updates: how many there were.
        slots: int32[slots] of partitions, int64[slots, 2] of features and dimensions, and the sums, float32[slots, ...].
    """

    stamp: int | None = None
    shapes: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    updates: int = 0
    slots: Slots | None = None

    def cleared(self, stamp: int) -> GradientStatistics:
        return replace(self, stamp=stamp, updates=0, slots=None)

    def held(self) -> Slots:
        if self.slots is not None:
            return self.slots
        gradients, hessians = (np.zeros((0, *shape), np.float32) for shape in self.shapes)
        return np.zeros(0, np.int32), np.zeros((0, 2), np.int64), gradients, hessians

    def add(self, *slots: np.ndarray) -> GradientStatistics:
        for name, values, shape in zip(("Gradients", "Hessian"), slots[2:], self.shapes, strict=True):
            if values.shape[1:] != shape:
                raise InvalidArgumentError(
                    f"{name} dimensions must match: {describe(values.shape[1:])}, {describe(shape)}"
                )
        both = (np.concatenate(pair) for pair in zip(self.held(), slots, strict=True))
        return replace(self, updates=self.updates + 1, slots=_summed(*both))

    def __repr__(self) -> str:
        if self.stamp is None:
            return "<statistics of gradients, not created>"
        return f"<statistics of gradients of {len(self.held()[0])} slots>"


def _summed(partitions, features, gradients, hessians) -> Slots:
    """Slots in order, those that are equal added up one after another."""
    keys = np.stack([partitions.astype(np.int64), features[:, 1], features[:, 0]], axis=1)
    unique, place = np.unique(keys, axis=0, return_inverse=True)
    place = place.ravel()
    sums = []
    for values in (gradients, hessians):
        summed = np.zeros((len(unique), *values.shape[1:]), np.float32)
        np.add.at(summed, place, values)
        sums.append(summed)
    return unique[:, 0].astype(np.int32), unique[:, :0:-1], *sums


def _created(handle: GradientStatistics) -> GradientStatistics:
    if handle.stamp is None:
        raise NotFoundError("the handle's StatsAccumulatorResource does not exist: it was not created")
    return handle


def _check_slots(partition_ids, feature_ids, gradients, hessians) -> None:
    if partition_ids.ndim != 1:
        raise InvalidArgumentError(f"partition_ids must be a vector, not {describe(partition_ids.shape)}")
    if feature_ids.shape != (len(partition_ids), 2):
        raise InvalidArgumentError(f"feature_ids must be [{len(partition_ids)},2], not {describe(feature_ids.shape)}")
    for name, values in (("gradients", gradients), ("hessians", hessians)):
        if not values.ndim or len(values) != len(partition_ids):
            raise InvalidArgumentError(f"{name} must have {len(partition_ids)} rows, not {describe(values.shape)}")


_HANDLE = "stats_accumulator_handle"


# ---- ops of both kinds of accumulators: of scalars, and of tensors


def resource_handle_op(*, held):
    return GradientStatistics() if held is None else held


def is_initialized(stats_accumulator_handle):
    return np.array(stats_accumulator_handle.stamp is not None)


def add(stats_accumulator_handles, stamp_token, partition_ids, feature_ids, gradients, hessians):
    """Updates each accumulator that has the stamp."""
    # An attr counts the handles, by which it is known which inputs are updated.
    new = []
    for handle, *slots in zip(stats_accumulator_handles, partition_ids, feature_ids, gradients, hessians, strict=True):
        _created(handle)
        _check_slots(*slots)
        new.append(handle.add(*slots) if handle.stamp == int(stamp_token) else handle)
    return (new,)


def flush(stats_accumulator_handle, stamp_token, next_stamp_token):
    """The number of updates and the slots, of an accumulator that begins anew with another stamp."""
    held = _created(stats_accumulator_handle)
    if held.stamp != int(stamp_token):
        raise InternalError(f"the accumulator's stamp is {held.stamp}, not {stamp_token}")
    if stamp_token == next_stamp_token:
        raise InternalError(f"the next stamp must not be the present one, {stamp_token}")
    return held.cleared(int(next_stamp_token)), np.array(held.updates, np.int64), *held.held()


def deserialize(stats_accumulator_handle, stamp_token, num_updates, partition_ids, feature_ids, gradients, hessians):
    slots = (partition_ids, feature_ids, gradients, hessians)
    _check_slots(*slots)
    return replace(_created(stats_accumulator_handle).cleared(int(stamp_token)).add(*slots), updates=int(num_updates))


def serialize(stats_accumulator_handle):
    held = _created(stats_accumulator_handle)
    return np.array(held.stamp, np.int64), np.array(held.updates, np.int64), *held.held()


def make_summary(partition_ids, feature_ids, gradients, hessians):
    """The slots, each once."""
    _check_slots(partition_ids, feature_ids, gradients, hessians)
    return _summed(partition_ids, feature_ids, gradients, hessians)


for kind in ("Scalar", "Tensor"):
    prefix = f"StatsAccumulator{kind}"
    lower(f"{prefix}ResourceHandleOp", makes=f"{kind.lower()} statistics of gradients", host=True)(resource_handle_op)
    lower(f"{prefix}IsInitialized", reads=(_HANDLE,), host=True)(is_initialized)
    lower(f"{prefix}Add", updates=("stats_accumulator_handles",), counted="num_resource_handles", host=True)(add)
    lower(f"{prefix}Flush", updates=(_HANDLE,), host=True)(flush)
    lower(f"{prefix}Deserialize", updates=(_HANDLE,), host=True)(deserialize)
    lower(f"{prefix}Serialize", reads=(_HANDLE,), host=True)(serialize)
    lower(f"{prefix}MakeSummary", host=True)(make_summary)


@lower("CreateStatsAccumulatorScalar", updates=(_HANDLE,), host=True)
def create_stats_accumulator_scalar(stats_accumulator_handle, stamp_token):
    """Of a handle that has an accumulator already, that one stays."""
    if stats_accumulator_handle.stamp is not None:
        return stats_accumulator_handle
    return GradientStatistics(int(stamp_token))


@lower("CreateStatsAccumulatorTensor", updates=(_HANDLE,), host=True)
def create_stats_accumulator_tensor(
    stats_accumulator_handle, stamp_token, per_slot_gradient_shape, per_slot_hessian_shape
):
    """Of a handle that has an accumulator already, that one stays."""
    if stats_accumulator_handle.stamp is not None:
        return stats_accumulator_handle
    shapes = tuple(per_slot_gradient_shape.tolist()), tuple(per_slot_hessian_shape.tolist())
    return GradientStatistics(int(stamp_token), shapes)
