"""Joining, splitting, padding, repeating."""

import numpy as np

from tests.ops.properties.recipes import Recipe, family


def joined_shapes(recipe: Recipe, axis: int, shape: tuple[int, ...], count: int) -> list[tuple[int, ...]]:
    shapes = []
    for _ in range(count):
        sizes = list(shape)
        if sizes:
            sizes[axis] = recipe.integer(0, 3)
        shapes.append(recipe.shape() if recipe.rarely() and recipe.rarely() else tuple(sizes))
    return shapes


@family("Concat", "ConcatV2")
def concat(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4)
    axis = recipe.integer(-len(shape), len(shape) - 1)
    recipe.inputs("values", joined_shapes(recipe, axis, shape, recipe.integer(2, 4)))
    recipe.give("concat_dim" if recipe.call.op == "Concat" else "axis", axis)


@family("ConcatOffset")
def concat_offset(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4)
    axis = recipe.integer(0, len(shape) - 1)
    shapes = joined_shapes(recipe, axis, shape, recipe.integer(2, 4))
    recipe.inputs("shape", [()] * len(shapes))
    recipe.call.inputs["shape"] = [np.array(s, recipe.dtype("shape").numpy) for s in shapes]
    recipe.give("concat_dim", axis - len(shape) if recipe.boolean() else axis)


@family("Pack")
def pack(recipe: Recipe) -> None:
    shape = recipe.shape(0, 4)
    recipe.inputs("values", [shape] * recipe.integer(1, 4))
    recipe.set(axis=recipe.axis(len(shape) + 1))


@family("Unpack")
def unpack(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4)
    recipe.input("value", shape)
    axis = recipe.integer(-len(shape), len(shape) - 1)
    recipe.set(axis=axis, num=shape[axis] + recipe.rarely())


@family("ParallelConcat")
def parallel_concat(recipe: Recipe) -> None:
    count, shape = recipe.integer(1, 4), recipe.shape(0, 3)
    recipe.inputs("values", [(1, *shape)] * count)
    recipe.set(shape=(count, *shape))


@family("Pad", "PadV2")
def pad(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("input", shape)
    low = -1 if recipe.rarely() else 0
    recipe.give(
        "paddings", np.array([[recipe.integer(low, 3), recipe.integer(0, 2)] for _ in shape], int).reshape(-1, 2)
    )
    if recipe.call.op == "PadV2":
        recipe.input("constant_values")


@family("MirrorPad", "MirrorPadGrad")
def mirror_pad(recipe: Recipe) -> None:
    shape = recipe.shape(0, 4, sizes=(1, 2, 3, 4))
    less = 1 if recipe.attr("mode") == "REFLECT" else 0
    sizes = [[recipe.integer(0, max(n - less, 0)) for _ in range(2)] for n in shape]
    if sizes and recipe.rarely():
        sizes[0][0] = 5
    recipe.give("paddings", np.array(sizes, int).reshape(-1, 2))
    if recipe.call.op == "MirrorPadGrad":
        shape = tuple(n + a + b for n, (a, b) in zip(shape, sizes, strict=True))
    recipe.input("input", shape, huge=False)


@family("Roll")
def roll(recipe: Recipe) -> None:
    shape = recipe.shape(1)
    recipe.input("input", shape)
    count = recipe.integer(0, 3)
    if recipe.boolean():
        recipe.give("shift", recipe.integer(-7, 7))
        recipe.give("axis", recipe.axis(len(shape)))
    else:
        recipe.give("shift", np.array([recipe.integer(-7, 7) for _ in range(count)], int))
        recipe.give("axis", np.array([recipe.integer(-len(shape), len(shape) - 1) for _ in range(count)], int))


@family("Split")
def split(recipe: Recipe) -> None:
    shape = list(recipe.shape(1, 4))
    axis, count = recipe.integer(-len(shape), len(shape) - 1), recipe.integer(1, 4)
    shape[axis] = count * recipe.integer(0, 2) + recipe.rarely()
    recipe.set(num_split=count)
    recipe.give("split_dim", axis)
    recipe.input("value", shape)


@family("SplitV")
def split_v(recipe: Recipe) -> None:
    shape = list(recipe.shape(1, 4))
    axis = recipe.integer(-len(shape), len(shape) - 1)
    sizes = [recipe.integer(0, 3) for _ in range(recipe.integer(1, 4))]
    shape[axis] = sum(sizes) + recipe.rarely()
    if recipe.boolean():
        sizes[recipe.integer(0, len(sizes) - 1)] = -1
    recipe.set(num_split=len(sizes))
    recipe.input("value", shape)
    recipe.give("size_splits", np.array(sizes))
    recipe.give("split_dim", axis)


@family("Tile")
def tile(recipe: Recipe) -> None:
    shape = recipe.shape(0, 4)
    recipe.input("input", shape)
    recipe.give("multiples", np.array([recipe.integer(-1 if recipe.rarely() else 0, 3) for _ in shape], int))
