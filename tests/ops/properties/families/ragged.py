"""Ragged tensors."""

import numpy as np

from tests.ops.properties.recipes import Recipe, family


def nested(recipe: Recipe, depth: int, *, strange: bool = True) -> tuple[list[np.ndarray], int]:
    """Row splits of `depth` ragged axes, and the number of values; rarely splits that are none."""
    count, levels = recipe.integer(0, 3), []
    for _ in range(depth):
        lengths = [recipe.integer(0, 3) for _ in range(count)]
        levels.append(np.cumsum([0, *lengths]))
        count = int(levels[-1][-1])
    if strange and recipe.rarely():
        level = recipe.choice(levels)
        level[recipe.integer(0, len(level) - 1)] += recipe.choice([-1, 1, 5])
    return levels, count


def give_splits(recipe: Recipe, name: str, levels: list[np.ndarray]) -> None:
    recipe.inputs(name, [level.shape for level in levels])
    recipe.call.inputs[name] = [level.astype(recipe.dtype(name).numpy) for level in levels]


@family("RaggedTensorToSparse")
def ragged_tensor_to_sparse(recipe: Recipe) -> None:
    levels, count = nested(recipe, recipe.integer(1, 3))
    give_splits(recipe, "rt_nested_splits", levels)
    recipe.input("rt_dense_values", (count, *recipe.shape(0, 1, sizes=(1, 2, 0))))


@family("RaggedGather")
def ragged_gather(recipe: Recipe) -> None:
    levels, count = nested(recipe, recipe.integer(1, 3), strange=False)
    give_splits(recipe, "params_nested_splits", levels)
    recipe.input("params_dense_values", (count, *recipe.shape(0, 1, sizes=(1, 2))))
    shape = recipe.shape(0, 2, sizes=(2, 1, 3, 0))
    rows = len(levels[0]) - 1
    high = rows if recipe.rarely() or not rows else rows - 1
    recipe.give("indices", recipe.uniform(recipe.dtype("indices"), shape, 0, high))
    recipe.set(OUTPUT_RAGGED_RANK=len(levels) + len(shape) - 1)


@family("RaggedRange")
def ragged_range(recipe: Recipe) -> None:
    count = recipe.integer(0, 4)
    for name in ("starts", "limits", "deltas"):
        shape = () if recipe.boolean() else (count + recipe.rarely(),)
        low = -3 if name != "deltas" or recipe.boolean() else 1
        recipe.give(name, recipe.uniform(recipe.dtype(name), shape, low, 5))


@family("RaggedTensorToTensor")
def ragged_tensor_to_tensor(recipe: Recipe) -> None:
    levels, count = nested(recipe, recipe.integer(1, 2), strange=False)
    inner = recipe.shape(0, 1, sizes=(1, 2, 3))
    recipe.input("values", (count, *inner))
    recipe.input("default_value", recipe.choice([(), inner]))
    if recipe.boolean():
        tensors, kinds = levels, ["ROW_SPLITS"] * len(levels)
    else:
        rows = [np.repeat(np.arange(len(level) - 1), np.diff(level)) for level in levels]
        tensors, kinds = [np.array(len(levels[0]) - 1), *rows], ["FIRST_DIM_SIZE", *["VALUE_ROWIDS"] * len(levels)]
    recipe.inputs("row_partition_tensors", [x.shape for x in tensors])
    dtype = recipe.dtype("row_partition_tensors").numpy
    recipe.call.inputs["row_partition_tensors"] = [x.astype(dtype) for x in tensors]
    recipe.set(row_partition_types=tuple(kinds))
    rank = 1 + len(levels) + len(inner)
    sizes = [-1, *(recipe.choice([-1, recipe.integer(0, 4)]) for _ in levels), *(recipe.choice([-1, n]) for n in inner)]
    if recipe.rarely():
        sizes = sizes[: recipe.integer(1, rank)]
    recipe.give("shape", -1 if recipe.rarely() else np.array(sizes))
