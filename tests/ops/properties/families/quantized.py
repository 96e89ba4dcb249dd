"""Quantized numbers, and what stands in for them in training."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Recipe, family


def ends(recipe: Recipe, low: str, high: str, shape: tuple[int, ...] = ()) -> None:
    """The range: one that holds zero, or rarely one that does not."""
    below = -0.5 if recipe.rarely() else 1.0
    recipe.give(low, -below * recipe.rng.uniform(0.5, 3, shape))
    recipe.give(high, recipe.rng.uniform(1, 4, shape))


@family("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel", bound=relative(20), num_bits=8)
def fake_quant(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(1, 2, 3))
    recipe.input("inputs", shape, flavor="plain")
    ends(recipe, "min", "max", shape[-1:] if "PerChannel" in recipe.call.op else ())


@family("FakeQuantWithMinMaxVarsGradient", "FakeQuantWithMinMaxVarsPerChannelGradient", bound=relative(20), num_bits=8)
def fake_quant_gradient(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(1, 2, 3))
    recipe.input("gradients", shape, flavor="plain")
    recipe.input("inputs", shape, flavor="plain")
    ends(recipe, "min", "max", shape[-1:] if "PerChannel" in recipe.call.op else ())


@family("FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxArgsGradient", bound=relative(20), num_bits=8, min=-2.0, max=3.0)
def fake_quant_args(recipe: Recipe) -> None:
    shape = recipe.shape(0, 3)
    for arg in recipe.op_def.inputs:
        recipe.input(arg.name, shape, flavor="plain")


@family(
    "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4", "QuantizeAndDequantize",
    bound=relative(20), num_bits=8, axis=-1,
)  # fmt: skip
def quantize_and_dequantize(recipe: Recipe) -> None:
    shape = recipe.shape(0, 3, sizes=(1, 2, 3))
    recipe.input("input", shape, flavor="plain")
    if recipe.call.op == "QuantizeAndDequantize":
        recipe.set(input_min=-1.5, input_max=2.5)
        return
    ends(recipe, "input_min", "input_max")
    if recipe.call.op.endswith("V3"):
        recipe.give("num_bits", recipe.integer(2, 10))
    else:
        recipe.set(num_bits=recipe.integer(2, 10))


QUANTIZED = {"T": (dtypes.quint8, dtypes.qint8)}


@family("QuantizeV2", bound=relative(20), types=QUANTIZED, axis=-1, narrow_range=False, ensure_minimum_range=0.01)
def quantize(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(0, 3), flavor="plain")
    ends(recipe, "min_range", "max_range")


@family("Dequantize", bound=relative(20), types={**QUANTIZED, "dtype": (dtypes.float32,)}, axis=-1, narrow_range=False)
def dequantize(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(0, 3), flavor="edges")
    ends(recipe, "min_range", "max_range")


@family("QuantizedRelu", "QuantizedRelu6", types={"Tinput": (dtypes.quint8,), "out_type": (dtypes.quint8,)})
def quantized_relu(recipe: Recipe) -> None:
    recipe.input("features", recipe.shape(0, 3, sizes=(1, 2, 3)), flavor="edges")
    ends(recipe, "min_features", "max_features")


@family("QuantizeDownAndShrinkRange", bound=relative(4))
def quantize_down(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(1, 3, sizes=(1, 2, 3)), flavor="plain")
    ends(recipe, "input_min", "input_max")


@family("RequantizationRange", bound=relative(4))
def requantization_range(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(1, 3, sizes=(1, 2, 3)), flavor="plain")
    ends(recipe, "input_min", "input_max")


@family("QuantizedReshape", types={"T": (dtypes.quint8, dtypes.qint32)})
def quantized_reshape(recipe: Recipe) -> None:
    shape = recipe.shape(0, 3, sizes=(1, 2, 3))
    recipe.input("tensor", shape)
    recipe.give("shape", np.array(shape[::-1], int))
    ends(recipe, "input_min", "input_max")


def numbers(recipe: Recipe, name: str, shape: tuple[int, ...]) -> None:
    """Any integers of the type, evenly."""
    info = np.iinfo(recipe.dtype(name).numpy)
    recipe.give(name, recipe.rng.integers(info.min, info.max, shape, endpoint=True).astype(info.dtype))


@family("QuantizedAdd", "QuantizedMul", bound=relative(4))
def quantized_arithmetic(recipe: Recipe) -> None:
    shape = recipe.shape(1, 3, sizes=(1, 2, 3))
    numbers(recipe, "x", shape)
    numbers(recipe, "y", recipe.choice([shape, (), shape[-1:]]))
    for name in ("x", "y"):
        ends(recipe, f"min_{name}", f"max_{name}")


@family("QuantizedMatMul", bound=relative(4))
def quantized_product(recipe: Recipe) -> None:
    rows, inner, columns = (recipe.integer(1, 4) for _ in range(3))
    numbers(recipe, "a", (inner, rows) if recipe.attr("transpose_a") else (rows, inner))
    numbers(recipe, "b", (columns, inner) if recipe.attr("transpose_b") else (inner, columns))
    for name in ("a", "b"):
        ends(recipe, f"min_{name}", f"max_{name}")


@family("QuantizedBiasAdd", bound=relative(4))
def quantized_bias_add(recipe: Recipe) -> None:
    shape = recipe.shape(2, 3, sizes=(1, 2, 3))
    numbers(recipe, "input", shape)
    numbers(recipe, "bias", shape[-1:])
    for name in ("input", "bias"):
        ends(recipe, f"min_{name}", f"max_{name}")


@family("QuantizedConv2D", bound=relative(4), types={"Tfilter": (dtypes.quint8,)})
def quantized_convolution(recipe: Recipe) -> None:
    depth = recipe.integer(1, 3)
    numbers(recipe, "input", (recipe.integer(1, 2), recipe.integer(3, 5), recipe.integer(3, 5), depth))
    numbers(recipe, "filter", (recipe.integer(1, 3), recipe.integer(1, 3), depth, recipe.integer(1, 3)))
    recipe.set(strides=(1, *[recipe.integer(1, 2)] * 2, 1))
    for name in ("input", "filter"):
        ends(recipe, f"min_{name}", f"max_{name}")


@family("QuantizedMaxPool", "QuantizedAvgPool")
def quantized_pool(recipe: Recipe) -> None:
    numbers(recipe, "input", (recipe.integer(1, 2), recipe.integer(3, 5), recipe.integer(3, 5), recipe.integer(1, 3)))
    recipe.set(**{name: (1, *[recipe.integer(1, 2)] * 2, 1) for name in ("ksize", "strides")})
    ends(recipe, "min_input", "max_input")


@family("QuantizedBatchNormWithGlobalNormalization", bound=relative(4), variance_epsilon=0.001)
def quantized_batch_norm(recipe: Recipe) -> None:
    shape = recipe.shape(4, 4, sizes=(1, 2, 3))
    for name in ("t", "m", "v", "beta", "gamma"):
        numbers(recipe, name, shape if name == "t" else shape[-1:])
        ends(recipe, f"{name}_min", f"{name}_max")
    recipe.give("v_min", 0.5)  # a variance is positive


@family("QuantizedInstanceNorm", bound=relative(100), output_range_given=True, given_y_min=-2.0, given_y_max=3.0)
def quantized_instance_norm(recipe: Recipe) -> None:
    numbers(recipe, "x", (recipe.integer(1, 2), recipe.integer(2, 5), recipe.integer(2, 5), recipe.integer(1, 3)))
    ends(recipe, "x_min", "x_max")


@family("QuantizedResizeBilinear", bound=relative(40))
def quantized_resize(recipe: Recipe) -> None:
    if recipe.attr("half_pixel_centers"):
        recipe.set(align_corners=False)
    recipe.input("images", recipe.shape(4, 4, sizes=(1, 2, 3, 5)), flavor="plain")
    recipe.give("size", [recipe.integer(1, 6) for _ in range(2)])
    ends(recipe, "min", "max")


@family("Requantize", bound=relative(4))
def requantize(recipe: Recipe) -> None:
    numbers(recipe, "input", recipe.shape(0, 3, sizes=(1, 2, 3)))
    ends(recipe, "input_min", "input_max")
    ends(recipe, "requested_output_min", "requested_output_max")


@family("QuantizedConcat", bound=relative(4), types={"T": (dtypes.quint8,)})
def quantized_concat(recipe: Recipe) -> None:
    shape, count = recipe.shape(1, 3, sizes=(1, 2, 3)), recipe.integer(2, 3)
    axis = recipe.integer(0, len(shape) - 1)
    recipe.give("concat_dim", axis)
    recipe.inputs("values", [(*shape[:axis], recipe.integer(0, 2), *shape[axis + 1 :]) for _ in range(count)])
    for name, low, high in (("input_mins", -3, 0), ("input_maxes", 1, 3)):
        recipe.inputs(name, [()] * count)
        recipe.call.inputs[name] = [np.asarray(recipe.rng.uniform(low, high), np.float32) for _ in range(count)]
