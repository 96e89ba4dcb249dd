import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.sparse import sparse_softmax, sparse_tensor_dense_mat_mul
from tests.ops.live import check, raises, random_array

INDICES, VALUES, SHAPE = np.int64([[0, 1], [1, 0], [1, 2]]), np.float32([1, -2, 3]), np.int64([3, 4])
A = {"a_indices": INDICES, "a_values": VALUES, "a_shape": SHAPE}
SP = {"sp_indices": INDICES, "sp_values": VALUES, "sp_shape": SHAPE}
INPUT = {"input_indices": INDICES, "input_values": VALUES, "input_shape": SHAPE}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.int32])
@pytest.mark.parametrize("adjoint_a", [False, True])
@pytest.mark.parametrize("adjoint_b", [False, True])
def test_sparse_times_dense(dtype, adjoint_a, adjoint_b):
    inner = 3 if adjoint_a else 4
    b = random_array(dtype, (2, inner) if adjoint_b else (inner, 2))
    inputs = A | {"a_values": random_array(dtype, (3,)), "b": b}
    check("SparseTensorDenseMatMul", inputs, {"adjoint_a": adjoint_a, "adjoint_b": adjoint_b})


def test_sparse_times_dense_differentiates_by_both():
    b = random_array(np.float32, (4, 2))

    def total(values, b):
        return jnp.sum(sparse_tensor_dense_mat_mul(INDICES, values, SHAPE, b))

    by_values, by_b = jax.grad(total, argnums=(0, 1))(VALUES, b)
    np.testing.assert_allclose(by_values, b.sum(axis=1)[INDICES[:, 1]], rtol=1e-6)
    np.testing.assert_allclose(by_b[:, 0], [-2, 1, 3, 0])


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 4), (3, 4)])
@pytest.mark.parametrize("name", ["Add", "Mul", "Div"])
def test_dense_is_broadcast_to_sparse(name, shape):
    check(f"SparseDenseCwise{name}", SP | {"dense": random_array(np.float32, shape, low=0.5)})


def test_sparse_is_added_to_dense():
    check("SparseTensorDenseAdd", A | {"b": random_array(np.float32, (3, 4))})


@pytest.mark.parametrize("shape", [[-1, 1], [12], [2, -1, 3], [1, 4, 3]])
def test_reshape_keeps_row_major_positions(shape):
    check("SparseReshape", {"input_indices": INDICES, "input_shape": SHAPE, "new_shape": np.int64(shape)})


def test_reshape_of_nothing():
    empty = {"input_indices": np.zeros((0, 2), np.int64), "input_shape": np.int64([0, 4])}
    check("SparseReshape", empty | {"new_shape": np.int64([2, 0])})


def test_reorder_is_stable():
    indices = np.int64([[1, 2], [0, 1], [1, 0], [0, 1]])
    check("SparseReorder", INPUT | {"input_indices": indices, "input_values": np.float32([1, 2, 3, 4])})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_sorts_entries(axis):
    shapes = [SHAPE, np.int64([3, 4])]
    inputs = {"indices": [INDICES[::-1].copy(), INDICES], "values": [VALUES, 2 * VALUES], "shapes": shapes}
    check("SparseConcat", inputs, {"concat_dim": axis})


def test_softmax_is_over_the_entries_of_a_row():
    check("SparseSoftmax", SP | {"sp_values": np.float32([5, 1000, 1002])})
    deep = {"sp_indices": np.int64([[0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 1, 0]]), "sp_shape": np.int64([2, 2, 2])}
    check("SparseSoftmax", deep | {"sp_values": random_array(np.float64, (4,))})
    slopes = jax.grad(lambda x: sparse_softmax(INDICES, x, SHAPE)[1])(np.float32([0, 0, 0]))
    np.testing.assert_allclose(slopes, [0, 0.25, -0.25])


