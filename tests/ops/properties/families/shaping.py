"""Shapes of arrays, and arrays of a given shape."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Recipe, family, fill_elementwise


@family("BroadcastArgs", "BroadcastGradientArgs")
def broadcast_args(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.give("s0", np.array(shape, int))
    recipe.give("s1", np.array(recipe.shape() if recipe.rarely() else recipe.broadcastable(shape), int))


@family("BroadcastTo")
def broadcast_to(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("input", recipe.broadcastable(shape))
    recipe.give("shape", np.array(shape, int))


NUMBERS = tuple(dtype for dtype in dtypes.ALL if dtype.is_numeric)


@family("ConjugateTranspose", types={"T": NUMBERS})  # strings end the live TensorFlow's process
@family("Transpose")
def transpose(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("x", shape)
    perm = recipe.permutation(len(shape))
    recipe.give("perm", np.array([0] * len(perm) if recipe.rarely() else perm, int))


@family("DataFormatDimMap", "DataFormatVecPermute")
def data_format(recipe: Recipe) -> None:
    formats = ("NHWC", "NCHW", "HWNC", "HWCN") if recipe.boolean() else ("NDHWC", "NCDHW")
    recipe.set(src_format=recipe.choice(formats), dst_format=recipe.choice(formats))
    rank = len(formats[0])
    if recipe.call.op == "DataFormatDimMap":
        recipe.give("x", recipe.uniform(recipe.dtype("x"), recipe.shape(0, 2), -rank, rank - 1))
    else:
        recipe.input("x", recipe.choice([(rank,), (rank, 2), (rank - 2,), (rank - 2, 2)]))


@family("Empty", init=True)
def empty(recipe: Recipe) -> None:
    recipe.give("shape", np.array(recipe.shape(), int))


@family("EnsureShape")
def ensure_shape(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("input", shape)
    wanted = recipe.shape() if recipe.rarely() else tuple(recipe.choice([n, None]) for n in shape)
    recipe.set(shape=None if recipe.rarely() else wanted)


@family("ExpandDims")
def expand_dims(recipe: Recipe) -> None:
    shape = recipe.shape(0, 4)
    recipe.input("input", shape)
    dim = recipe.axis(len(shape) + 1)
    recipe.give("dim", [dim] if recipe.rarely() else dim)


@family("Fill")
def fill(recipe: Recipe) -> None:
    recipe.give("dims", np.array(recipe.shape(), int))
    recipe.input("value")


@family("InvertPermutation")
def invert_permutation(recipe: Recipe) -> None:
    perm = recipe.permutation(recipe.integer(0, 6))
    recipe.give("x", np.array([0] * len(perm) if recipe.rarely() else perm, int))


@family("LinSpace", bound=relative(4))
def lin_space(recipe: Recipe) -> None:
    recipe.input("start", flavor="plain")
    recipe.input("stop", flavor="plain")
    recipe.give("num", recipe.integer(0, 6))


@family("PlaceholderWithDefault")
def placeholder_with_default(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("input", shape)
    recipe.set(shape=recipe.choice([shape, None]))


@family("Range", bound=relative(4))
def range_(recipe: Recipe) -> None:
    low = 0 if recipe.attr("Tidx").numpy.kind == "u" else -6
    ends = sorted(recipe.uniform(recipe.dtype("start"), (2,), low, 6).tolist())
    step = recipe.uniform(recipe.dtype("delta"), (), 0 if recipe.rarely() else 1, 3)
    if low and recipe.boolean():
        ends, step = ends[::-1], -step
    for name, value in zip(("start", "limit", "delta"), (*ends, step), strict=True):
        recipe.give(name, value)


@family("Reshape")
def reshape(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("tensor", shape)
    sizes = [shape[axis] for axis in recipe.permutation(len(shape))]
    if sizes and recipe.boolean():
        sizes[recipe.integer(0, len(sizes) - 1)] = -1
    if recipe.boolean():
        sizes.insert(0, 1)
    if recipe.rarely():
        sizes.append(recipe.integer(-1, 3))
    recipe.give("shape", np.array(sizes, int))


@family("Squeeze")
def squeeze(recipe: Recipe) -> None:
    shape = recipe.shape(sizes=(1, 1, 2, 0))
    recipe.input("input", shape)
    ones = [axis for axis, size in enumerate(shape) if size == 1 and recipe.boolean()]
    recipe.set(squeeze_dims=tuple(recipe.axes(len(shape)) if recipe.rarely() else ones))


family("Snapshot", "Copy", "CopyHost", "DeepCopy")(fill_elementwise)
family("Shape", "Size", "ShapeN", types={"out_type": (dtypes.int32, dtypes.int64)})(fill_elementwise)
