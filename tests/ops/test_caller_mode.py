"""Lowerings are traced in JAX's 64-bit mode, but a caller's `jit` compiles them later, in the caller's own mode."""

import jax
import numpy as np
import pytest

from mgjax.ops import REGISTRY

FLOATS, INTS = np.float64([[3, 1, 2], [4, 4, 0]]), np.int64([[3, 1, 2], [4, 4, 0]])
POINTS = np.int64([[0, 1], [1, 0], [0, 1]])
ROWS = [
    ("ArgMax", {"input": FLOATS}, {"dimension": np.int32(1)}, {}),
    ("ArgMin", {"input": INTS}, {"dimension": np.int32(0)}, {}),
    ("Cumsum", {"x": INTS}, {"axis": np.int32(1)}, {}),
    ("Cumprod", {"x": FLOATS}, {"axis": np.int32(0)}, {}),
    ("TopKV2", {"input": FLOATS}, {"k": np.int32(2)}, {}),
    ("NthElement", {"input": FLOATS, "n": np.int32(1)}, {}, {}),
    ("UnsortedSegmentMax", {"data": INTS, "segment_ids": np.int64([1, 0])}, {"num_segments": np.int64(3)}, {}),
    ("ScatterNd", {"indices": POINTS, "updates": FLOATS.ravel()[:3]}, {"shape": np.int64([2, 3])}, {}),
    ("SparseReorder", {"input_indices": POINTS, "input_values": INTS[0], "input_shape": np.int64([2, 3])}, {}, {}),
    ("SparseReshape", {"input_indices": POINTS, "input_shape": np.int64([2, 3])}, {"new_shape": np.int64([-1])}, {}),
    ("SparseSoftmax", {"sp_indices": POINTS[:2], "sp_values": FLOATS[0, :2], "sp_shape": np.int64([2, 3])}, {}, {}),
    (
        "SparseApplyAdagrad",
        {
            "var": FLOATS,
            "accum": FLOATS + 1,
            "lr": np.float64(1),
            "grad": FLOATS[[0, 1, 0]],
            "indices": np.int64([1, 0, 1]),
        },
        {},
        {},
    ),
]


@pytest.mark.parametrize("op, arrays, statics, attrs", ROWS, ids=[row[0] for row in ROWS])
def test_results_do_not_depend_on_the_caller_s_mode(op, arrays, statics, attrs):
    lowering = REGISTRY[op].function

    def traced_wide(arrays):
        with jax.enable_x64(True):
            return lowering(**arrays, **statics, **attrs)

    wide = jax.jit(traced_wide)(arrays)
    given = jax.tree.map(jax.numpy.asarray, arrays)
    with jax.enable_x64(False):
        narrow = jax.jit(traced_wide)(given)
    for found, wanted in zip(jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
