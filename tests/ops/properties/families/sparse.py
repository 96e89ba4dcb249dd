"""Sparse tensors: sorted entries mostly, now and then in no order, twice the same, or out of bounds."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative, ulps
from tests.ops.properties.recipes import Recipe, family
from tests.ops.properties.texts import strings

SIZES = (3, 1, 2, 4, 0)
SUMS = relative(20)


def entries(recipe: Recipe, shape: tuple[int, ...], *, strange: bool = True, most: int = 6) -> np.ndarray:
    """Indices int64[n, rank] of entries of a dense shape; rarely what is no sparse tensor, if `strange`."""
    size = int(np.prod(shape))
    count = min(recipe.integer(0, most), size)
    cells = np.sort(recipe.rng.permutation(size)[:count])
    found = np.stack(np.unravel_index(cells, shape), -1) if shape and size else np.zeros((0, len(shape)))
    found = np.asarray(found, np.int64).reshape(-1, len(shape))
    if strange and recipe.rarely() and len(found):
        kind = recipe.choice(["unsorted", "twice", "outside", "negative"])
        if kind == "unsorted":
            found = found[::-1].copy()
        elif kind == "twice":
            found[-1] = found[0]
        elif found.size:
            found[recipe.integer(0, len(found) - 1), recipe.integer(0, len(shape) - 1)] = 9 if kind == "outside" else -1
    return found


def give_sparse(recipe: Recipe, names: tuple[str, str, str], shape: tuple[int, ...], **kind: bool) -> int:
    """Gives indices, values and dense shape; returns the number of entries."""
    strange = kind.pop("strange", True)
    indices = entries(recipe, shape, strange=strange)
    recipe.give(names[0], indices)
    if recipe.dtype(names[1]) == dtypes.string:
        recipe.give(names[1], strings(recipe, (len(indices),)))
    else:
        recipe.input(names[1], (len(indices),), **kind)
    recipe.give(names[2], np.array(shape, int))
    return len(indices)


INPUT = ("input_indices", "input_values", "input_shape")
SP = ("sp_indices", "sp_values", "sp_shape")
A, B = (tuple(f"{x}_{part}" for part in ("indices", "values", "shape")) for x in "ab")
NUMBERS = tuple(
    d for d in dtypes.ALL if d.is_numeric and d not in (dtypes.bool_, dtypes.bfloat16) and not d.is_quantized
)


@family("SparseReorder")
def sparse_reorder(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=SIZES)
    give_sparse(recipe, INPUT, shape)
    if recipe.boolean():
        order = recipe.rng.permutation(len(recipe.call.inputs["input_indices"]))
        recipe.give("input_indices", recipe.call.inputs["input_indices"][order])


@family("SparseReshape")
def sparse_reshape(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=SIZES)
    recipe.give("input_indices", entries(recipe, shape))
    recipe.give("input_shape", np.array(shape))
    sizes = [shape[axis] for axis in recipe.permutation(len(shape))]
    if recipe.boolean():
        sizes[recipe.integer(0, len(sizes) - 1)] = -1
    if recipe.boolean():
        sizes.insert(0, recipe.choice([1, 1, 2]))
    recipe.give("new_shape", np.array(sizes))


@family("SparseConcat")
def sparse_concat(recipe: Recipe) -> None:
    shape = list(recipe.shape(1, 3, sizes=(3, 1, 2, 4)))
    axis, count = recipe.integer(-len(shape), len(shape) - 1), recipe.integer(2, 3)
    parts, shapes = [], []
    for _ in range(count):
        shape[axis] = recipe.integer(0, 3)
        parts.append(entries(recipe, tuple(shape), most=4))
        shapes.append(np.array(shape, np.int64))
    if recipe.rarely():
        shapes[-1][recipe.integer(0, len(shape) - 1)] += 1
    recipe.set(N=count, concat_dim=axis if not recipe.rarely() else len(shape))
    recipe.inputs("values", [(len(part),) for part in parts])
    recipe.call.inputs.update(indices=parts, shapes=shapes)


@family("SparseSplit")
def sparse_split(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(4, 1, 2, 5))
    axis = recipe.axis(len(shape)) if recipe.rarely() else recipe.integer(0, len(shape) - 1)
    recipe.give("split_dim", axis)
    give_sparse(recipe, ("indices", "values", "shape"), shape)
    recipe.set(num_split=recipe.integer(1, 3))


@family("SparseSlice")
def sparse_slice(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=SIZES)
    give_sparse(recipe, ("indices", "values", "shape"), shape)
    low = -1 if recipe.rarely() else 0
    recipe.give("start", np.array([recipe.integer(low, n) for n in shape]))
    recipe.give("size", np.array([recipe.integer(low, n + 1) for n in shape]))


@family("SparseSliceGrad")
def sparse_slice_grad(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(3, 1, 2, 4))
    indices = entries(recipe, shape, strange=False)
    start = np.array([recipe.integer(0, n - 1) for n in shape])
    size = np.array([recipe.integer(1, n) for n in shape])
    inside = np.all((indices >= start) & (indices < start + size), axis=1)
    recipe.give("input_indices", indices)
    recipe.give("input_start", start)
    recipe.give("output_indices", indices[inside] - start)
    recipe.input("backprop_val_grad", (int(inside.sum()) + recipe.rarely(),))


@family("SparseSoftmax", bound=ulps(16))
def sparse_softmax(recipe: Recipe) -> None:
    give_sparse(recipe, SP, recipe.shape(1 if recipe.rarely() else 2, 3, sizes=SIZES), flavor="plain", strange=False)


@family(
    "SparseReduceSum", "SparseReduceMax", "SparseReduceSumSparse", "SparseReduceMaxSparse", bound=SUMS, types={"T": NUMBERS}
)  # fmt: skip
def sparse_reduce(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=SIZES)
    give_sparse(recipe, INPUT, shape, flavor="plain" if recipe.flavor == "edges" else recipe.flavor, strange=False)
    axes = recipe.axis(len(shape)) if recipe.boolean() else np.array(recipe.axes(len(shape)), int)
    recipe.give("reduction_axes", axes)


@family("SparseDenseCwiseAdd", "SparseDenseCwiseMul", "SparseDenseCwiseDiv", bound=ulps(2))
def sparse_dense(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=SIZES)
    give_sparse(recipe, SP, shape)
    recipe.input("dense", recipe.shape(0, 3) if recipe.rarely() else recipe.broadcastable(shape))


@family("SparseTensorDenseAdd", bound=SUMS)
def sparse_tensor_dense_add(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=SIZES)
    give_sparse(recipe, A, shape, huge=False)
    recipe.input("b", recipe.shape(1, 3) if recipe.rarely() else shape, huge=False)


@family("SparseTensorDenseMatMul", bound=relative(40))
def sparse_tensor_dense_mat_mul(recipe: Recipe) -> None:
    shape = recipe.shape(2, 2, sizes=SIZES)
    give_sparse(recipe, A, shape, flavor="plain")
    inner = shape[0 if recipe.attr("adjoint_a") else 1] + recipe.rarely()
    sizes = (inner, recipe.integer(0, 4))
    recipe.input("b", sizes[::-1] if recipe.attr("adjoint_b") else sizes, flavor="plain")


# Of unsorted entries the kernels that merge compare the heads only.
@family("SparseAdd", bound=ulps(1), types={"T": NUMBERS})
def sparse_add(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=SIZES)
    for names in (A, B):
        give_sparse(recipe, names, recipe.shape(1, 3) if recipe.rarely() else shape, flavor="small", strange=False)
    real = recipe.attr("T")
    if real.is_complex:
        real = dtypes.float32 if real == dtypes.complex64 else dtypes.float64
    recipe.set(Treal=real)
    recipe.give("thresh", recipe.choice([0, 0, 1, 2]))


@family("SparseAddGrad", types={"T": NUMBERS})
def sparse_add_grad(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(3, 1, 2, 4))
    parts = [entries(recipe, shape, strange=False) for _ in range(2)]
    union = np.unique(np.concatenate(parts), axis=0)
    kept = union[recipe.rng.random(len(union)) < 0.8]
    recipe.input("backprop_val_grad", (len(kept),))
    for name, indices in zip(("a_indices", "b_indices", "sum_indices"), (*parts, kept), strict=True):
        recipe.give(name, indices)


@family("SparseSparseMaximum", "SparseSparseMinimum")
def sparse_sparse_extreme(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=SIZES)
    flavor = "plain" if recipe.flavor == "edges" else recipe.flavor
    give_sparse(recipe, A, shape, flavor=flavor, strange=False)
    give_sparse(recipe, B, recipe.shape(1, 3) if recipe.rarely() else shape, flavor=flavor, strange=False)


@family("SparseFillEmptyRows")
def sparse_fill_empty_rows(recipe: Recipe) -> None:
    give_sparse(recipe, ("indices", "values", "dense_shape"), recipe.shape(1, 3, sizes=SIZES))
    recipe.input("default_value")


@family("SparseFillEmptyRowsGrad", bound=SUMS, types={"T": NUMBERS})
def sparse_fill_empty_rows_grad(recipe: Recipe) -> None:
    count, filled = recipe.integer(0, 4), recipe.integer(0, 3)
    places = np.sort(recipe.rng.permutation(count + filled)[:count])
    if recipe.rarely() and count:
        places[0] = recipe.choice([-1, 9])
    recipe.give("reverse_index_map", places)
    recipe.input("grad_values", (count + filled,), huge=False)


@family("SparseCross")
def sparse_cross(recipe: Recipe) -> None:
    rows, hashed = recipe.integer(0, 3), recipe.boolean()
    # Features of numbers: only where numbers are crossed; those of strings are then crossed as their fingerprints.
    kinds = [dtypes.int64, dtypes.string] if hashed and recipe.boolean() else [dtypes.string]
    sparse = [recipe.choice(kinds) for _ in range(recipe.integer(0, 2))]
    dense = [recipe.choice(kinds) for _ in range(recipe.integer(0 if sparse else 1, 2))]
    recipe.set(N=len(sparse), sparse_types=tuple(sparse), dense_types=tuple(dense), hashed_output=hashed)
    recipe.set(out_type=dtypes.int64 if hashed else dtypes.string, internal_type=kinds[0])
    recipe.set(num_buckets=recipe.choice([0, 1, 10]), hash_key=recipe.integer(0, 2**60))
    shapes = [(rows, recipe.integer(0, 3)) for _ in sparse]
    indices = [entries(recipe, shape, strange=False, most=4) for shape in shapes]

    def features(kind: dtypes.DType, shape: tuple[int, ...]) -> np.ndarray:
        return strings(recipe, shape) if kind == dtypes.string else recipe.array(kind, shape)

    recipe.call.inputs.update(
        indices=indices,
        values=[features(kind, (len(x),)) for kind, x in zip(sparse, indices, strict=True)],
        shapes=[np.array(shape, np.int64) for shape in shapes],
        dense_inputs=[features(kind, (rows, recipe.integer(0, 2))) for kind in dense],
    )
