"""Sparse tensors and sets of which the values decide how many entries the result has, against a live TensorFlow."""

import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax.errors import InvalidArgumentError
from mgjax.host.sparse_entries import set_size, sparse_to_sparse_set_operation
from mgjax.ops import REGISTRY
from tests.ops.live import check, raises

INDICES, VALUES, SHAPE = np.int64([[0, 1], [1, 0], [1, 2]]), np.float32([1, -2, 3]), np.int64([3, 4])
A = {"a_indices": INDICES, "a_values": VALUES, "a_shape": SHAPE}
B = {"b_indices": np.int64([[0, 1], [1, 1], [1, 2]]), "b_values": np.float32([5, 2, -3]), "b_shape": SHAPE}
INPUT = {"input_indices": INDICES, "input_values": VALUES, "input_shape": SHAPE}
SETS = {"set1": np.int32([[3, 1, 1], [4, 5, 6], [0, 0, 0]]), "set2": np.int32([[1, 9], [6, 4], [2, 2]])}
SPARSE = {"indices": np.int64([[0, 0], [0, 1], [1, 0]]), "values": np.int32([1, 9, 6]), "shape": np.int64([3, 2])}
FILL = {"indices": np.int64([[7, 0]]), "values": VALUES[:1], "dense_shape": SHAPE, "default_value": VALUES[0]}


@pytest.mark.parametrize("axes", [[0], [1], [], [-1], [0, 0], 1], ids=str)
@pytest.mark.parametrize("op", ["SparseReduceSumSparse", "SparseReduceMaxSparse"])
def test_reductions(op, axes):
    for keep_dims in (False, True):
        check(op, INPUT | {"reduction_axes": np.int32(axes)}, {"keep_dims": keep_dims})


def test_a_full_sparse_reduction_has_one_entry_of_rank_zero():
    indices, values, shape = REGISTRY["SparseReduceSumSparse"].function(**INPUT, reduction_axes=np.int32([0, 1]))
    assert (indices.shape, values.tolist(), shape.shape) == ((1, 0), [2.0], (0,))


@pytest.mark.parametrize("thresh", [0, 2, 2.5])
def test_add_drops_sums_below_the_threshold(thresh):
    check("SparseAdd", A | B | {"thresh": np.float32(thresh)})


def test_add_of_complex_numbers_compares_magnitudes():
    values = {"a_values": VALUES.astype(np.complex64) * 1j, "b_values": B["b_values"].astype(np.complex64)}
    check("SparseAdd", A | B | values | {"thresh": np.float32(3)})


@pytest.mark.parametrize("op", ["SparseSparseMaximum", "SparseSparseMinimum"])
def test_absent_entries_count_as_zero(op):
    check(op, A | B)


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


def test_slices_are_cut_at_the_dense_shape():
    box = {"start": np.int64([1, 0]), "size": np.int64([5, 2])}
    check("SparseSlice", {"indices": INDICES, "values": VALUES, "shape": SHAPE, **box})


@pytest.mark.parametrize(
    "op, inputs, attrs",
    [
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


@pytest.mark.parametrize("indices, problem", [([[1, 0], [0, 1]], "out of order"), ([[0, 1], [0, 1]], "repeated")])
def test_sets_want_their_entries_in_order(indices, problem):
    # As 1.15 does: tensorflow/core/util/sparse/sparse_tensor.h, IndicesValid.
    sets = (np.int64(indices), np.int32([5, 6]), np.int64([2, 2]))
    with pytest.raises(InvalidArgumentError, match=problem):
        sparse_to_sparse_set_operation(*sets, *sets, set_operation="intersection")
    sparse_to_sparse_set_operation(*sets, *sets, set_operation="intersection", validate_indices=False)


def test_sets_have_no_entry_out_of_bounds():
    sets = (np.int64([[0, 2]]), np.int32([5]), np.int64([2, 2]))
    with pytest.raises(InvalidArgumentError, match="out of bounds"):
        set_size(*sets)
