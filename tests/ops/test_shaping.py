"""Shapes asked for and changed, and arrays filled, against a live TensorFlow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

X = random_array("float32", (2, 3, 4))


@pytest.mark.parametrize("out_type", [dtypes.int32, dtypes.int64])
def test_shape_is_known_though_the_array_is_not(out_type):
    @jax.jit
    def program(x):
        assert isinstance(REGISTRY["Shape"].function(x), np.ndarray)
        assert REGISTRY["Size"].function(x).dtype == np.int32
        return x

    program(jnp.zeros(3))
    check("Shape", {"input": X}, {"out_type": out_type})
    check("Size", {"input": X}, {"out_type": out_type})
    check("ShapeN", {"input": [X, X[0, 0]]}, {"out_type": out_type})


def test_values_pass():
    for op in ("Identity", "Snapshot", "StopGradient", "PreventGradient", "Rank", "DeepCopy"):
        check(op, {REGISTRY[op].parameters[0]: X})
    check("IdentityN", {"input": [X, X[0]]})
    check("PlaceholderWithDefault", {"input": X}, {"shape": tf_shape(2, None, 4)})
    check("EnsureShape", {"input": X}, {"shape": tf_shape(2, None, 4)})


def test_what_xla_has_compiled_together_passes():
    # TensorFlow 1.15 has a kernel of it for CPUs; the current one has it only where it is built for XLA's devices.
    assert REGISTRY["XlaClusterOutput"].function(X) is X


def tf_shape(*sizes):
    return list(sizes)


def test_ensure_shape_refuses_another_shape():
    with pytest.raises(InvalidArgumentError, match=r"Shape of tensor \[2,3,4\] is not compatible with"):
        REGISTRY["EnsureShape"].function(X, shape=(2, 2, None))


def test_gradient_stops():
    with jax.enable_x64(True):
        assert jax.grad(lambda x: x * REGISTRY["StopGradient"].function(x))(jnp.float32(3)) == 3


@pytest.mark.parametrize("shape", [[24], [-1], [4, -1, 3], [2, 3, 4, 1], [6, -1]])
def test_reshape_infers_one_size(shape):
    check("Reshape", {"tensor": X, "shape": shape})


def test_reshape_of_nothing():
    check("Reshape", {"tensor": X[:0], "shape": [-1, 3]})
    check("Reshape", {"tensor": X[:1, :1, :1], "shape": np.zeros(0, np.int32)})


@pytest.mark.parametrize(
    "op, operands, attrs, message",
    [
        (
            "Reshape",
            [np.zeros(3), np.array([4])],
            {},
            "Input to reshape is a tensor with 3 values, but the requested shape has 4",
        ),
        ("Squeeze", [np.zeros((1, 2))], {"squeeze_dims": (1,)}, r"expected a dimension of 1, got 2"),
        ("Fill", [np.array([-1]), np.array(0)], {}, "Dimension -1 must be >= 0"),
        ("Range", [np.array(0), np.array(1), np.array(0)], {}, "Requires delta != 0: 0"),
        ("Range", [np.array(0), np.array([1]), np.array(1)], {}, r"limit must be a scalar, not shape \[1\]"),
        ("Transpose", [np.zeros((2, 2)), np.array([0, 0])], {}, r"1 is missing from \{0,0\}."),
        ("BroadcastTo", [np.zeros(2), np.array([3])], {}, "Incompatible shapes"),
        ("InvertPermutation", [np.array([0, 0])], {}, "0 is duplicated in the input."),
        ("BroadcastArgs", [np.array([2]), np.array([3])], {}, r"Incompatible shapes: \[2\] vs. \[3\]"),
    ],
)
def test_refusal_says_what_tensorflow_says(op, operands, attrs, message):
    with pytest.raises(InvalidArgumentError, match=message):
        REGISTRY[op].function(*operands, **attrs)


@pytest.mark.parametrize("axis", [0, 2, 3, -1, -4])
def test_expand_dims_counts_from_the_end_of_the_result(axis):
    check("ExpandDims", {"input": X, "dim": axis})


def test_squeeze_drops_axes_of_size_one():
    x = X[:1, :, None, :1]
    check("Squeeze", {"input": x})
    check("Squeeze", {"input": x}, {"squeeze_dims": [0, -2]})


def test_transpose():
    check("Transpose", {"x": X, "perm": [2, 0, 1]})
    check("ConjugateTranspose", {"x": random_array("complex64", (2, 3)), "perm": np.int64([1, 0])})
    check("InvertPermutation", {"x": np.int32([3, 0, 2, 1])})


@pytest.mark.parametrize("shape", [[2, 3, 4], [5, 2, 3, 4], [0, 2, 3, 4]])
def test_broadcast_to(shape):
    check("BroadcastTo", {"input": X[:, :1], "shape": shape})


@pytest.mark.parametrize(
    "s0, s1",
    [
        ([2, 1], [3]),
        ([1, 2], [1, 1]),
        ([2, 3], [2, 3]),
        ([], [2]),
        ([1], [1]),
        ([1, 1], [1]),
        ([0], [1]),
        ([2, 1, 4], [3, 1]),
    ],
)
def test_broadcast_gradient_args(s0, s1):
    for dtype in (np.int32, np.int64):
        inputs = {"s0": np.array(s0, dtype), "s1": np.array(s1, dtype)}
        check("BroadcastGradientArgs", inputs)
        check("BroadcastArgs", inputs)


def test_fill():
    check("Fill", {"dims": [2, 3], "value": np.float32(1.5)})
    check("Fill", {"dims": np.zeros(0, np.int64), "value": np.int32(7)})
    for dtype in ("float32", "int32", "complex64", "bool"):
        check("ZerosLike", {"x": random_array(dtype, (2, 3))})
        check("OnesLike", {"x": random_array(dtype, (2, 3))})
    check("Empty", {"shape": [2, 3]}, {"dtype": dtypes.float32, "init": True})


def test_a_known_fill_takes_no_memory():
    assert REGISTRY["Fill"].function(np.array([1000, 1000]), np.float32(0)).strides == (0, 0)


@pytest.mark.parametrize(
    "bounds", [(0, 5, 1), (5, 0, -2), (3, 3, 1), (np.float32(0), np.float32(1), np.float32(0.1)),
               (np.float32(1), np.float32(-1), np.float32(-0.3)), (np.int64(0), np.int64(2**40), np.int64(2**38))]
)  # fmt: skip
def test_range_adds_up(bounds):
    check("Range", dict(zip(("start", "limit", "delta"), bounds, strict=True)), rtol=1e-6)


@pytest.mark.parametrize("num", [1, 2, 7])
def test_lin_space(num):
    for dtype in (np.float32, np.float64):
        check("LinSpace", {"start": dtype(-1), "stop": dtype(2.5), "num": num})


@pytest.mark.parametrize("shape", [[0, -1, 3], [-1, 0], [0, -1], [3, -1, 0]])
def test_reshape_infers_a_size_beside_zero(shape):
    check("Reshape", {"tensor": np.zeros((0, 6), np.float32), "shape": shape})


def test_axes_of_data_formats():
    check("DataFormatDimMap", {"x": np.int32([[0, 1], [-1, 2]])}, {"src_format": "NHWC", "dst_format": "NCHW"})
    check("DataFormatVecPermute", {"x": np.int32([7, 4, 9, 3])}, {"src_format": "NCHW", "dst_format": "NHWC"})
    check("DataFormatVecPermute", {"x": np.int64([[7, 4], [9, 3], [4, 5], [5, 1]])})
    check("DataFormatVecPermute", {"x": np.int32([7, 4])}, {"src_format": "NHWC", "dst_format": "NCHW"})
