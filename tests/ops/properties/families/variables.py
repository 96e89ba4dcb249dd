"""Ops that read and change variables."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.families.segments import SUMS, vectors, without_nan
from tests.ops.properties.families.slicing import row_numbers, spec
from tests.ops.properties.recipes import Recipe, family

COMBINATIONS = ("Update", "Add", "Sub", "Mul", "Div", "Min", "Max")


def variable(recipe: Recipe, shape: tuple[int, ...], **kind) -> None:
    recipe.input(recipe.op_def.inputs[0].name, shape, **kind)


@family("Assign", "AssignVariableOp")
def assign(recipe: Recipe) -> None:
    shape = recipe.shape()
    if recipe.rarely() and recipe.dtype("value") != dtypes.string:
        recipe.call.inputs[recipe.op_def.inputs[0].name] = None
    else:
        variable(recipe, shape)
    recipe.input("value", recipe.shape() if recipe.rarely() else shape)


@family("AssignAdd", "AssignSub", "AssignAddVariableOp", "AssignSubVariableOp")
def assign_sum(recipe: Recipe) -> None:
    shape = recipe.shape()
    variable(recipe, shape)
    recipe.input("value", recipe.shape() if recipe.rarely() else shape)


@family("ReadVariableOp", "VariableShape", "RefIdentity")
def read(recipe: Recipe) -> None:
    variable(recipe, recipe.shape())


@family("VarIsInitializedOp", "IsVariableInitialized")
def is_initialized(recipe: Recipe) -> None:
    name = recipe.op_def.inputs[0].name
    if recipe.boolean():
        recipe.call.inputs[name] = None
    else:
        recipe.input(name, recipe.shape())


@family("CountUpTo", "ResourceCountUpTo")
def count_up_to(recipe: Recipe) -> None:
    variable(recipe, recipe.shape(0, 1) if recipe.rarely() else (), flavor="small")
    recipe.set(limit=recipe.integer(-1, 4))


@family(*(f"{kind}Scatter{how}" for kind in ("", "Resource") for how in COMBINATIONS), bound=SUMS)
def scatter(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(3, 1, 2, 4, 0))
    how = recipe.call.op.partition("Scatter")[2]
    variable(recipe, shape, flavor=without_nan(recipe))
    where = recipe.shape(0, 2)
    row_numbers(recipe, "indices", where, shape[0])
    if how == "Update":
        distinct(recipe, shape[0])
    whole = () if recipe.boolean() else (*where, *shape[1:])
    recipe.input("updates", (*whole, 1) if recipe.rarely() else whole, flavor=without_nan(recipe))


def distinct(recipe: Recipe, count: int) -> None:
    """No index twice: of two updates of one row the last is kept, in an order that threads decide."""
    indices = recipe.call.inputs["indices"]
    if indices.size <= count:
        recipe.give("indices", recipe.rng.permutation(count)[: indices.size].reshape(indices.shape))


@family(*(f"{kind}ScatterNd{how}" for kind in ("", "Resource") for how in COMBINATIONS if how not in ("Mul", "Div")),
        bound=SUMS)  # fmt: skip
def scatter_nd(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(3, 1, 2, 4))
    variable(recipe, shape, flavor=without_nan(recipe))
    where = vectors(recipe, shape, distinct=recipe.call.op.endswith("Update"))
    recipe.give("indices", where)
    recipe.input("updates", (*where.shape[:-1], *shape[where.shape[-1] :]), flavor=without_nan(recipe))


@family("ResourceGather")
def gather(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(1, 2, 3, 0))
    variable(recipe, shape)
    batch = recipe.integer(0, len(shape) - 1)
    recipe.set(batch_dims=batch)
    row_numbers(recipe, "indices", (*shape[:batch], *recipe.shape(0, 2)), shape[batch])


@family("ResourceGatherNd")
def gather_nd(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(1, 2, 3, 0))
    variable(recipe, shape)
    recipe.give("indices", vectors(recipe, shape, distinct=False) if 0 not in shape else np.zeros((2, 0), int))


# Of strings and quantized numbers an empty slice ends in an internal error.
PLAIN = tuple(d for d in dtypes.ALL if d.is_numeric and not d.is_quantized)


@family("StridedSliceAssign", "ResourceStridedSliceAssign", "TensorStridedSliceUpdate", types={"T": PLAIN})
def strided_slice_assign(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4)
    variable(recipe, shape)
    spec(recipe, len(shape))
    sliced = shape_of_slice(recipe, shape)
    recipe.input("value", () if recipe.rarely() else sliced)


def shape_of_slice(recipe: Recipe, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that TensorFlow's StridedSlice gives; any where it refuses."""
    from tests.ops.live import tf

    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    ends = (recipe.call.inputs[name] for name in ("begin", "end", "strides"))
    with tf.Graph().as_default():
        try:
            sliced = tf.raw_ops.StridedSlice(
                **dict(zip(("input", "begin", "end", "strides"), (np.zeros(shape, bool), *ends), strict=True)),
                **{name: recipe.attr(name) for name in masks},
            )
        except ValueError:
            return shape
    return tuple(sliced.shape.as_list())
