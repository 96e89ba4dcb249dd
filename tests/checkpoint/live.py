"""A live TensorFlow 2.x, whose savers read and write the same files."""

import os
import warnings

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with warnings.catch_warnings():
    # TensorFlow's own modules use what newer NumPy and protobuf deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    tf = pytest.importorskip("tensorflow.compat.v1")
