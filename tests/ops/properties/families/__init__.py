"""The constraints of each family of ops, a few lines each. An op without an entry here is drawn as an elementwise one."""

from tests.ops.properties.families import (  # noqa: F401
    convolution,
    elementwise,
    fourier,
    images,
    joining,
    linear_algebra,
    losses,
    matmul,
    quantized,
    ragged,
    reductions,
    regex,
    segments,
    sets,
    shaping,
    slicing,
    sorting,
    sparse,
    strings,
    unicode,
)
