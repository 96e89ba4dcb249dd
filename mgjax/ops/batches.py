"""Ops that gather the tasks of concurrent runs into batches (core/kernels/batch_kernels.cc), as a run alone sees them.

Runs do not meet here: each task is a batch of its own, once TensorFlow would have waited long enough for others. Its id, which
TensorFlow draws, is always the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from mgjax.errors import DeadlineExceededError, InvalidArgumentError
from mgjax.ops.registry import Static, array_module, lower

_ID = 1


def _padded_size(size: int, max_batch_size: int, allowed: Sequence[int]) -> int:
    if any(later <= earlier for earlier, later in itertools.pairwise(allowed)):
        raise InvalidArgumentError("allowed_batch_sizes entries must be monotonically increasing")
    if allowed and allowed[-1] != max_batch_size:
        raise InvalidArgumentError("final entry in allowed_batch_sizes must equal max_batch_size")
    if size > max_batch_size:
        raise InvalidArgumentError(f"Task size {size} is larger than maximum batch size {max_batch_size}")
    return next((wanted for wanted in allowed if wanted >= size), size)


@lower("Batch")
def batch(in_tensors, *, max_batch_size, allowed_batch_sizes=()):
    """The task's tensors with their first rows repeated up to an allowed size; its place, int64[1, 3]; its id."""
    if any(not x.ndim for x in in_tensors):
        raise InvalidArgumentError("Batching input tensors must have at least one dimension")
    size = in_tensors[0].shape[0]
    if any(x.shape[0] != size for x in in_tensors):
        raise InvalidArgumentError(
            "Batching input tensors supplied in a given op invocation must have equal 0th-dimension size"
        )
    padded = _padded_size(size, max_batch_size, allowed_batch_sizes)
    if padded > size == 0:
        raise InvalidArgumentError("a task without rows has none to pad its batch with")
    rows = np.concatenate([np.arange(size), np.zeros(padded - size, np.int64)]).astype(np.int32)
    batched = [x if padded == size else array_module(x).take(x, rows, axis=0) for x in in_tensors]
    return batched, np.array([[_ID, 0, size]], np.int64), np.array(_ID, np.int64)


def _places(batch_index: np.ndarray) -> dict[int, tuple[int, int]]:
    if batch_index.ndim != 2 or batch_index.shape[1] != 3:
        raise InvalidArgumentError("Wrong shape for index tensor. Expected 1st dimension size to be 3")
    return {key: (start, stop) for key, start, stop in batch_index.tolist()}


@lower("Unbatch")
def unbatch(batched_tensor, batch_index: Static, id: Static):
    """The rows of the task with this id."""
    if not batched_tensor.ndim or len(batch_index) > batched_tensor.shape[0]:
        raise InvalidArgumentError(
            "Wrong shape for index tensor. Expected 0th dimension size to be no greater than that of the batch"
        )
    places = _places(batch_index)
    if sum(stop - start for start, stop in places.values()) > batched_tensor.shape[0]:
        raise InvalidArgumentError("Sum of split sizes must not exceed dim0-size of input tensor")
    if int(id) not in places:
        raise DeadlineExceededError("Batched data did not arrive within timeout window.")
    # Parts follow one another, whatever the index says of where they begin.
    start = 0
    for key, (begin, end) in places.items():
        if key == int(id):
            return batched_tensor[start : start + end - begin]
        start += end - begin
    raise AssertionError("the id is in the index")


@lower("UnbatchGrad")
def unbatch_grad(original_input, batch_index: Static, grad, id: Static):
    """The gradient of the task's rows, which are the whole batch; of an empty input no rows."""
    if not np.prod(original_input.shape):
        return jnp.zeros((0, *grad.shape[1:]), grad.dtype)
    if not batch_index.size:
        raise InvalidArgumentError("batch_index is empty while the tensor isn't.")
    if missing := set(_places(batch_index)) - {int(id)}:
        raise DeadlineExceededError(
            f"the gradients of the tasks {sorted(missing)} do not come: no other run brings them"
        )
    return grad
