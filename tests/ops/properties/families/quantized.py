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


@family("QuantizeAndDequantizeV2", bound=relative(20), num_bits=8, axis=-1)
def quantize_and_dequantize(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(0, 3, sizes=(1, 2, 3)), flavor="plain")
    ends(recipe, "input_min", "input_max")


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
