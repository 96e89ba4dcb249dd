"""Joining, splitting, tiling and padding against a live TensorFlow."""

import numpy as np
import pytest

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

X = random_array("float32", (2, 3, 4))
Y = random_array("float32", (2, 3, 4), seed=1)


@pytest.mark.parametrize("axis", [0, 1, -1, 3])
def test_pack_makes_an_axis(axis):
    check("Pack", {"values": [X, Y]}, {"axis": axis})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_unpack_drops_an_axis(axis):
    check("Unpack", {"value": X}, {"axis": axis, "num": X.shape[axis]})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat(axis):
    check("ConcatV2", {"values": [X, Y, X], "axis": axis})
    check("Concat", {"values": [X, Y], "concat_dim": axis % 3})


def test_concat_offset_is_where_each_begins():
    shapes = [np.int32([2, 3, 5]), np.int32([2, 7, 5]), np.int32([2, 9, 5])]
    check("ConcatOffset", {"concat_dim": 1, "shape": shapes})


def test_split():
    check("Split", {"split_dim": 2, "value": X}, {"num_split": 2})
    check("Split", {"split_dim": -1, "value": X}, {"num_split": 4})
    for sizes in ([1, 2], [-1, 1], [3, 0]):
        check("SplitV", {"value": X, "size_splits": sizes, "split_dim": 1}, {"num_split": 2})


@pytest.mark.parametrize("multiples", [[1, 2, 3], [2, 1, 1], [1, 0, 1]])
def test_tile(multiples):
    check("Tile", {"input": X, "multiples": multiples})


@pytest.mark.parametrize("paddings", [[[0, 0], [1, 2], [3, 0]], [[0, 0], [0, 0], [0, 0]]])
def test_pad(paddings):
    check("Pad", {"input": X, "paddings": paddings})
    check("PadV2", {"input": X, "paddings": paddings, "constant_values": np.float32(2.5)})


@pytest.mark.parametrize("mode", ["REFLECT", "SYMMETRIC"])
def test_mirror_pad(mode):
    for paddings in ([[1, 0], [2, 2], [3, 1]], [[0, 0], [0, 1], [0, 0]]):
        check("MirrorPad", {"input": X, "paddings": paddings}, {"mode": mode})
        padded = random_array("float32", [n + sum(p) for n, p in zip(X.shape, paddings, strict=True)])
        check("MirrorPadGrad", {"input": padded, "paddings": paddings}, {"mode": mode}, rtol=1e-5)


def test_roll_adds_up_shifts_of_an_axis():
    check("Roll", {"input": X, "shift": [1, -5, 2], "axis": [0, 2, 2]})
    check("Roll", {"input": X, "shift": 7, "axis": 1})


@pytest.mark.parametrize(
    "op, operands, attrs, message",
    [
        (
            "ConcatV2",
            [[np.zeros(2), np.zeros((2, 1))], np.array(0)],
            {},
            "ConcatOp : Ranks of all input tensors should match",
        ),
        (
            "ConcatV2",
            [[np.zeros((2, 2)), np.zeros((2, 1))], np.array(0)],
            {},
            "ConcatOp : Dimensions of inputs should match",
        ),
        ("Split", [np.array(0), np.zeros(3)], {"num_split": 2}, "should evenly divide"),
        ("Tile", [np.zeros(3), np.array([-1])], {}, r"Expected multiples\[0\] >= 0, but got -1"),
        ("Pack", [[np.zeros(2), np.zeros(3)]], {}, "Shapes of all inputs must match"),
        ("ConcatOffset", [np.array(4), [np.arange(3)] * 2], {}, "Concat dim is out of range: 4 vs. 3"),
        (
            "ConcatOffset",
            [np.array(0), [np.ones((1, 3))] * 2],
            {},
            r"input 0 should be a vector, but got shape \[1,3\]",
        ),
        ("MirrorPad", [np.zeros(2), np.array([[2, 0]])], {"mode": "REFLECT"}, "paddings must be less than"),
    ],
)
def test_refusal_says_what_tensorflow_says(op, operands, attrs, message):
    with pytest.raises(InvalidArgumentError, match=message):
        REGISTRY[op].function(*operands, **attrs)
