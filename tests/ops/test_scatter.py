import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.scatter import dynamic_stitch, scatter_nd_zeros
from tests.ops.live import check, raises, random_array

POINTS = np.int32([[3, 1], [0, 0], [3, 1], [2, 0]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.int64, np.complex64, np.bool_])
@pytest.mark.parametrize("depth", [1, 2])
def test_scatter_nd_adds_where_indices_meet(dtype, depth):
    updates = random_array(dtype, (4, 2)[: 3 - depth])
    check("ScatterNd", {"indices": POINTS[:, :depth], "updates": updates, "shape": np.int32([4, 2])})


def test_scatter_nd_appends_strings():
    inputs = {"indices": np.int32([[1], [1]]), "updates": np.array([b"a", b"b"]), "shape": np.int32([2])}
    check("ScatterNd", inputs, traced=False)


def test_scatter_nd_with_empty_indices_adds_the_whole():
    summed = scatter_nd_zeros(np.zeros((2, 0), np.int32), np.float32([[1, 2], [3, 4]]), np.int32([2]))
    np.testing.assert_array_equal(summed, [4, 6])


@pytest.mark.parametrize("op", ["Update", "Add", "Sub", "Min", "Max"])
def test_tensors_scatter_as_variables_do(op):
    inputs = {"tensor": random_array(np.float32, (4, 2)), "indices": POINTS, "updates": np.float32([1, 2, 3, 4])}
    check(f"TensorScatter{op}", inputs)


def test_scatter_nd_non_aliasing_add_leaves_its_input():
    inputs = {"input": np.arange(8).reshape(4, 2), "indices": POINTS, "updates": np.arange(4)}
    check("ScatterNdNonAliasingAdd", inputs)


@pytest.mark.parametrize("op, row", [("InplaceUpdate", [5, 6]), ("InplaceAdd", [8, 10]), ("InplaceSub", [-2, -2])])
def test_in_place_ops_count_negative_rows_from_the_end(op, row):
    # Not against TensorFlow, whose kernels write into the array that is fed.
    x, v = np.float32([[1, 2], [9, 9], [3, 4]]), np.float32([[5, 6]])
    for function in (REGISTRY[op].function, jax.jit(REGISTRY[op].function)):
        np.testing.assert_array_equal(function(x, np.int32([-1]), v), [[1, 2], [9, 9], row])
        np.testing.assert_array_equal(function(x, np.int32(2), v[0]), [[1, 2], [9, 9], row])


@pytest.mark.parametrize(
    "op, inputs",
    [
        ("ScatterNd", {"indices": np.int32([[0], [5]]), "updates": np.float32([1, 2]), "shape": np.int32([4])}),
        ("TensorScatterAdd", {"tensor": np.zeros(2, np.float32), "indices": [[-1]], "updates": [1.0]}),
        ("DynamicStitch", {"indices": [np.int32([0, -1])], "data": [np.float32([1, 2])]}),
        ("DynamicStitch", {"indices": [np.int32([0, 1])], "data": [np.float32([1, 2, 3])]}),
        ("DynamicStitch", {"indices": [np.int32([0]), np.int32([1])], "data": [np.float32([1]), np.float32([[1]])]}),
        ("SparseToDense", {"sparse_indices": [1, 0], "output_shape": [3], "sparse_values": [1, 2], "default_value": 0}),
        ("SparseToDense", {"sparse_indices": [1, 1], "output_shape": [3], "sparse_values": [1, 2], "default_value": 0}),
        (
            "SparseToDense",
            {"sparse_indices": [[0, 5]], "output_shape": [3, 3], "sparse_values": [1], "default_value": 0},
        ),
        (
            "SparseToDense",
            {"sparse_indices": [0, 1], "output_shape": [3], "sparse_values": [1, 2, 3], "default_value": 0},
        ),
        (
            "SparseToDense",
            {"sparse_indices": [0, 1], "output_shape": [3, 3], "sparse_values": [1, 2], "default_value": 0},
        ),
    ],
)
def test_errors_are_tensorflow_s(op, inputs):
    inputs = {
        k: v if isinstance(v[0] if isinstance(v, list) else v, np.ndarray) else np.int32(v) for k, v in inputs.items()
    }
    if op == "TensorScatterAdd":
        inputs["updates"] = np.float32(inputs["updates"])
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY[op].function(**inputs)
    assert caught.value.message in raises(op, inputs)


def test_unknown_indices_out_of_range_are_dropped():
    program = jax.jit(lambda indices: scatter_nd_zeros(indices, jnp.ones(3), np.int32([2])))
    np.testing.assert_array_equal(program(np.int32([[2], [-1], [1]])), [0, 1])


@pytest.mark.parametrize("op", ["DynamicStitch", "ParallelDynamicStitch"])
def test_stitch_merges_rows(op):
    data = [random_array(np.float32, shape, seed=i) for i, shape in enumerate([(2,), (2, 2, 2), (2, 2)])]
    check(op, {"indices": [np.int32(1), np.int32([[0, 5], [4, 2]]), np.int32([3, 6])], "data": data})


def test_of_equal_indices_the_last_stitched_wins():
    inputs = {"indices": [np.int32([0, 1, 1]), np.int32([2, 0])], "data": [np.int64([1, 2, 3]), np.int64([4, 5])]}
    np.testing.assert_array_equal(check("DynamicStitch", inputs)[0], [5, 3, 4])


def test_stitch_fills_gaps_with_zeros_and_keeps_numpy():
    merged = dynamic_stitch([np.int32([3, 0])], [np.int32([7, 8])])
    assert isinstance(merged, np.ndarray)
    np.testing.assert_array_equal(merged, [8, 0, 0, 7])


def test_stitch_of_nothing_has_no_rows():
    check("DynamicStitch", {"indices": [np.zeros(0, np.int32)], "data": [np.zeros((0, 3), np.float32)]})


@pytest.mark.parametrize(
    "indices, shape, values",
    [
        (np.int64([[0, 1], [2, 0]]), [3, 2], [4.0, 5.0]),
        (np.int32([0, 2]), [4], [4.0, 5.0]),
        (np.int32([0, 2]), [4], 4.0),
        (np.int32(2), [4], 4.0),
        (np.zeros((0, 2), np.int64), [2, 2], np.zeros(0)),
    ],
)
def test_sparse_becomes_dense(indices, shape, values):
    inputs = {"sparse_indices": indices, "output_shape": indices.dtype.type(shape)}
    check("SparseToDense", inputs | {"sparse_values": np.float64(values), "default_value": np.float64(9)})


def test_sparse_strings_become_dense():
    inputs = {"sparse_indices": np.int64([[1]]), "output_shape": np.int64([2]), "default_value": np.array(b"?")}
    check("SparseToDense", inputs | {"sparse_values": np.array([b"x"])}, traced=False)


def test_without_validation_the_last_of_equal_indices_wins():
    inputs = {"sparse_indices": [2, 1, 2], "output_shape": [3], "sparse_values": [1, 2, 3], "default_value": 0}
    check("SparseToDense", inputs, {"validate_indices": False})


def test_scatters_differentiate_and_batch():
    def total(updates):
        return jnp.sum(scatter_nd_zeros(POINTS, updates, np.int32([4, 2])) ** 2)

    np.testing.assert_allclose(jax.grad(total)(jnp.arange(4.0)), [4, 2, 4, 6])  # 2 * (the sum at each place)
    np.testing.assert_allclose(jax.vmap(total)(jnp.ones((2, 4))), [6, 6])
