"""Accumulators of gradients: they add up what is applied to them, until enough has come for somebody to take the mean.

A gradient that was computed at an earlier step than the accumulator's is dropped. Taking waits until there are enough
gradients, and moves the accumulator's step on (core/kernels/conditional_accumulator_base.cc).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mgjax.dtypes import DType
from mgjax.errors import InvalidArgumentError
from mgjax.host.context import RunContext
from mgjax.ops import HostObject, lower
from mgjax.shapes import Shape, describe, is_compatible


class Accumulator(HostObject):
    """What has been applied since the last taking; it changes in place.

    Attributes:
        dtype, shape: of a gradient.
        is_mean: whether the sum is divided by the number of gradients when it is taken.
        count: how many gradients the sum holds.
        step: gradients of earlier steps are dropped.
        total: the sum; of a sparse accumulator lists of indices, of rows, and of how many gradients have each row.
    """

    __slots__ = ("count", "dtype", "is_mean", "is_sparse", "shape", "step", "total")

    def __init__(self, dtype: DType, shape: Shape, reduction_type: str, is_sparse: bool):
        if reduction_type not in ("MEAN", "SUM"):
            raise InvalidArgumentError(f"reduction_type must be MEAN or SUM, not {reduction_type}")
        self.dtype = dtype
        self.shape = shape
        self.is_mean = reduction_type == "MEAN"
        self.is_sparse = is_sparse
        self.count = 0
        self.step = 0
        self.total: Any = None

    def __repr__(self) -> str:
        return f"<accumulator of {self.dtype.name}{describe(self.shape)}, {self.count} gradients>"

    def check_dtype(self, gradient: np.ndarray) -> None:
        if gradient.dtype != self.dtype.numpy:
            raise InvalidArgumentError(
                f"Unexpected dtype: the accumulator is of {self.dtype.name}, the gradient of {gradient.dtype}"
            )

    def apply(self, context: RunContext, step: int, add: Callable[[Any], Any]) -> None:
        """Adds a gradient by `add`, from the sum before (None without any) to the sum after; drops it if it is stale."""
        if step < self.step:
            return
        self.total = add(self.total if self.count else None)
        self.count += 1
        context.notify()

    def take(self, context: RunContext, required: int) -> Any:
        """The sum, once enough gradients have come."""
        if required <= 0:
            raise InvalidArgumentError(f"Argument num_required must be positive, but got {required}")
        context.wait_until(
            lambda: self.count >= required,
            f"{required} gradients are wanted, and the accumulator has {self.count}",
        )
        self.step += 1
        total, self.total = self.total, None
        return total


def _held(held: Any, accumulator: Accumulator) -> Accumulator:
    if held is None:
        return accumulator
    if (held.dtype, held.is_sparse) != (accumulator.dtype, accumulator.is_sparse):
        raise InvalidArgumentError(f"the handle stands for {held!r} already")
    return held


@lower("ConditionalAccumulator", "ResourceConditionalAccumulator", makes="accumulator", host=True)
def conditional_accumulator(*, held, dtype, shape, reduction_type="MEAN"):
    return _held(held, Accumulator(dtype, shape, reduction_type, False))


@lower("SparseConditionalAccumulator", makes="accumulator", host=True)
def sparse_conditional_accumulator(*, held, dtype, shape, reduction_type="MEAN"):
    return _held(held, Accumulator(dtype, shape, reduction_type, True))


_TRAITS = {"reads": ("handle",), "host": True, "effect": True}


@lower("AccumulatorNumAccumulated", "ResourceAccumulatorNumAccumulated", **_TRAITS)
def accumulator_num_accumulated(handle):
    return np.array(handle.count, np.int32)


@lower("AccumulatorSetGlobalStep", "ResourceAccumulatorSetGlobalStep", **_TRAITS)
def accumulator_set_global_step(handle, new_global_step):
    handle.step = int(new_global_step)
    return ()


@lower("AccumulatorApplyGradient", "ResourceAccumulatorApplyGradient", context=True, **_TRAITS)
def accumulator_apply_gradient(handle, local_step, gradient, *, context):
    handle.check_dtype(gradient)
    if not is_compatible(handle.shape, gradient.shape):
        raise InvalidArgumentError(f"Shape mismatch: expected {describe(handle.shape)}, got {describe(gradient.shape)}")

    def add(total):
        if total is None:
            return gradient.copy()
        if total.shape != gradient.shape:
            raise InvalidArgumentError(
                f"Shape mismatch: expected {describe(total.shape)}, got {describe(gradient.shape)}"
            )
        return total + gradient

    handle.apply(context, int(local_step), add)
    return ()


@lower("AccumulatorTakeGradient", "ResourceAccumulatorTakeGradient", context=True, **_TRAITS)
def accumulator_take_gradient(handle, num_required, *, context):
    total = handle.take(context, int(num_required))
    count, handle.count = handle.count, 0
    return total / np.array(count, total.dtype) if handle.is_mean else total


@lower("SparseAccumulatorApplyGradient", context=True, **_TRAITS)
def sparse_accumulator_apply_gradient(
    handle, local_step, gradient_indices, gradient_values, gradient_shape, *, context, has_known_shape
):
    """Rows `gradient_values` at `gradient_indices` of a tensor of `gradient_shape`, where that is known."""
    handle.check_dtype(gradient_values)
    if gradient_indices.ndim != 1:
        raise InvalidArgumentError(
            f"Input indices should be vector but received shape: {describe(gradient_indices.shape)}"
        )
    if gradient_values.ndim < 1:
        raise InvalidArgumentError("Values cannot be 0-dimensional.")
    if len(gradient_values) != len(gradient_indices):
        raise InvalidArgumentError(
            f"Number of elements in indices and values should be equal: {len(gradient_indices)}, {len(gradient_values)}"
        )
    if has_known_shape and not is_compatible(handle.shape, tuple(gradient_shape.tolist())):
        raise InvalidArgumentError(
            f"Shape mismatch: expected {describe(handle.shape)}, got {describe(tuple(gradient_shape.tolist()))}"
        )
    inner = None if handle.shape is None else handle.shape[1:]
    if not is_compatible(inner, gradient_values.shape[1:]):
        raise InvalidArgumentError(
            f"Shape mismatch: expected values of {describe(inner)}, got {describe(gradient_values.shape[1:])}"
        )

    def add(total):
        if total is None:
            return gradient_indices.tolist(), list(gradient_values.copy()), [1] * len(gradient_indices)
        if any(row.shape != gradient_values.shape[1:] for row in total[1][:1]):
            raise InvalidArgumentError(
                f"Shape mismatch: expected values of {describe(total[1][0].shape)}, "
                f"got {describe(gradient_values.shape[1:])}"
            )
        return _merged(*total, gradient_indices.tolist(), gradient_values.copy())

    handle.apply(context, int(local_step), add)
    return ()


def _merged(indices, rows, counts, further, gradient):
    """Two lists of rows as one, in the order of their indices if both are in order; equal ones met side by side are added."""
    merged: list[tuple[int, Any, int]] = []
    i = j = 0
    while i < len(indices) and j < len(further):
        if indices[i] == further[j]:
            merged.append((indices[i], rows[i] + gradient[j], counts[i] + 1))
            i, j = i + 1, j + 1
        elif indices[i] < further[j]:
            merged.append((indices[i], rows[i], counts[i]))
            i += 1
        else:
            merged.append((further[j], gradient[j], 1))
            j += 1
    merged += zip(indices[i:], rows[i:], counts[i:], strict=True)
    merged += [(further[k], gradient[k], 1) for k in range(j, len(further))]
    return tuple(list(column) for column in zip(*merged, strict=True)) if merged else ([], [], [])


@lower("SparseAccumulatorTakeGradient", context=True, **_TRAITS)
def sparse_accumulator_take_gradient(handle, num_required, *, context):
    """A row's mean is over the gradients that have it."""
    indices, rows, counts = handle.take(context, int(num_required))
    handle.count = 0
    if handle.is_mean:
        rows = [row / np.array(count, row.dtype) for row, count in zip(rows, counts, strict=True)]
    inner = rows[0].shape if rows else tuple(n or 0 for n in (handle.shape or ())[1:])
    values = np.stack(rows) if rows else np.zeros((0, *inner), handle.dtype.numpy)
    shape = (-1, *inner) if handle.shape is None else tuple(-1 if n is None else n for n in handle.shape)
    return np.array(indices, np.int64), values, np.array(shape, np.int64)
