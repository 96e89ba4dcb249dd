"""Data types as scripts see them: what TensorFlow says, checked of it too."""

from __future__ import annotations

import pickle

import ml_dtypes
import numpy as np
import pytest


@pytest.mark.parametrize(
    "value, name",
    [
        ("float32", "float32"), ("float", "float32"), ("half", "float16"), (np.int64, "int64"), (1, "float32"),
        (float, "float32"), (bool, "bool"), (np.dtype("f8"), "float64"), (object, "string"), ("qint8", "qint8"),
    ],
)  # fmt: skip
def test_as_dtype_takes_names_numbers_and_numpy_types(tf, value, name):
    assert tf.as_dtype(value).name == name


@pytest.mark.parametrize("value", ["zz", None, 1000, [1]])
def test_as_dtype_refuses_the_rest(tf, value):
    with pytest.raises(TypeError):
        tf.as_dtype(value)


def test_a_dtype_equals_what_it_can_be_made_of(tf):
    assert tf.float32 == "float32"
    assert tf.float32 == np.float32
    assert tf.float32 == 1
    assert tf.float32 != tf.int32
    assert tf.float32 != None  # noqa: E711
    assert {tf.float32: "found"}[tf.as_dtype("float32")] == "found"
    assert pickle.loads(pickle.dumps(tf.int8)) == tf.int8


@pytest.mark.parametrize(
    "name, numpy, size",
    [("float32", np.float32, 4), ("bool", np.bool_, 1), ("int8", np.int8, 1), ("string", None, None)],
)
def test_dtypes_have_their_numpy_types_and_sizes(tf, name, numpy, size):
    dtype = getattr(tf, name)
    assert dtype.as_numpy_dtype == (object if numpy is None else numpy)
    assert dtype.base_dtype == dtype
    assert size is None or dtype.size == size


def test_dtypes_know_their_kind(tf):
    kinds = {
        dtype.name: (dtype.is_floating, dtype.is_integer, dtype.is_complex, dtype.is_bool, dtype.is_quantized)
        for dtype in (tf.bfloat16, tf.int32, tf.complex64, tf.bool, tf.qint8)
    }
    assert [flags.index(True) for flags in kinds.values()] == [0, 1, 2, 3, 4]
    assert all(sum(flags) == 1 for flags in kinds.values())
    assert (tf.uint8.is_unsigned, bool(tf.int8.is_unsigned)) == (True, False)
    assert tf.complex64.real_dtype == tf.float32


def test_dtypes_have_limits_where_there_are_any(tf):
    assert (tf.int8.min, tf.uint16.max, tf.float32.max) == (-128, 65535, np.finfo(np.float32).max)
    assert tf.float32.limits == (0, 1)
    with pytest.raises(TypeError, match="maximum value"):
        _ = tf.string.max


def test_dtypes_print_as_tensorflows(tf):
    assert (repr(tf.float32), str(tf.float32)) == ("tf.float32", "<dtype: 'float32'>")


def test_a_variables_base_dtype_is_its_values(tf):
    variable = tf.Variable(1.0, use_resource=False)
    assert variable.dtype.base_dtype == tf.float32
    assert variable.value().dtype == tf.float32


def test_bfloat16_and_quantized_results_are_of_ml_dtypes_and_plain_integers(tf, session):
    b, q = tf.placeholder(tf.bfloat16, [2]), tf.placeholder(tf.qint8, [2])
    results = session.run([tf.identity(b), tf.identity(q)], {b: [1, 2.5], q: [1, 2]})
    assert results[0].dtype == ml_dtypes.bfloat16
    assert results[1].dtype == np.int8
    assert [result.tolist() for result in results] == [[1, 2.5], [1, 2]]