@pytest.mark.parametrize("axes", [[0], [1], [], [0, 1], [-1], [0, 0], 1], ids=str)
@pytest.mark.parametrize("name", ["SparseReduceSum", "SparseReduceMax"])
def test_reductions(name, axes):
    for keep_dims in (False, True):
        inputs = INPUT | {"reduction_axes": np.int32(axes)}
        check(name, inputs, {"keep_dims": keep_dims})
        if axes != [0, 1] or keep_dims:
            check(f"{name}Sparse", inputs, {"keep_dims": keep_dims})


def test_a_full_sparse_reduction_has_one_entry_of_rank_zero():
    indices, values, shape = REGISTRY["SparseReduceSumSparse"].function(**INPUT, reduction_axes=np.int32([0, 1]))
    assert (indices.shape, values.tolist(), shape.shape) == ((1, 0), [2.0], (0,))


B = {"b_indices": np.int64([[0, 1], [1, 1], [1, 2]]), "b_values": np.float32([5, 2, -3]), "b_shape": SHAPE}


@pytest.mark.parametrize("thresh", [0, 2, 2.5])
def test_add_drops_sums_below_the_threshold(thresh):
    check("SparseAdd", A | B | {"thresh": np.float32(thresh)})


def test_add_of_complex_numbers_compares_magnitudes():
    values = {"a_values": VALUES.astype(np.complex64) * 1j, "b_values": B["b_values"].astype(np.complex64)}
    check("SparseAdd", A | B | values | {"thresh": np.float32(3)})


@pytest.mark.parametrize("op", ["SparseSparseMaximum", "SparseSparseMinimum"])
def test_absent_entries_count_as_zero(op):
    check(op, A | B)


def test_add_hands_gradients_to_what_remained():
    remained = np.int64([[0, 1], [1, 0], [1, 1]])
    indices = {"a_indices": INDICES, "b_indices": B["b_indices"], "sum_indices": remained}
    check("SparseAddGrad", {"backprop_val_grad": np.float32([7, 8, 9]), **indices})


def test_slices_and_their_gradient():
    box = {"start": np.int64([1, 0]), "size": np.int64([5, 2])}
    check("SparseSlice", {"indices": INDICES, "values": VALUES, "shape": SHAPE, **box})
    given = {"input_indices": INDICES, "input_start": box["start"], "output_indices": np.int64([[0, 0]])}
    check("SparseSliceGrad", {"backprop_val_grad": np.float32([7]), **given})


@pytest.mark.parametrize("axis, num_split", [(0, 2), (0, 3), (1, 2), (1, 3)])
def test_split_makes_the_first_parts_larger(axis, num_split):
    inputs = {"split_dim": np.int64(axis), "indices": INDICES, "values": VALUES, "shape": SHAPE}
    check("SparseSplit", inputs, {"num_split": num_split})


@pytest.mark.parametrize("indices", [[[2, 1], [0, 0], [2, 0]], [[0, 0], [1, 1], [4, 0]]], ids=str)
def test_empty_rows_are_filled(indices):
    inputs = {"indices": np.int64(indices), "dense_shape": np.int64([5, 3])}
    check("SparseFillEmptyRows", inputs | {"values": VALUES, "default_value": np.float32(9)})
    words = {"values": np.array([b"x", b"y", b"z"]), "default_value": np.array(b"-")}
    check("SparseFillEmptyRows", inputs | words)


def test_filling_of_nothing():
    empty = {"indices": np.zeros((0, 2), np.int64), "values": VALUES[:0], "default_value": np.float32(9)}
    for rows in (0, 2):
        check("SparseFillEmptyRows", empty | {"dense_shape": np.int64([rows, 3])})


def test_the_gradient_of_filling():
    check("SparseFillEmptyRowsGrad", {"reverse_index_map": np.int64([1, 2]), "grad_values": np.float32([1, 2, 3, 4])})


SETS = {"set1": np.int32([[3, 1, 1], [4, 5, 6], [0, 0, 0]]), "set2": np.int32([[1, 9], [6, 4], [2, 2]])}
SPARSE = {"indices": np.int64([[0, 0], [0, 1], [1, 0]]), "values": np.int32([1, 9, 6]), "shape": np.int64([3, 2])}


