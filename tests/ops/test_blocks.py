"""Blocks and patches against a live TensorFlow."""

import numpy as np
import pytest

from tests.ops.live import check, random_array


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_space_to_batch_and_back(dtype):
    x = random_array(dtype, (2, 4, 6, 3))
    y = random_array(dtype, (12, 3, 2, 3))
    check("SpaceToBatchND", {"input": x, "block_shape": [2, 3], "paddings": [[1, 1], [0, 3]]})
    check("BatchToSpaceND", {"input": y, "block_shape": [2, 3], "crops": [[1, 0], [0, 2]]})
    check("SpaceToBatchND", {"input": x, "block_shape": [2], "paddings": [[0, 0]]})
    check("SpaceToBatch", {"input": x, "paddings": [[0, 0], [1, 1]]}, {"block_size": 2})
    check("BatchToSpace", {"input": y, "crops": [[1, 0], [0, 1]]}, {"block_size": 2})


def test_space_to_depth_and_back():
    check("SpaceToDepth", {"input": random_array("float32", (2, 4, 6, 3))}, {"block_size": 2})
    check("DepthToSpace", {"input": random_array("float32", (2, 4, 3, 12))}, {"block_size": 2})


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride, rate", [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_patches_come_in_the_order_row_column_channel(padding, stride, rate):
    attrs = {"ksizes": [1, 3, 2, 1], "strides": [1, stride, stride, 1], "rates": [1, rate, rate, 1], "padding": padding}
    for dtype in ("float32", "int32"):
        check("ExtractImagePatches", {"images": random_array(dtype, (2, 7, 6, 3))}, attrs)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_volume_patches(padding):
    attrs = {"ksizes": [1, 2, 3, 2, 1], "strides": [1, 2, 1, 3, 1], "padding": padding}
    check("ExtractVolumePatches", {"input": np.array(random_array("float32", (1, 4, 5, 6, 2)))}, attrs)
