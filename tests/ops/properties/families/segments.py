"""Segments, scatters and what is stitched together."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative
from tests.ops.properties.families.slicing import row_numbers
from tests.ops.properties.recipes import Call, Recipe, family

SUMS = relative(20)
SUMMED = tuple(d for d in dtypes.ALL if d.is_numeric and d not in (dtypes.bool_, dtypes.bfloat16))


def without_nan(recipe: Recipe) -> str:
    """The call's flavor, or a plain one: whether a NaN wins a maximum depends on where it stands, and on the version."""
    return "plain" if recipe.flavor == "edges" else recipe.flavor


@family(
    "SegmentSum", "SegmentMean", "SegmentProd", "SegmentMax", "SegmentMin", "SegmentSumV2", "SegmentProdV2",
    "SegmentMaxV2", "SegmentMinV2", bound=SUMS,
)  # fmt: skip
def segment(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(3, 1, 2, 4, 0))
    recipe.input("data", shape, flavor=without_nan(recipe))
    ids = np.sort(recipe.uniform(recipe.dtype("segment_ids"), (shape[0],), 0, 5))
    if recipe.rarely():
        ids = ids[::-1].copy()
    recipe.give("segment_ids", ids)
    if recipe.call.op.endswith("V2"):
        recipe.give("num_segments", recipe.integer(5, 7))


@family("UnsortedSegmentSum", "UnsortedSegmentProd", "UnsortedSegmentMax", "UnsortedSegmentMin", bound=SUMS)
def unsorted_segment(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(3, 1, 2, 4, 0))
    recipe.input("data", shape, huge=False)
    count = recipe.integer(0, 4)
    depth = recipe.integer(1, len(shape))
    recipe.give("segment_ids", recipe.uniform(recipe.dtype("segment_ids"), shape[:depth], -1, max(count - 1, -1)))
    recipe.give("num_segments", count)


@family(
    "SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN", "SparseSegmentSumWithNumSegments",
    "SparseSegmentMeanWithNumSegments", "SparseSegmentSqrtNWithNumSegments", bound=SUMS, sparse_gradient=False,
)  # fmt: skip
def sparse_segment(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(3, 1, 2, 4))
    recipe.input("data", shape, huge=False)
    count = recipe.integer(0, 5)
    recipe.give("indices", recipe.uniform(recipe.dtype("indices"), (count,), 0, shape[0] - 1 + recipe.rarely()))
    recipe.give("segment_ids", np.sort(recipe.uniform(recipe.dtype("segment_ids"), (count,), 0, 4)))
    if recipe.call.op.endswith("NumSegments"):
        recipe.give("num_segments", recipe.integer(4 if recipe.rarely() else 5, 7))


# Of bfloat16, and where there is no index, 2.21's kernel leaves memory as it found it.
GRAD = (dtypes.float32, dtypes.float64)


@family("SparseSegmentSumGrad", "SparseSegmentMeanGrad", "SparseSegmentSqrtNGrad", bound=SUMS, types={"T": GRAD})
def sparse_segment_grad(recipe: Recipe) -> None:
    count, segments, rows = recipe.integer(1, 5), recipe.integer(1, 4), recipe.integer(1, 4)
    recipe.input("grad", (segments, *recipe.shape(0, 2, sizes=(1, 2, 3))), huge=False)
    recipe.give("indices", recipe.uniform(recipe.dtype("indices"), (count,), 0, rows - 1 + recipe.rarely()))
    recipe.give("segment_ids", np.sort(recipe.uniform(recipe.dtype("segment_ids"), (count,), 0, segments - 1)))
    recipe.give("output_dim0", rows)


def first_rows(outputs: list[np.ndarray], call: Call) -> list[np.ndarray]:
    """The rows that have a position, by position: which order they come in is not said."""
    order = np.argsort(outputs[1], kind="stable")
    return [outputs[0][order], outputs[1][order]]


@family(
    "SparseSegmentSumGradV2", "SparseSegmentMeanGradV2", "SparseSegmentSqrtNGradV2", bound=SUMS, types={"T": GRAD},
    view=first_rows,
)  # fmt: skip
def sparse_segment_grad_v2(recipe: Recipe) -> None:
    count, segments, rows = recipe.integer(1, 5), recipe.integer(1, 4), recipe.integer(1, 4)
    recipe.input("grad", (segments, *recipe.shape(0, 2, sizes=(1, 2, 3))), huge=False)
    recipe.give("indices", recipe.uniform(recipe.dtype("indices"), (count,), 0, rows - 1))
    recipe.give("segment_ids", np.sort(recipe.uniform(recipe.dtype("segment_ids"), (count,), 0, segments - 1)))
    recipe.give("dense_output_dim0", rows)