@pytest.mark.parametrize("operation", ["a-b", "b-a", "intersection", "union"])
def test_set_operations(operation):
    set1, set2 = ({f"set{i}_{k}": v for k, v in SPARSE.items()} for i in (1, 2))
    set1["set1_values"] = np.int32([9, 3, 6])
    check("DenseToDenseSetOperation", SETS, {"set_operation": operation})
    check("DenseToSparseSetOperation", {"set1": SETS["set1"], **set2}, {"set_operation": operation})
    check("SparseToSparseSetOperation", {**set1, **set2}, {"set_operation": operation})


def test_sets_of_strings_and_of_higher_rank():
    words = {"set1": np.array([[b"b", b"a"]]), "set2": np.array([[b"c", b"a"]])}
    check("DenseToDenseSetOperation", words, {"set_operation": "union"})
    deep = {k: v.reshape(3, 1, -1) for k, v in SETS.items()}
    check("DenseToDenseSetOperation", deep, {"set_operation": "a-b"})
    empty = {"set1": np.zeros((2, 0), np.int32), "set2": np.zeros((2, 1), np.int32)}
    check("DenseToDenseSetOperation", empty, {"set_operation": "intersection"})


def test_set_size_counts_different_values():
    inputs = {"set_indices": INDICES, "set_values": np.int32([1, 4, 4]), "set_shape": SHAPE}
    check("SetSize", inputs)


FOUR = np.ones((4, 2), np.float32)
CONCAT = {"indices": [INDICES, INDICES], "values": [VALUES, VALUES], "shapes": [SHAPE, SHAPE + 1]}
FILL = {"indices": np.int64([[7, 0]]), "values": VALUES[:1], "dense_shape": SHAPE, "default_value": VALUES[0]}


@pytest.mark.parametrize(
    "op, inputs, attrs",
    [
        ("SparseTensorDenseMatMul", A | {"a_indices": np.int64([[0, 1], [1, 0], [0, 5]]), "b": FOUR}, {}),
        ("SparseTensorDenseMatMul", A | {"b": np.ones((3, 2), np.float32)}, {}),
        ("SparseDenseCwiseMul", SP | {"dense": np.ones((2, 3, 4), np.float32)}, {}),
        ("SparseDenseCwiseMul", SP | {"dense": np.ones(2, np.float32)}, {}),
        ("SparseTensorDenseAdd", A | {"b": np.ones((3, 5), np.float32)}, {}),
        ("SparseReshape", {"input_indices": INDICES, "input_shape": SHAPE, "new_shape": np.int64([2, 4])}, {}),
        ("SparseReshape", {"input_indices": INDICES, "input_shape": SHAPE, "new_shape": np.int64([-1, 5])}, {}),
        ("SparseReshape", {"input_indices": INDICES, "input_shape": SHAPE, "new_shape": np.int64([-1, -1])}, {}),
        ("SparseConcat", CONCAT, {"concat_dim": 1}),
        ("SparseReduceSum", INPUT | {"reduction_axes": np.int32([2])}, {}),
        ("SparseAdd", A | B | {"b_shape": SHAPE + 1, "thresh": np.float32(0)}, {}),
        ("SparseSplit", {"split_dim": np.int64(0), "indices": INDICES, "values": VALUES, "shape": SHAPE}, {"num_split": 5}),
        ("SparseFillEmptyRows", FILL, {}),
        ("DenseToDenseSetOperation", {"set1": SETS["set1"], "set2": SETS["set2"][:1]}, {"set_operation": "union"}),
        ("DenseToDenseSetOperation", {"set1": SETS["set1"][0], "set2": SETS["set2"][0]}, {"set_operation": "union"}),
    ],
)  # fmt: skip
def test_errors_are_tensorflow_s(op, inputs, attrs):
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY[op].function(**inputs, **attrs)
    assert caught.value.message in raises(op, inputs, attrs)
