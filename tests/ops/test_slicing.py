"""Slices, masks and gathers against a live TensorFlow and NumPy's own indexing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY, NeedsKnown
from tests.ops.live import check, random_array

X = random_array("float32", (4, 3, 5))


@pytest.mark.parametrize("begin, size", [([0, 0, 0], [4, 3, 5]), ([1, 2, 0], [2, -1, 0]), ([4, 0, 4], [0, 1, 1])])
def test_slice(begin, size):
    check("Slice", {"input": X, "begin": begin, "size": size}, statics=["begin"])


def test_slice_from_a_place_that_is_computed():
    check("Slice", {"input": X, "begin": [2, 0, 1], "size": [1, 3, 2]})

    @jax.jit
    def program(i):
        return REGISTRY["Slice"].function(jnp.asarray(X), jnp.stack([i, 0 * i, i]), np.array([2, 3, 2]))

    assert_array_equal(program(1), X[1:3, :, 1:3])


def entry():
    """One axis of an index: what NumPy takes, and the entry of begin, end, strides with its mask bits."""
    bound = st.integers(-7, 7)
    stride = st.sampled_from([1, 1, 1, 2, 3, -1, -2])
    ranges = st.tuples(st.just("range"), bound, bound, stride, st.booleans(), st.booleans())
    return st.one_of(ranges, st.tuples(st.just("index"), st.integers(-3, 2)), st.just(("new",)), st.just(("ellipsis",)))


def spelled(entries):
    """NumPy's index and TensorFlow's operands for a list of entries."""
    index, begin, end, strides = [], [], [], []
    masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
    for i, (kind, *rest) in enumerate(entries):
        first, last, stride = 7, -9, 1
        if kind == "range":
            first, last, stride, first_masked, last_masked = rest
            masks["begin_mask"] |= first_masked << i
            masks["end_mask"] |= last_masked << i
            index.append(slice(None if first_masked else first, None if last_masked else last, stride))
        elif kind == "index":
            first = rest[0]
            masks["shrink_axis_mask"] |= 1 << i
            index.append(first)
        elif kind == "new":
            masks["new_axis_mask"] |= 1 << i
            index.append(None)
        else:
            masks["ellipsis_mask"] |= 1 << i
            index.append(Ellipsis)
        begin.append(first)
        end.append(last)
        strides.append(stride)
    return tuple(index), [np.array(x, np.int32) for x in (begin, end, strides)], masks


@settings(max_examples=150, deadline=None)
@given(st.lists(entry(), max_size=5))
def test_strided_slice_is_numpys_indexing(entries):
    kinds = [entry[0] for entry in entries]
    if kinds.count("ellipsis") > 1 or kinds.count("range") + kinds.count("index") > 3:
        return
    index, (begin, end, strides), masks = spelled(entries)
    function, gradient = (REGISTRY[op].function for op in ("StridedSlice", "StridedSliceGrad"))
    wanted = X[index]
    with jax.enable_x64(True):
        assert_array_equal(function(X, begin, end, strides, **masks), wanted, strict=True)
        assert_array_equal(function(jnp.asarray(X), begin, end, strides, **masks), wanted, strict=True)
        spread = np.zeros_like(X)
        spread[index] = wanted
        found = gradient(np.array(X.shape), begin, end, strides, jnp.asarray(wanted), **masks)
        assert_array_equal(found, spread, strict=True)


def test_strided_slice_equals_tensorflow():
    rng = np.random.default_rng(0)
    for _ in range(25):
        count = int(rng.integers(1, 4))
        masks = {
            f"{name}_mask": int(rng.integers(0, 1 << count)) for name in ("begin", "end", "new_axis", "shrink_axis")
        }
        masks["ellipsis_mask"] = int(rng.choice([0, 1 << int(rng.integers(count))]))
        begin, end = rng.integers(-3, 3, (2, count)).astype(np.int32)
        strides = rng.choice([1, 2], count).astype(np.int32)
        inputs = {"input": X, "begin": begin, "end": end, "strides": strides}
        output = check("StridedSlice", inputs, masks, statics=["begin", "end"])[0]
        inputs = {"shape": X.shape, "begin": begin, "end": end, "strides": strides, "dy": output}
        check("StridedSliceGrad", inputs, masks, statics=["begin", "end"])


@pytest.mark.parametrize("i", [0, 2, -1])
def test_one_element_may_be_picked_at_a_computed_place(i):
    @jax.jit
    def program(x, i):
        begin = jnp.stack([i, jnp.int32(1)])
        return REGISTRY["StridedSlice"].function(
            x, begin, begin + 1, np.array([1, 1]), shrink_axis_mask=1, begin_mask=2, end_mask=2
        )

    with jax.enable_x64(True):
        assert_array_equal(program(X, np.int32(i)), X[i])
        gradient = jax.grad(lambda x: program(x, np.int32(i)).sum())(jnp.asarray(X))
    assert_array_equal(gradient[i], np.ones((3, 5)))
    assert gradient.sum() == 15


def test_gradient_at_a_computed_place():
    dy = random_array("float32", (2, 5))
    begin = jnp.int32([2, 0])
    with jax.enable_x64(True):
        masks = {"shrink_axis_mask": 1, "begin_mask": 2, "end_mask": 2}
        found = REGISTRY["StridedSliceGrad"].function(np.array(X.shape), begin, begin, np.array([1, 2]), dy, **masks)
    wanted = np.zeros_like(X)
    wanted[2, ::2] = dy
    assert_array_equal(found, wanted, strict=True)


def test_bounds_that_decide_the_size_must_be_known():
    with pytest.raises(NeedsKnown, match="computed from data"):
        REGISTRY["StridedSlice"].function(X, jnp.int32([1]), jnp.int32([2]), np.array([1]))


@pytest.mark.parametrize(
    "begin, strides, masks, message",
    [
        ([0], [0], {}, r"strides\[0\] must be non-zero"),
        ([5], [1], {"shrink_axis_mask": 1}, "slice index 5 of dimension 0 out of bounds."),
        ([0], [-1], {"shrink_axis_mask": 1}, "only stride 1 allowed on non-range indexing."),
        ([0, 0], [1, 1], {"ellipsis_mask": 3}, "Multiple ellipses in slice spec not allowed"),
    ],
)
def test_strided_slice_refuses_what_tensorflow_does(begin, strides, masks, message):
    with pytest.raises(InvalidArgumentError, match=message):
        REGISTRY["StridedSlice"].function(X, np.array(begin), np.array(begin), np.array(strides), **masks)


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "complex64"])
def test_gather(dtype):
    params = random_array(dtype, (4, 3, 5))
    indices = np.int32([[0, 3], [2, 2]])
    check("Gather", {"params": params, "indices": indices})
    for axis in (0, 1, -1):
        check("GatherV2", {"params": params, "indices": indices % 3, "axis": axis})
    check("GatherV2", {"params": params, "indices": np.int64(1), "axis": 0})


@pytest.mark.parametrize("axis, batch_dims", [(1, 1), (2, 1), (2, 2), (-1, -1)])
def test_gather_with_batch_dims(axis, batch_dims):
    indices = random_array("int32", (4, 3), low=0, high=2)
    check("GatherV2", {"params": X, "indices": indices, "axis": axis}, {"batch_dims": batch_dims})


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_gather_nd(depth):
    indices = random_array("int32", (2, 3, depth), low=0, high=2)
    check("GatherNd", {"params": X, "indices": indices})


def test_gather_gives_zeros_out_of_range():
    with jax.enable_x64(True):
        found = REGISTRY["GatherV2"].function(jnp.arange(1.0, 4), jnp.array([-1, 0, 2, 3]), np.array(0))
        assert_array_equal(found, [0, 1, 3, 0])
        found = REGISTRY["GatherNd"].function(jnp.arange(1.0, 4), jnp.array([[-1], [0], [3]]))
        assert_array_equal(found, [0, 1, 0])


def test_known_index_out_of_range_is_an_error():
    with pytest.raises(InvalidArgumentError, match=r"indices\[1\] = 5 is not in \[0, 2\)"):
        REGISTRY["Gather"].function(np.zeros(2), np.array([0, 5]))
    with pytest.raises(InvalidArgumentError, match=r"indices\[0\] = \[5\] does not index into param shape \[2\]"):
        REGISTRY["GatherNd"].function(np.zeros(2), np.array([[5]]))


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot_of_an_index_out_of_range_is_off(axis):
    for dtype in (np.int32, np.int64, np.uint8):
        indices = np.array([[0, 2, 9], [3, 1, 1]], dtype)
        inputs = {"indices": indices, "depth": 4, "on_value": np.float32(5), "off_value": np.float32(-1)}
        check("OneHot", inputs, {"axis": axis})


def test_reverse():
    check("Reverse", {"tensor": X, "dims": np.array([True, False, True])})
    check("ReverseV2", {"tensor": X, "axis": [-1, 0]})
    with pytest.raises(InvalidArgumentError, match="axis 0 specified more than once"):
        REGISTRY["ReverseV2"].function(X, np.array([0, -3]))


@pytest.mark.parametrize("seq_dim, batch_dim", [(0, 1), (1, 0), (2, 0), (1, 2)])
def test_reverse_sequence(seq_dim, batch_dim):
    lengths = random_array("int64", (X.shape[batch_dim],), low=0, high=X.shape[seq_dim])
    check("ReverseSequence", {"input": X, "seq_lengths": lengths}, {"seq_dim": seq_dim, "batch_dim": batch_dim})


def test_positions_in_sorted_arrays():
    rows = np.float32([[0, 1, 1, 3], [2, 4, 6, 8]])
    values = np.float32([[1, 2, 9], [2, 3, 8]])
    for op in ("LowerBound", "UpperBound"):
        check(op, {"sorted_inputs": rows, "values": values}, {"out_type": dtypes.int64})
    for dtype in ("int32", "float32", "float64", "int64"):
        check("Bucketize", {"input": np.array([-5, 0, 1, 10, 11], dtype)}, {"boundaries": [0.0, 1.0, 10.5]})
    check("UnravelIndex", {"indices": np.int32([0, 5, 23]), "dims": np.int32([2, 3, 4])})
