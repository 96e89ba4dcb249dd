"""Reductions along axes, cumulative sums, positions of extremes, histograms."""

from mgjax import dtypes
from tests.ops.properties.comparison import relative, ulps
from tests.ops.properties.recipes import Recipe, family


def reduction(recipe: Recipe) -> None:
    shape = recipe.shape()
    recipe.input("input", shape, huge=recipe.call.op in ("Max", "Min"))
    axes = [recipe.axis(len(shape))] if recipe.rarely() else recipe.axes(len(shape))
    recipe.give("reduction_indices", axes[0] if len(axes) == 1 and recipe.boolean() else axes)


family("All", "Any", "Max", "Min")(reduction)
family("Sum", "Mean", "EuclideanNorm", bound=relative(20))(reduction)
family("Prod", bound=ulps(20))(reduction)


@family("L2Loss", bound=relative(20))
def l2_loss(recipe: Recipe) -> None:
    recipe.input("t", recipe.shape(), huge=False)


INDEX = (dtypes.int32, dtypes.int64)


@family("ArgMax", "ArgMin", types={"Tidx": INDEX, "output_type": INDEX})  # 2.21 reads an int16 as an int32
def position(recipe: Recipe) -> None:
    shape = recipe.shape(1)
    recipe.input("input", shape)
    recipe.give("dimension", recipe.axis(len(shape)))


@family("Cumsum", "Cumprod", "CumulativeLogsumexp", bound=relative(40))
def cumulative(recipe: Recipe) -> None:
    shape = recipe.shape(1)
    # A NaN in the sum of exponentials hides in TensorFlow, in places that depend on how Eigen splits the row.
    finite = recipe.call.op == "CumulativeLogsumexp" and recipe.flavor == "edges"
    recipe.input("x", shape, huge=False, flavor="plain" if finite else recipe.flavor)
    recipe.give("axis", recipe.axis(len(shape)))


@family("Bincount", bound=relative(10))
def bincount(recipe: Recipe) -> None:
    shape = recipe.shape(0, 2)
    size = recipe.integer(0, 5)
    recipe.give("arr", recipe.uniform(recipe.dtype("arr"), shape, -1 if recipe.rarely() else 0, 7))
    recipe.give("size", size)
    recipe.input("weights", shape if recipe.boolean() else (0,), huge=False)


@family("DenseBincount", bound=relative(10))
def dense_bincount(recipe: Recipe) -> None:
    shape = recipe.shape(1, 2)
    recipe.give("input", recipe.uniform(recipe.dtype("input"), shape, -1 if recipe.rarely() else 0, 7))
    recipe.give("size", recipe.integer(0, 5))
    recipe.input("weights", shape if recipe.boolean() else (0,), huge=False)


@family("HistogramFixedWidth")
def histogram(recipe: Recipe) -> None:
    recipe.input("values", recipe.shape(0, 3))
    recipe.give("value_range", [-2, 0] if recipe.rarely() else [-1, 3])
    recipe.give("nbins", recipe.integer(1, 6))


@family("InTopK", "InTopKV2")
def in_top_k(recipe: Recipe) -> None:
    batch, classes = recipe.integer(0, 4), recipe.integer(1, 5)
    recipe.input("predictions", (batch, classes))
    recipe.give("targets", recipe.uniform(recipe.dtype("targets"), (batch,), -1 if recipe.rarely() else 0, classes - 1))
    k = recipe.integer(-1, 6)
    if recipe.call.op == "InTopK":
        recipe.set(k=k)
    else:
        recipe.give("k", k)
