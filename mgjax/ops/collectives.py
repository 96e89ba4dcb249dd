"""Collectives (core/kernels/collective_ops.cc) of groups of one: what a device alone exchanges with itself.

Groups of several devices are refused: each of their ops waits for the others, whichever runs bring them.
"""

from __future__ import annotations

from mgjax.errors import InternalError, InvalidArgumentError, UnsupportedError
from mgjax.ops.registry import lower
from mgjax.shapes import describe, is_compatible


def _check_alone(group_size: int) -> None:
    if group_size < 1:
        raise InternalError(f"a collective of {group_size} devices has no implementation")
    if group_size > 1:
        raise UnsupportedError(
            f"a collective of {group_size} devices; only groups of one are run: take the sum over devices out of the graph, "
            "and let `jax.lax.psum` do it"
        )


@lower("CollectiveReduce")
def collective_reduce(input, *, group_size, merge_op):
    _check_alone(group_size)
    if merge_op not in ("Add", "Mul"):
        raise InvalidArgumentError(f'merge_op must be one of {{"Add", "Mul"}} but got {merge_op}')
    return input


@lower("CollectiveGather")
def collective_gather(input, *, group_size, shape):
    """The input; the shape that the op declares is only looked at by later executions in TensorFlow."""
    _check_alone(group_size)
    return input


@lower("CollectiveBcastSend")
def collective_bcast_send(input, *, group_size, shape):
    _check_alone(group_size)
    if not is_compatible(input.shape, shape):
        raise InternalError(
            f"Declared shape of op {describe(shape)} does not match shape of input {describe(input.shape)}"
        )
    return input


@lower("CollectiveBcastRecv")
def collective_bcast_recv(*, group_size, shape):
    """An error, as in TensorFlow: a device alone has nobody to receive from."""
    _check_alone(group_size)
    raise InternalError(
        "found no source for broadcast.  This could mean that there were group_size=1 BcastRecvs but no BcastSend."
    )
