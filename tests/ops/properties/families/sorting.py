"""Order: the greatest, the n-th, what is different."""

import numpy as np

from tests.ops.properties.recipes import Recipe, family


@family("TopK", "TopKV2", sorted=True)
def top_k(recipe: Recipe) -> None:
    # Where a NaN is sorted to depends on how TensorFlow goes about it.
    shape = recipe.shape(1, 3, sizes=(3, 5, 1, 0, 8))
    recipe.input("input", shape, flavor="plain" if recipe.flavor == "edges" else recipe.flavor)
    k = recipe.integer(-1 if recipe.rarely() else 0, shape[-1] + recipe.rarely())
    if recipe.call.op == "TopK":
        recipe.set(k=k)
    else:
        recipe.give("k", k)


@family("NthElement")
def nth_element(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(3, 5, 1, 8))
    recipe.input("input", shape, flavor="plain" if recipe.flavor == "edges" else recipe.flavor)
    recipe.give("n", recipe.integer(0, shape[-1] - 1 + recipe.rarely()))


@family("Unique", "UniqueWithCounts")
def unique(recipe: Recipe) -> None:
    recipe.input("x", (recipe.integer(0, 7),), flavor="small")


@family("UniqueV2", "UniqueWithCountsV2")
def unique_v2(recipe: Recipe) -> None:
    shape = recipe.shape(1, 2, sizes=(1, 2, 4, 6))
    recipe.input("x", shape, flavor="small")
    axes = [recipe.axis(len(shape))] if len(shape) > 1 or recipe.boolean() else []
    recipe.give("axis", np.array(axes, int))


@family("ListDiff")
def list_diff(recipe: Recipe) -> None:
    for name in ("x", "y"):
        recipe.input(name, (recipe.integer(0, 7),), flavor="small")


@family("Where")
def where(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(1, 5), flavor="small")
