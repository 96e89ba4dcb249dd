"""Results whose shape depends on values, against a live TensorFlow."""

import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

STRINGS = np.array([b"b", b"a", b"b", b"", b"a"], object)


@pytest.mark.parametrize("dtype", ["bool", "float32", "int32", "complex64"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 0, 3), (2, 3, 2)])
def test_where_gives_positions_in_row_major_order(dtype, shape):
    check("Where", {"input": random_array(dtype, shape, low=-1, high=1)})


def test_where_takes_nan_for_true():
    check("Where", {"input": np.float32([0, np.nan, -0.0, 1])})


@pytest.mark.parametrize("out_idx", [dtypes.int32, dtypes.int64])
@pytest.mark.parametrize(
    "x", [np.int32([4, 1, 4, 2, 1]), np.float32([2.5, -1, 2.5]), STRINGS, np.zeros(0, np.int64)], ids=str
)
def test_unique_keeps_the_order_of_first_occurrence(x, out_idx):
    check("Unique", {"x": x}, {"out_idx": out_idx})
    check("UniqueWithCounts", {"x": x}, {"out_idx": out_idx})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_unique_along_an_axis(axis):
    x = np.int32([[1, 1, 0], [0, 0, 1], [1, 1, 0]])
    for op in ("UniqueV2", "UniqueWithCountsV2"):
        check(op, {"x": x, "axis": np.int32([axis])})
        check(op, {"x": x[0], "axis": np.zeros(0, np.int64)})


def test_every_nan_is_distinct():
    check("Unique", {"x": np.float32([np.nan, 1, np.nan])})


def test_list_diff_keeps_repetitions():
    check("ListDiff", {"x": np.int32([1, 2, 3, 2, 5]), "y": np.int32([3, 1])}, {"out_idx": dtypes.int64})
    check("ListDiff", {"x": STRINGS, "y": STRINGS[:1]})


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 2, 3)])
def test_dynamic_partition(shape):
    data = random_array("float32", (5, 2, 3))
    partitions = random_array("int32", shape[:2], low=0, high=2)
    check("DynamicPartition", {"data": data, "partitions": partitions}, {"num_partitions": 4})


def test_partition_out_of_range_is_an_error():
    with pytest.raises(InvalidArgumentError, match=r"partitions\[1\] = 5 is not in \[0, 2\)"):
        REGISTRY["DynamicPartition"].function(np.zeros(2), np.array([0, 5]), num_partitions=2)
