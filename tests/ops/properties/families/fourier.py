"""Fourier transforms."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative
from tests.ops.properties.recipes import Recipe, family


@family("FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D", bound=relative(60))
def fft(recipe: Recipe) -> None:
    dims = int(recipe.call.op[-2]) if recipe.call.op.endswith("D") else 1
    recipe.input("input", recipe.shape(dims, 4, sizes=(1, 2, 3, 4, 5)), flavor="plain")


def match_types(recipe: Recipe) -> None:
    """Tcomplex is of the width of Treal, as it is wherever Python wrote the graph."""
    recipe.set(Tcomplex=dtypes.complex64 if recipe.attr("Treal") == dtypes.float32 else dtypes.complex128)


@family("RFFT", "RFFT2D", "RFFT3D", bound=relative(60))
def rfft(recipe: Recipe) -> None:
    match_types(recipe)
    dims = int(recipe.call.op[-2]) if recipe.call.op.endswith("D") else 1
    shape = recipe.shape(dims, 4, sizes=(1, 2, 3, 4, 5))
    recipe.input("input", shape, flavor="plain")
    recipe.give("fft_length", np.array([max(n - recipe.rarely(), 1) for n in shape[-dims:]]))


@family("IRFFT", "IRFFT2D", "IRFFT3D", bound=relative(60))
def irfft(recipe: Recipe) -> None:
    match_types(recipe)
    dims = int(recipe.call.op[-2]) if recipe.call.op.endswith("D") else 1
    shape = recipe.shape(dims, 4, sizes=(2, 3, 4, 5))
    recipe.input("input", shape, flavor="plain")
    recipe.give("fft_length", np.array([*shape[-dims:-1], 2 * (shape[-1] - 1) + recipe.rarely()]))
