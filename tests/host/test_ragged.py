"""Ragged arrays against a live TensorFlow."""

import numpy as np
import pytest

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check

SPLITS = [np.int64([0, 2, 2, 5]), np.int64([0, 1, 3, 3, 4, 6])]
VALUES = np.float32([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12]])


@pytest.mark.parametrize(
    "starts, limits, deltas",
    [
        (np.int32([0, 5, 8]), np.int32([3, 5, 12]), np.int32(1)),
        (np.int32([0, 5, 8]), np.int32([8, 1, 8]), np.int32([3, -2, 1])),
        (np.int64(0), np.int64(4), np.int64(1)),
        (np.float32([0, 1]), np.float32([1, -1]), np.float32([0.3, -0.5])),
        (np.int32([5]), np.int32([2]), np.int32(1)),
    ],
)
def test_ragged_range(starts, limits, deltas):
    check("RaggedRange", {"starts": starts, "limits": limits, "deltas": deltas}, {"Tsplits": dtypes.int64}, rtol=1e-6)


def test_a_range_without_steps_is_refused():
    with pytest.raises(InvalidArgumentError, match="Requires delta != 0"):
        REGISTRY["RaggedRange"].function(np.int32([0]), np.int32([1]), np.int32([0]))


@pytest.mark.parametrize(
    "indices", [np.int32(2), np.int32([2, 0, 0, 1]), np.int64([[2, 1], [0, 2], [1, 1]]), np.zeros(0, np.int32)]
)
@pytest.mark.parametrize("depth", [1, 2])
def test_ragged_gather(indices, depth):
    splits = SPLITS[:depth]
    inputs = {"params_nested_splits": splits, "params_dense_values": VALUES[: splits[-1][-1]], "indices": indices}
    check("RaggedGather", inputs, {"OUTPUT_RAGGED_RANK": depth + indices.ndim - 1})


def test_a_row_out_of_range_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"indices\[1\] = 3 is not in \[0, 3\)"):
        REGISTRY["RaggedGather"].function(SPLITS[:1], VALUES, np.int32([0, 3]))


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("is_flat", [False, True])
def test_ragged_to_sparse(depth, is_flat):
    values = VALUES[: SPLITS[depth - 1][-1]]
    check(
        "RaggedTensorToSparse",
        {"rt_nested_splits": SPLITS[:depth], "rt_dense_values": values[:, 0] if is_flat else values},
    )


@pytest.mark.parametrize(
    "shape", [np.int32(-1), np.int32([-1, -1, -1, 2]), np.int32([2, 4, 1, 2]), np.int32([5, -1, 3, 2])]
)
def test_ragged_to_dense(shape):
    inputs = {"shape": shape, "values": VALUES, "default_value": np.float32(-1), "row_partition_tensors": SPLITS}
    check("RaggedTensorToTensor", inputs, {"row_partition_types": ["ROW_SPLITS", "ROW_SPLITS"]})


def test_ragged_to_dense_from_row_numbers():
    inputs = {
        "shape": np.int32([-1, -1, 2]),
        "values": VALUES,
        "default_value": np.float32([-1, -2]),
        "row_partition_tensors": [np.array(5, np.int64), np.int64([0, 0, 2, 3, 3, 3])],
    }
    check("RaggedTensorToTensor", inputs, {"row_partition_types": ["FIRST_DIM_SIZE", "VALUE_ROWIDS"]})
