"""Convolutions and pooling: windows over images."""

import itertools

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Call, Recipe, family

SUMS = relative(60)
FLOATS = {"T": (dtypes.float32, dtypes.float64)}


def around(spatial: tuple[int, ...], ends: int, channels_first: bool) -> tuple[int, ...]:
    """Sizes for a whole array: `ends` for the batch and the channels."""
    return (ends, ends, *spatial) if channels_first else (ends, *spatial, ends)


def size_out(size: int, window: int, stride: int, padding: str, dilation: int = 1) -> int:
    reach = (window - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else max(-(-(size - reach + 1) // stride), 0)


def convolved(recipe: Recipe, rank: int, *, stride: int | None = None) -> tuple[list[int], list[int], list[int]]:
    """Shapes of the image, the filter and the result, all channels last; sets the attrs."""
    batch, depth_in, depth_out = (recipe.integer(1, 2) for _ in range(3))
    image = [recipe.integer(2, 6) for _ in range(rank)]
    window = [recipe.integer(1, min(3, n)) for n in image]
    dilations = [recipe.choice([1, 1, 2]) if 2 * (w - 1) + 1 <= n else 1 for n, w in zip(image, window, strict=True)]
    strides = [1 if d > 1 else recipe.integer(1, 2) for d in dilations]
    if recipe.call.op.startswith("Depthwise"):
        strides = [strides[0]] * rank  # of both directions alike, in every version
    padding = recipe.choice(["SAME", "VALID"])
    recipe.set(padding=padding, strides=(1, *strides, 1))
    if "dilations" in recipe.call.attrs:
        backprop = "Backprop" in recipe.call.op
        # The CPU's backprops take no dilations in 1.15, nor do convolutions in three dimensions.
        dilations = [1] * rank if rank == 3 or backprop else dilations
        recipe.set(dilations=(1, *dilations, 1))
    else:
        dilations = [1] * rank
    out = [size_out(*a, padding, d) for *a, d in zip(image, window, strides, dilations, strict=True)]
    return [batch, *image, depth_in], [*window, depth_in, depth_out], [batch, *out, depth_out]


@family("Conv2D", bound=SUMS, types=FLOATS, data_format="NHWC", explicit_paddings=())
def conv_2d(recipe: Recipe) -> None:
    image, kernel, _ = convolved(recipe, 2)
    kernel[2] += recipe.rarely()
    recipe.input("input", image, flavor="plain")
    recipe.input("filter", kernel, flavor="plain")


@family("Conv3D", bound=SUMS, types=FLOATS, data_format="NDHWC")
def conv_3d(recipe: Recipe) -> None:
    image, kernel, _ = convolved(recipe, 3)
    recipe.input("input", image, flavor="plain")
    recipe.input("filter", kernel, flavor="plain")


@family("Conv2DBackpropInput", bound=SUMS, types=FLOATS, data_format="NHWC", explicit_paddings=())
@family("Conv3DBackpropInputV2", bound=SUMS, types=FLOATS, data_format="NDHWC")
def conv_backprop_input(recipe: Recipe) -> None:
    image, kernel, out = convolved(recipe, 2 if "2D" in recipe.call.op else 3)
    recipe.give("input_sizes", np.array(image))
    recipe.input("filter", kernel, flavor="plain")
    recipe.input("out_backprop", out, flavor="plain")


@family("Conv2DBackpropFilter", bound=SUMS, types=FLOATS, data_format="NHWC", explicit_paddings=())
@family("Conv3DBackpropFilterV2", bound=SUMS, types=FLOATS, data_format="NDHWC")
def conv_backprop_filter(recipe: Recipe) -> None:
    image, kernel, out = convolved(recipe, 2 if "2D" in recipe.call.op else 3)
    recipe.input("input", image, flavor="plain")
    recipe.give("filter_sizes", np.array(kernel))
    recipe.input("out_backprop", out, flavor="plain")


@family("Conv3DBackpropInput", "Conv3DBackpropFilter", bound=SUMS, types=FLOATS, dilations=(1, 1, 1, 1, 1))
def conv_3d_backprop(recipe: Recipe) -> None:
    image, kernel, out = convolved(recipe, 3)
    for name, shape in (("input", image), ("filter", kernel), ("out_backprop", out)):
        recipe.input(name, shape, flavor="plain")


DEPTHWISE = {"bound": SUMS, "types": FLOATS, "data_format": "NHWC", "explicit_paddings": ()}


def depthwise(recipe: Recipe) -> tuple[list[int], list[int], list[int]]:
    image, kernel, out = convolved(recipe, 2)
    out[-1] = kernel[2] * kernel[3]
    return image, kernel, out


@family("DepthwiseConv2dNative", **DEPTHWISE)
def depthwise_conv(recipe: Recipe) -> None:
    image, kernel, _ = depthwise(recipe)
    recipe.set(dilations=(1, 1, 1, 1))
    recipe.input("input", image, flavor="plain")
    recipe.input("filter", kernel, flavor="plain")


@family("DepthwiseConv2dNativeBackpropInput", **DEPTHWISE)
def depthwise_backprop_input(recipe: Recipe) -> None:
    image, kernel, out = depthwise(recipe)
    recipe.give("input_sizes", np.array(image))
    recipe.input("filter", kernel, flavor="plain")
    recipe.input("out_backprop", out, flavor="plain")


@family("DepthwiseConv2dNativeBackpropFilter", **DEPTHWISE)
def depthwise_backprop_filter(recipe: Recipe) -> None:
    image, kernel, out = depthwise(recipe)
    recipe.input("input", image, flavor="plain")
    recipe.give("filter_sizes", np.array(kernel))
    recipe.input("out_backprop", out, flavor="plain")


def dilated(recipe: Recipe) -> tuple[list[int], list[int], list[int]]:
    batch, depth = recipe.integer(1, 2), recipe.integer(1, 2)
    image = [recipe.integer(3, 6) for _ in range(2)]
    window = [recipe.integer(1, 2) for _ in range(2)]
    strides, rates = ([recipe.integer(1, 2) for _ in range(2)] for _ in range(2))
    recipe.set(strides=(1, *strides, 1), rates=(1, *rates, 1))
    spec = zip(image, window, strides, rates, strict=True)
    out = [size_out(n, w, s, recipe.attr("padding"), r) for n, w, s, r in spec]
    return [batch, *image, depth], [*window, depth], [batch, *out, depth]


@family("Dilation2D", bound=relative(4), types=FLOATS)
def dilation(recipe: Recipe) -> None:
    image, kernel, _ = dilated(recipe)
    recipe.input("input", image, flavor="plain")
    recipe.input("filter", kernel, flavor="plain")


@family("Dilation2DBackpropInput", "Dilation2DBackpropFilter", bound=SUMS, types=FLOATS)
def dilation_backprop(recipe: Recipe) -> None:
    image, kernel, out = dilated(recipe)
    recipe.input("input", image, flavor="plain")
    recipe.input("filter", kernel, flavor="plain")
    recipe.input("out_backprop", out, flavor="plain")


def pooled(recipe: Recipe, rank: int) -> tuple[list[int], list[int]]:
    """Shapes of the image and of the result; sets the attrs."""
    image = [recipe.integer(1, 6) for _ in range(rank)]
    ksize = [recipe.integer(1, 3) for _ in image]
    strides = [recipe.integer(1, 3) for _ in image]
    padding = recipe.choice(["SAME", "VALID"])
    if padding == "VALID":
        ksize = [min(k, n) for k, n in zip(ksize, image, strict=True)]
    recipe.set(ksize=(1, *ksize, 1), strides=(1, *strides, 1), padding=padding)
    out = [size_out(n, k, s, padding) for n, k, s in zip(image, ksize, strides, strict=True)]
    batch, depth = recipe.integer(1, 2), recipe.integer(1, 2)
    return [batch, *image, depth], [batch, *out, depth]


def rank_of(recipe: Recipe) -> int:
    return 3 if "3D" in recipe.call.op else 2


LAST = {2: "NHWC", 3: "NDHWC"}


@family("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D", bound=relative(20), types=FLOATS, explicit_paddings=())
def pool(recipe: Recipe) -> None:
    image, _ = pooled(recipe, rank_of(recipe))
    recipe.set(data_format=LAST[rank_of(recipe)])
    # Which NaN wins a maximum depends on the order in which a version looks at a window.
    recipe.input(recipe.op_def.inputs[0].name, image, flavor="small" if recipe.flavor == "edges" else recipe.flavor)


@family("MaxPoolV2", types=FLOATS, data_format="NHWC")
def max_pool_v2(recipe: Recipe) -> None:
    image, _ = pooled(recipe, 2)
    recipe.input("input", image, flavor="plain")
    recipe.give("ksize", recipe.attr("ksize"))
    recipe.give("strides", recipe.attr("strides"))
    for name in ("ksize", "strides"):
        del recipe.call.attrs[name]


@family("MaxPoolWithArgmax", types=FLOATS)
def max_pool_with_argmax(recipe: Recipe) -> None:
    recipe.input("input", pooled(recipe, 2)[0], flavor="plain")


@family("AvgPoolGrad", "AvgPool3DGrad", bound=SUMS, types=FLOATS)
def avg_pool_grad(recipe: Recipe) -> None:
    image, out = pooled(recipe, rank_of(recipe))
    recipe.set(data_format=LAST[rank_of(recipe)])
    recipe.give("orig_input_shape", np.array(image))
    recipe.input("grad", out, flavor="plain")


def maxima(recipe: Recipe, image: list[int], out: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """An image without ties, and its maximum in each window."""
    x = recipe.rng.permutation(int(np.prod(image))).reshape(image).astype(recipe.attr("T").numpy)
    spatial = range(len(image) - 2)
    ksize, strides = recipe.attr("ksize")[1:-1], recipe.attr("strides")[1:-1]
    pads = [0] * len(ksize)
    if recipe.attr("padding") == "SAME":
        sizes = zip(out[1:-1], strides, ksize, image[1:-1], strict=True)
        pads = [max((o - 1) * s + k - n, 0) // 2 for o, s, k, n in sizes]
    y = np.empty(out, x.dtype)
    for place in np.ndindex(*out[1:-1]):
        starts = [place[i] * strides[i] - pads[i] for i in spatial]
        window = tuple(slice(max(starts[i], 0), starts[i] + ksize[i]) for i in spatial)
        y[(slice(None), *place)] = x[(slice(None), *window)].max(axis=tuple(i + 1 for i in spatial))
    return x, y


@family("MaxPoolGrad", "MaxPool3DGrad", bound=SUMS, types={"T": (dtypes.float32,), "TInput": (dtypes.float32,)},
        explicit_paddings=())  # fmt: skip
@family("MaxPoolGradGrad", "MaxPool3DGradGrad", types={"T": (dtypes.float32,)})
def max_pool_grad(recipe: Recipe) -> None:
    image, out = pooled(recipe, rank_of(recipe))
    recipe.set(data_format=LAST[rank_of(recipe)])
    x, y = maxima(recipe, image, out)
    recipe.give("orig_input", x)
    recipe.give("orig_output", y)
    recipe.input("grad", image if "GradGrad" in recipe.call.op else out, flavor="plain")


@family("LRN", bound=relative(400), types=FLOATS, depth_radius=2, bias=1.0, alpha=0.5, beta=0.5)
def lrn(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(4, 4, sizes=(1, 2, 3, 5)), flavor="plain")


@family("LRNGrad", bound=relative(400), types=FLOATS, depth_radius=2, bias=1.0, alpha=0.5, beta=0.5)
def lrn_grad(recipe: Recipe) -> None:
    shape = recipe.shape(4, 4, sizes=(1, 2, 3, 5))
    recipe.input("input_grads", shape, flavor="plain")
    x = recipe.input("input_image", shape, flavor="plain")
    squares = np.pad(x * x, [(0, 0)] * 3 + [(2, 2)])
    near = sum(squares[..., i : i + shape[-1]] for i in range(5))
    recipe.give("output_image", x / np.sqrt(1 + 0.5 * near))


def statistics_only_in_training(outputs: list[np.ndarray], call: Call) -> list[np.ndarray]:
    """Without training the reserves are the given statistics in one version, and nothing in another."""
    return outputs[:3] if call.attrs["is_training"] else outputs[:1]


@family("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", bound=relative(400), epsilon=0.001, data_format="NHWC",
        types={"T": (dtypes.float32,), "U": (dtypes.float32,)}, exponential_avg_factor=1.0,
        view=statistics_only_in_training)  # fmt: skip
def fused_batch_norm(recipe: Recipe) -> None:
    shape = recipe.shape(4, 4, sizes=(2, 1, 3))
    recipe.input("x", shape, flavor="plain")
    recipe.input("scale", shape[-1:], flavor="plain")
    recipe.input("offset", shape[-1:], flavor="plain")
    given = (0,) if recipe.attr("is_training") else shape[-1:]
    for name in ("mean", "variance"):
        recipe.give(name, np.abs(recipe.array(dtypes.float32, given, flavor="plain")))


@family("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3", bound=relative(400), epsilon=0.001,
        types={"T": (dtypes.float32,), "U": (dtypes.float32,)}, data_format="NHWC",
        view=lambda outputs, call: outputs[:3])  # fmt: skip
def fused_batch_norm_grad(recipe: Recipe) -> None:
    shape = recipe.shape(4, 4, sizes=(2, 3))
    x = recipe.input("x", shape, flavor="plain")
    recipe.input("y_backprop", shape, flavor="plain")
    recipe.input("scale", shape[-1:], flavor="plain")
    recipe.give("reserve_space_1", x.mean(axis=(0, 1, 2)))
    recipe.give("reserve_space_2", x.var(axis=(0, 1, 2)))
    if recipe.call.op.endswith("V3"):
        recipe.give("reserve_space_3", np.zeros(0, np.float32))


@family("BatchNormWithGlobalNormalization", "BatchNormWithGlobalNormalizationGrad", bound=relative(400), types=FLOATS)
def batch_norm_with_global_normalization(recipe: Recipe) -> None:
    recipe.set(variance_epsilon=0.001)
    shape = recipe.shape(4, 4, sizes=(2, 1, 3))
    for arg in recipe.op_def.inputs:
        spread = recipe.array(
            recipe.dtype(arg.name), shape if arg.name in ("t", "backprop") else shape[-1:], flavor="plain"
        )
        recipe.give(arg.name, np.abs(spread) if arg.name == "v" else spread)


@family("MaxPoolGradV2", "MaxPoolGradGradV2", bound=SUMS, types={"T": (dtypes.float32,)}, data_format="NHWC")
def max_pool_grad_v2(recipe: Recipe) -> None:
    image, out = pooled(recipe, 2)
    x, y = maxima(recipe, image, out)
    recipe.give("orig_input", x)
    recipe.give("orig_output", y)
    recipe.input("grad", image if "GradGrad" in recipe.call.op else out, flavor="plain")
    for name in ("ksize", "strides"):
        recipe.give(name, recipe.attr(name))
        del recipe.call.attrs[name]


@family("MaxPoolGradWithArgmax", bound=SUMS, types={"T": (dtypes.float32, dtypes.float64)})
def max_pool_grad_with_argmax(recipe: Recipe) -> None:
    image, out = pooled(recipe, 2)
    recipe.give("input", recipe.rng.normal(0, 1, image))
    recipe.input("grad", out, flavor="plain")
    batches = recipe.attr("include_batch_in_index")
    inner = int(np.prod(image[1:]))
    places = recipe.rng.integers(0, inner, out)
    recipe.give("argmax", places + inner * np.arange(out[0]).reshape(-1, 1, 1, 1) if batches else places)


def cuts(recipe: Recipe, size: int) -> np.ndarray:
    """Where windows of one or two elements begin, and the end."""
    steps = [recipe.integer(1, 2)]
    while sum(steps) < size:
        steps.append(min(recipe.integer(1, 2), size - sum(steps)))
    return np.cumsum([0, *steps])


# Few shapes, since for each of them loops are compiled.
FEW = ((1, 4, 3, 2), (2, 2, 5, 1))


@family("FractionalAvgPoolGrad", bound=SUMS)
def fractional_avg_pool_grad(recipe: Recipe) -> None:
    batch, rows, columns, depth = recipe.choice(FEW)
    down, across = cuts(recipe, rows), cuts(recipe, columns)
    recipe.give("orig_input_tensor_shape", [batch, rows, columns, depth])
    recipe.input("out_backprop", (batch, len(down) - 1, len(across) - 1, depth), flavor="plain")
    recipe.give("row_pooling_sequence", down)
    recipe.give("col_pooling_sequence", across)


@family("FractionalMaxPoolGrad", bound=SUMS)
def fractional_max_pool_grad(recipe: Recipe) -> None:
    batch, rows, columns, depth = recipe.choice(FEW)
    down, across = cuts(recipe, rows), cuts(recipe, columns)
    x = recipe.rng.permutation(batch * rows * columns * depth).reshape(batch, rows, columns, depth)
    beyond = int(recipe.attr("overlapping"))
    windows = [[slice(a, b + beyond) for a, b in itertools.pairwise(ends)] for ends in (down, across)]
    y = np.stack([np.stack([x[:, r, c].max((1, 2)) for c in windows[1]], 1) for r in windows[0]], 1)
    recipe.give("orig_input", x)
    recipe.give("orig_output", y)
    recipe.input("out_backprop", y.shape, flavor="plain")
    recipe.give("row_pooling_sequence", down)
    recipe.give("col_pooling_sequence", across)
