"""Sets, which are rows of sparse or dense arrays, and the distance of sequences."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.families.sparse import entries
from tests.ops.properties.recipes import Recipe, family
from tests.ops.properties.texts import strings

WORDS = (b"a", b"b", b"", b"ab", "é".encode())


def members(recipe: Recipe, name: str, shape: tuple[int, ...]) -> None:
    if recipe.dtype(name) == dtypes.string:
        recipe.give(name, strings(recipe, shape, WORDS))
    else:
        recipe.input(name, shape, flavor="small")


def sparse_sets(recipe: Recipe, prefix: str, shape: tuple[int, ...], *, strange: bool = True) -> None:
    indices = entries(recipe, shape, strange=strange)
    recipe.give(f"{prefix}_indices", indices)
    members(recipe, f"{prefix}_values", (len(indices),))
    recipe.give(f"{prefix}_shape", np.array(shape, int))


@family("SetSize", "DenseToDenseSetOperation", "DenseToSparseSetOperation", "SparseToSparseSetOperation")
def set_operation(recipe: Recipe) -> None:
    leading = recipe.shape(0 if recipe.rarely() else 1, 2, sizes=(2, 1, 3, 0))
    if "validate_indices" in recipe.call.attrs:
        recipe.set(validate_indices=True)  # without, indices out of bounds end the live TensorFlow's process
    if recipe.call.op == "SetSize":
        sparse_sets(recipe, "set", (*leading, recipe.integer(0, 4)))
        return
    recipe.set(set_operation=recipe.choice(["a-b", "b-a", "intersection", "union", "UNION"]))
    kinds = ["Dense" if recipe.call.op.startswith("DenseTo") else "Sparse", recipe.call.op.split("To")[1]]
    for i, kind in enumerate(kinds, 1):
        if recipe.rarely() and i == 2:
            leading = recipe.shape(1, 2, sizes=(2, 1, 3))
        shape = (*leading, recipe.integer(0, 4))
        if kind.startswith("Dense"):
            members(recipe, f"set{i}", shape)
        else:
            sparse_sets(recipe, f"set{i}", shape)


@family("EditDistance")
def edit_distance(recipe: Recipe) -> None:
    leading = recipe.shape(0 if recipe.rarely() else 1, 2, sizes=(2, 1, 3))
    for prefix in ("hypothesis", "truth"):
        if recipe.rarely():
            leading = recipe.shape(1, 2, sizes=(2, 1, 3))
        sparse_sets(
            recipe, prefix, (*leading, recipe.integer(0, 5)), strange=False
        )  # of unsorted ones, neighbours are compared
