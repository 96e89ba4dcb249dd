"""Slices, gathers, one-hot rows, positions in sorted rows."""

import numpy as np

from tests.ops.properties.families.shaping import NUMBERS
from tests.ops.properties.recipes import Recipe, family


@family("Slice")
def slice_(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("input", shape)
    begin = [recipe.integer(0, n) for n in shape]
    size = [recipe.choice([-1, recipe.integer(0, n - b)]) for n, b in zip(shape, begin, strict=True)]
    if size and recipe.rarely():
        size[0] += 1
    recipe.give("begin", np.array(begin, int))
    recipe.give("size", np.array(size, int))


def spec(recipe: Recipe, rank: int) -> None:
    """The begin, end, strides and masks of a strided slice."""
    count = recipe.integer(0, rank)
    recipe.give("begin", np.array([recipe.integer(-5, 5) for _ in range(count)], int))
    recipe.give("end", np.array([recipe.integer(-5, 6) for _ in range(count)], int))
    strides = [recipe.choice([1, 1, 1, 2, -1, -2, 3]) for _ in range(count)]
    if strides and recipe.rarely():
        strides[0] = 0
    recipe.give("strides", np.array(strides, int))
    full = (1 << count) - 1
    recipe.set(
        begin_mask=recipe.integer(0, full),
        end_mask=recipe.integer(0, full),
        shrink_axis_mask=recipe.integer(0, full) if recipe.rarely() else 0,
        new_axis_mask=recipe.integer(0, full) if recipe.boolean() else 0,
        ellipsis_mask=1 << recipe.integer(0, count) if recipe.boolean() else 0,
    )


@family("StridedSlice")
def strided_slice(recipe: Recipe) -> None:
    shape = recipe.shape(1)
    recipe.input("input", shape)
    spec(recipe, len(shape))


@family("StridedSliceGrad", types={"T": NUMBERS})  # a string has no gradient
def strided_slice_grad(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(1, 2, 3, 4))
    spec(recipe, len(shape))
    recipe.set(ellipsis_mask=0, shrink_axis_mask=0, new_axis_mask=0)
    recipe.give("shape", np.array(shape))
    ends = zip(*(recipe.call.inputs[name] for name in ("begin", "end", "strides")), strict=True)
    picked = []
    for axis, (begin, end, stride) in enumerate(ends):
        first = None if recipe.attr("begin_mask") >> axis & 1 else int(begin)
        last = None if recipe.attr("end_mask") >> axis & 1 else int(end)
        picked.append(len(range(shape[axis])[slice(first, last, int(stride) or 1)]))
    recipe.input("dy", (*picked, *shape[len(picked) :]))


def row_numbers(recipe: Recipe, name: str, shape: tuple[int, ...], count: int) -> None:
    """Positions among `count`; rarely one that is not there."""
    outside = recipe.rarely()
    recipe.give(name, recipe.uniform(recipe.dtype(name), shape, -1 if outside else 0, max(count - 1, 0) + outside))


@family("Gather")
def gather(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(1, 2, 3, 0))
    recipe.input("params", shape)
    row_numbers(recipe, "indices", recipe.shape(0, 2), shape[0])


@family("GatherV2")
def gather_v2(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(1, 2, 3, 0))
    recipe.input("params", shape)
    batch = recipe.integer(0, len(shape) - 1)
    axis = recipe.integer(batch, len(shape) - 1)
    row_numbers(recipe, "indices", (*shape[:batch], *recipe.shape(0, 2, sizes=(1, 2, 0))), shape[axis])
    recipe.give("axis", axis - len(shape) if recipe.boolean() else axis)
    recipe.set(batch_dims=batch)


@family("GatherNd")
def gather_nd(recipe: Recipe) -> None:
    shape = recipe.shape(1, 4, sizes=(1, 2, 3, 0))
    recipe.input("params", shape)
    depth = recipe.integer(0, len(shape))
    outer = recipe.shape(0, 2)
    columns = [recipe.rng.integers(0, max(n + recipe.rarely(), 1), outer) for n in shape[:depth]]
    recipe.give("indices", np.stack(columns, -1) if columns else np.zeros((*outer, 0), int))


@family("OneHot")
def one_hot(recipe: Recipe) -> None:
    shape = recipe.shape(0, 3)
    recipe.give("indices", recipe.uniform(recipe.dtype("indices"), shape, 0 if recipe.boolean() else -2, 5))
    recipe.give("depth", recipe.integer(-1 if recipe.rarely() else 0, 4))
    recipe.input("on_value")
    recipe.input("off_value")
    recipe.set(axis=recipe.integer(-1, len(shape)))


@family("Reverse")
def reverse(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("tensor", shape)
    recipe.input("dims", (len(shape),))


@family("ReverseV2")
def reverse_v2(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("tensor", shape)
    recipe.give("axis", np.array(recipe.axes(len(shape)), int))


@family("ReverseSequence", types={"T": NUMBERS})  # 1.15 has no kernel for strings
def reverse_sequence(recipe: Recipe) -> None:
    shape = recipe.shape(2, 4)
    seq_dim, batch_dim = recipe.permutation(len(shape))[:2]
    recipe.set(seq_dim=seq_dim, batch_dim=batch_dim)
    recipe.input("input", shape)
    outside = recipe.rarely()
    lengths = recipe.uniform(recipe.dtype("seq_lengths"), (shape[batch_dim],), -outside, shape[seq_dim] + outside)
    recipe.give("seq_lengths", lengths)


@family("UnravelIndex")
def unravel_index(recipe: Recipe) -> None:
    dims = recipe.shape(1, 4, sizes=(1, 2, 3))
    recipe.give("dims", np.array(dims))
    row_numbers(recipe, "indices", recipe.shape(0, 1), int(np.prod(dims)))


@family("Bucketize")
def bucketize(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape())
    recipe.set(boundaries=tuple(np.sort(recipe.rng.integers(-5, 6, recipe.integer(0, 4))).astype(float).tolist()))


@family("LowerBound", "UpperBound")
def bound(recipe: Recipe) -> None:
    batch = recipe.integer(0, 3)
    rows = recipe.array(recipe.dtype("sorted_inputs"), (batch, recipe.integer(0, 5)), flavor="small")
    recipe.give("sorted_inputs", np.sort(rows, axis=-1))
    recipe.input("values", (batch, recipe.integer(0, 5)), flavor="small")
