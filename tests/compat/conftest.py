"""The same claims are checked of this package's `tf` and of TensorFlow's."""

from __future__ import annotations

import pytest

import mgjax.compat.v1


@pytest.fixture(params=["mgjax", "tensorflow"])
def tf(request):
    """`mgjax.compat.v1`, then `tensorflow.compat.v1`; each with a graph of its own as the default."""
    module = mgjax.compat.v1 if request.param == "mgjax" else pytest.importorskip("tests.live").tf
    with module.Graph().as_default():
        yield module


@pytest.fixture
def session(tf):
    """A session of the default graph."""
    with tf.Session() as session:
        yield session
