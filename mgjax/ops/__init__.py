"""What TensorFlow's operations mean: one small function each, registered under the op's name.

Importing this package imports every family and so fills the registry.
"""

from mgjax.ops import (  # noqa: F401
    activations,
    blocks,
    candidates,
    casting,
    checks,
    colors,
    comparison,
    convolution,
    ctc,
    elementwise,
    fourier,
    fractional_pooling,
    images,
    joining,
    linear_algebra,
    lists,
    losses,
    matmul,
    normalization,
    optimizers,
    pooling,
    quantization,
    random,
    random_gamma,
    random_state,
    random_truncated,
    recurrent_blocks,
    reductions,
    resizing,
    scatter,
    segments,
    shaping,
    slicing,
    sorting,
    sources,
    sparse,
    sparse_optimizers,
    special,
    suppression,
    tensor_arrays,
    variables,
)
from mgjax.ops.lists import ANY, ElementList, Optional
from mgjax.ops.philox import initial_generator
from mgjax.ops.registry import REGISTRY, Lowering, Static, array_module, describe, is_known, lower, registered, table

__all__ = [
    "ANY",
    "REGISTRY",
    "ElementList",
    "Lowering",
    "Optional",
    "Static",
    "array_module",
    "describe",
    "initial_generator",
    "is_known",
    "lower",
    "registered",
    "table",
]
