"""Ops that stand for several: a convolution, product or normalization with what comes before or after it."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Recipe, family

PRODUCTS = relative(60)
FLOAT = {"T": (dtypes.float32,)}


def image(recipe: Recipe) -> tuple[int, int, int, int]:
    return recipe.integer(1, 2), recipe.integer(3, 6), recipe.integer(3, 6), recipe.integer(1, 3)


def kernel(recipe: Recipe, depth: int) -> None:
    recipe.input("filter", (recipe.integer(1, 3), recipe.integer(1, 3), depth, recipe.integer(1, 3)), flavor="plain")
    recipe.set(strides=(1, *[recipe.integer(1, 2)] * 2, 1))


@family("FusedPadConv2D", "FusedResizeAndPadConv2D", bound=PRODUCTS, types={"T": (dtypes.float32, dtypes.float64)})
def padded_convolution(recipe: Recipe) -> None:
    shape = image(recipe)
    recipe.input("input", shape, flavor="plain")
    if "size" in [arg.name for arg in recipe.op_def.inputs]:
        recipe.give("size", [recipe.integer(3, 6) for _ in range(2)])
    pads = [[0, 0], *([recipe.integer(0, 2 + recipe.rarely()), recipe.integer(0, 2)] for _ in range(2)), [0, 0]]
    recipe.give("paddings", np.array(pads))
    kernel(recipe, shape[-1])


# What TensorFlow's CPU kernels know to put after a product.
AFTER = ((), ("Relu",), ("Relu6",), ("Elu",))


@family("_FusedConv2D", bound=PRODUCTS, types={"T": (dtypes.float32,), "TArgs": (dtypes.float32,)}, padding="SAME",
        data_format="NHWC", filter_format="HWIO")  # fmt: skip
def fused_convolution(recipe: Recipe) -> None:
    shape = image(recipe)
    recipe.input("input", shape, flavor="plain")
    kernel(recipe, shape[-1])
    recipe.set(padding=recipe.choice(["SAME", "VALID"]))
    depth = recipe.call.inputs["filter"].shape[-1]
    is_normed = recipe.boolean()
    count = 4 if is_normed else 1
    recipe.set(
        fused_ops=("FusedBatchNorm" if is_normed else "BiasAdd", *recipe.choice(AFTER)),
        num_args=count, TArgs=(dtypes.float32,) * count, num_host_args=0,
    )  # fmt: skip
    recipe.inputs("args", [(depth,)] * count, flavor="plain")
    recipe.inputs("host_args", [])
    if is_normed:
        recipe.call.inputs["args"][3] = np.abs(recipe.call.inputs["args"][3])


@family("_FusedMatMul", bound=PRODUCTS, types=FLOAT)
def fused_product(recipe: Recipe) -> None:
    rows, inner, columns = (recipe.integer(1, 4) for _ in range(3))
    recipe.input("a", (inner, rows) if recipe.attr("transpose_a") else (rows, inner), flavor="plain")
    recipe.input("b", (columns, inner) if recipe.attr("transpose_b") else (inner, columns), flavor="plain")
    recipe.set(fused_ops=("BiasAdd", *recipe.choice(AFTER)))
    recipe.inputs("args", [(columns,)], flavor="plain")
