"""Collectives of one device, by what TensorFlow 1.15 gave for them."""

import numpy as np
import pytest

from mgjax.errors import InternalError, InvalidArgumentError, UnsupportedError
from mgjax.ops.collectives import (
    collective_bcast_recv,
    collective_bcast_send,
    collective_gather,
    collective_reduce,
)

X = np.arange(4, dtype=np.float32)


def test_a_device_alone_gets_what_it_gives():
    assert collective_reduce(X, group_size=1, merge_op="Add") is X
    assert collective_gather(X, group_size=1, shape=(4,)) is X
    assert collective_bcast_send(X, group_size=1, shape=(4,)) is X


def test_a_device_alone_receives_nothing():
    with pytest.raises(InternalError, match="found no source"):
        collective_bcast_recv(group_size=1, shape=(4,))


def test_calls_that_tensorflow_refuses_are_refused():
    with pytest.raises(InternalError, match="does not match"):
        collective_bcast_send(X, group_size=1, shape=(5,))
    with pytest.raises(InvalidArgumentError, match="merge_op must be"):
        collective_reduce(X, group_size=1, merge_op="Min")
    with pytest.raises(InternalError):
        collective_reduce(X, group_size=0, merge_op="Add")


def test_groups_of_several_devices_are_refused_with_what_to_do():
    with pytest.raises(UnsupportedError, match="psum"):
        collective_reduce(X, group_size=2, merge_op="Add")