def vectors(recipe: Recipe, shape: tuple[int, ...], *, distinct: bool) -> np.ndarray:
    """Index vectors of one depth into an array of this shape."""
    depth = recipe.integer(1, len(shape))
    outer = recipe.shape(1, 2, sizes=(0, 1, 2, 3))
    count = int(np.prod(shape[:depth]))
    if distinct:
        flat = recipe.rng.permutation(count)[: int(np.prod(outer))]
        outer = (len(flat),)
    else:
        flat = recipe.rng.integers(0, max(count, 1), outer)
    columns = np.unravel_index(np.reshape(flat, outer), shape[:depth]) if count else [np.zeros(outer, int)] * depth
    found = np.stack(columns, -1)
    if recipe.rarely() and found.size:
        found.flat[0] = recipe.choice([-1, 7])
    return found


@family(
    "TensorScatterUpdate", "TensorScatterAdd", "TensorScatterSub", "TensorScatterMax", "TensorScatterMin", bound=SUMS
)
def tensor_scatter(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(3, 1, 2, 4))
    recipe.input("tensor", shape, flavor=without_nan(recipe))
    # Of two updates of one element the last is kept, in an order that threads decide.
    where = vectors(recipe, shape, distinct=recipe.call.op == "TensorScatterUpdate")
    recipe.give("indices", where)
    recipe.input("updates", (*where.shape[:-1], *shape[where.shape[-1] :]), flavor=without_nan(recipe))


@family("ScatterNd", bound=SUMS)
def scatter_nd(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(3, 1, 2, 4))
    where = vectors(recipe, shape, distinct=False)
    recipe.give("indices", where)
    recipe.input("updates", (*where.shape[:-1], *shape[where.shape[-1] :]), huge=False)
    recipe.give("shape", np.array(shape))


@family("ScatterNdNonAliasingAdd", bound=SUMS)
def scatter_nd_non_aliasing_add(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(3, 1, 2, 4))
    recipe.input("input", shape, huge=False)
    where = vectors(recipe, shape, distinct=False)
    recipe.give("indices", where)
    recipe.input("updates", (*where.shape[:-1], *shape[where.shape[-1] :]), huge=False)


@family("InplaceAdd", "InplaceSub", "InplaceUpdate", bound=SUMS, types={"T": SUMMED})
def inplace(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(3, 1, 2, 4))
    recipe.input("x", shape, huge=False)
    rows = recipe.rng.permutation(shape[0])[: recipe.integer(0, shape[0])]
    recipe.give("i", rows)
    recipe.input("v", (len(rows), *shape[1:]), huge=False)


@family("SparseToDense")
def sparse_to_dense(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(3, 1, 2, 4))
    cells = np.sort(recipe.rng.permutation(int(np.prod(shape)))[: recipe.integer(0, 5)])
    recipe.give("sparse_indices", np.stack(np.unravel_index(cells, shape), -1))
    recipe.give("output_shape", np.array(shape))
    recipe.input("sparse_values", recipe.choice([(), (len(cells),)]))
    recipe.input("default_value")


@family("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(recipe: Recipe) -> None:
    inner = recipe.shape(0, 2, sizes=(1, 2, 3))
    shapes = [recipe.shape(0, 2, sizes=(1, 2, 3, 0)) for _ in range(recipe.integer(1, 3))]
    total = sum(int(np.prod(s)) for s in shapes)
    # Each place once: what the parallel op keeps of two is not said.
    order = recipe.rng.permutation(total)
    recipe.set(N=len(shapes))
    starts = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
    indices = [order[a:b].reshape(s).astype(np.int32) for a, b, s in zip(starts[:-1], starts[1:], shapes, strict=True)]
    recipe.inputs("indices", shapes)
    recipe.call.inputs["indices"] = indices
    recipe.inputs("data", [(*s, *inner) for s in shapes])


@family("DynamicPartition")
def dynamic_partition(recipe: Recipe) -> None:
    shape = recipe.shape(0, 2)
    count = recipe.integer(1, 3)
    recipe.set(num_partitions=count)
    row_numbers(recipe, "partitions", shape, count)
    recipe.input("data", (*shape, *recipe.shape(0, 2, sizes=(1, 2, 3))))
