import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax.dtypes import float32, int64
from mgjax.errors import InvalidArgumentError, OutOfRangeError, UnimplementedError
from mgjax.ops import REGISTRY
from mgjax.ops.variables import (
    assign,
    assign_add,
    assign_variable,
    count_up_to,
    resource_gather,
    resource_gather_nd,
    strided_slice_assign,
)
from tests.ops.live import check, raises, random_array

FLOATS, INTS = np.float32([[1, 2], [3, 4], [5, 6]]), np.int32([[7, -7], [9, 4], [-8, 5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8, np.complex64])
def test_assignments_are_tensorflow_s(dtype):
    old, value = random_array(dtype, (2, 3)), random_array(dtype, (2, 3), seed=1)
    for op in ("Assign", "AssignAdd", "AssignSub"):
        check(op, {"ref": old, "value": value})
    if dtype != np.uint8:  # TensorFlow has no kernel
        for op in ("AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"):
            check(op, {"resource": old, "value": value})


def test_assign_needs_no_earlier_value():
    value = jnp.ones(3)
    assert REGISTRY["Assign"].overwrites == ("ref",)
    assert assign(None, value) is value
    assert assign_variable(None, value) is value


@pytest.mark.parametrize("op, ref", [("Assign", "ref"), ("AssignAdd", "ref"), ("AssignAddVariableOp", "resource")])
def test_another_shape_raises_what_tensorflow_raises(op, ref):
    inputs = {ref: np.zeros(2, np.float32), "value": np.zeros(3, np.float32)}
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY[op].function(**inputs)
    assert caught.value.message in raises(op, inputs)


def test_assign_without_validation_takes_any_shape():
    check("Assign", {"ref": np.zeros(2, np.float32), "value": np.ones((3, 1), np.float32)}, {"validate_shape": False})


def test_reading_gives_the_value_and_its_shape():
    check("ReadVariableOp", {"resource": FLOATS}, {"dtype": float32})
    check("VariableShape", {"input": FLOATS})


def test_count_up_to_gives_the_value_before():
    check("CountUpTo", {"ref": np.int32(1)}, {"limit": 3})
    check("ResourceCountUpTo", {"resource": np.int64(1)}, {"limit": 3, "T": int64})
    with pytest.raises(OutOfRangeError, match="Reached limit of 3"):
        count_up_to(np.int32(3), limit=3)
    assert jax.jit(lambda x: count_up_to(x, limit=3))(np.int32(3)) == (3, 3)


@pytest.mark.parametrize("name", ["Update", "Add", "Sub", "Mul", "Div", "Min", "Max"])
@pytest.mark.parametrize("ref", [FLOATS, INTS], ids=["float", "int"])
def test_scatters_apply_equal_indices_one_after_another(name, ref):
    updates = np.array([[[2, 3], [4, -2]], [[-5, 2], [1, 7]]], ref.dtype)
    indices = np.int64([[2, 0], [2, 1]])
    check(f"Scatter{name}", {"ref": ref, "indices": indices, "updates": updates})
    check(f"ResourceScatter{name}", {"resource": ref, "indices": indices, "updates": updates})


@pytest.mark.parametrize("name", ["Update", "Add", "Max"])
def test_a_scalar_updates_whole_rows(name):
    check(f"Scatter{name}", {"ref": FLOATS, "indices": np.int32([0, 2]), "updates": np.float32(3.5)})


@pytest.mark.parametrize("name", ["Update", "Add", "Sub"])
@pytest.mark.parametrize("depth", [1, 2])
def test_scatter_nd_reaches_elements_and_rows(name, depth):
    indices = np.int32([[2, 1], [0, 0], [2, 1]])[:, :depth]
    updates = random_array(np.float32, (3, 2)[: 3 - depth])
    for op in (f"ScatterNd{name}", f"ResourceScatterNd{name}"):
        check(op, {"ref": FLOATS, "indices": indices, "updates": updates})


def test_scatter_raises_on_known_indices_what_tensorflow_raises():
    inputs = {"ref": FLOATS, "indices": np.int32([[0], [-3]]), "updates": np.zeros((2, 1, 2), np.float32)}
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY["ScatterUpdate"].function(**inputs)
    assert caught.value.message in raises("ScatterUpdate", inputs)


def test_scatter_drops_unknown_indices_out_of_range():
    program = jax.jit(REGISTRY["ScatterAdd"].function)
    new = program(FLOATS, np.int32([3, 1, -1]), np.ones((3, 2), np.float32))
    np.testing.assert_array_equal(new, [[1, 2], [4, 5], [5, 6]])


def test_scatter_refuses_updates_of_another_shape():
    inputs = {"ref": FLOATS, "indices": np.int32([0]), "updates": np.zeros(3, np.float32)}
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY["ScatterSub"].function(**inputs)
    assert caught.value.message in raises("ScatterSub", inputs)


@pytest.mark.parametrize("shape, indices, batch_dims", [((5, 2), (3, 2), 0), ((2, 4, 3), (2, 2), 1), ((3,), (), 0)])
def test_gather_takes_rows(shape, indices, batch_dims):
    rows = np.random.default_rng(0).integers(0, shape[batch_dims], indices).astype(np.int64)
    inputs = {"resource": random_array(np.float32, shape), "indices": rows}
    check("ResourceGather", inputs, {"batch_dims": batch_dims, "dtype": float32})


def test_gather_nd_takes_elements_and_rows():
    for indices in (np.int32([[1, 1], [0, 0]]), np.int32([[2], [0]]), np.zeros((2, 0), np.int32)):
        check("ResourceGatherNd", {"resource": FLOATS, "indices": indices}, {"dtype": float32})


def test_gathers_give_zeros_for_unknown_indices_out_of_range():
    np.testing.assert_array_equal(jax.jit(resource_gather)(FLOATS, np.int32([-1, 1, 3])), [[0, 0], [3, 4], [0, 0]])
    np.testing.assert_array_equal(jax.jit(resource_gather_nd)(FLOATS, np.int32([[-1, 0], [1, 1]])), [0, 4])


SLICES = [
    ({"begin": [1, 0], "end": [3, 2], "strides": [1, 1]}, {}),
    ({"begin": [2, -1], "end": [0, 0], "strides": [-1, -1]}, {"end_mask": 2}),
    ({"begin": [1], "end": [2], "strides": [1]}, {"shrink_axis_mask": 1}),
    ({"begin": [0, 1], "end": [0, 2], "strides": [1, 1]}, {"ellipsis_mask": 1}),
    ({"begin": [0, 0, 0], "end": [0, 9, 1], "strides": [1, 2, 1]}, {"new_axis_mask": 1, "begin_mask": 2}),
    ({"begin": [2], "end": [1], "strides": [1]}, {}),
]


@pytest.mark.parametrize("index, masks", SLICES, ids=str)
def test_slices_are_assigned_where_strided_slice_reads(index, masks):
    index = {k: np.int32(v) for k, v in index.items()}
    shape = jax.eval_shape(lambda: FLOATS[numpy_index(index, **masks)]).shape
    inputs = {"ref": FLOATS, **index, "value": random_array(np.float32, shape)}
    check("StridedSliceAssign", inputs, masks, statics=["begin"])
    check("ResourceStridedSliceAssign", inputs, masks, statics=["begin"])
    tensor = {("input" if k == "ref" else k): v for k, v in inputs.items()}
    check("TensorStridedSliceUpdate", tensor, masks, statics=["begin"])


def numpy_index(index, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0):
    entries = []
    for i, (b, e, s) in enumerate(zip(*index.values(), strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit or new_axis_mask & bit:
            entries.append(Ellipsis if ellipsis_mask & bit else None)
        elif shrink_axis_mask & bit:
            entries.append(b)
        else:
            entries.append(slice(None if begin_mask & bit else b, None if end_mask & bit else e, s))
    return tuple(entries)


def test_a_row_is_assigned_at_an_unknown_position():
    def program(begin):
        return strided_slice_assign(FLOATS, begin, np.int32([0]), np.int32([1]), np.float32([8, 9]), shrink_axis_mask=1)

    np.testing.assert_array_equal(jax.jit(program)(np.int32([1])), [[1, 2], [8, 9], [5, 6]])


def test_slices_do_not_broadcast():
    index = np.int32([0]), np.int32([2]), np.int32([1])
    with pytest.raises(UnimplementedError, match=r"sliced l-value shape \[2\] does not match r-value shape \[3\]"):
        strided_slice_assign(np.zeros(3, np.float32), *index, np.zeros(3, np.float32))


def test_assignments_batch():
    new = jax.vmap(assign_add)(jnp.ones((3, 2)), jnp.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(new, 1 + np.arange(6).reshape(3, 2))
