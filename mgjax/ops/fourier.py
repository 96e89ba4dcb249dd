"""Discrete Fourier transforms over the innermost one, two or three axes.

The forward transforms sum without a factor, the inverse ones divide by the number of elements. `fft_length` crops
each axis at its end (and pads it with zeros, where TensorFlow refuses to).
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import Static, lower


@lower("FFT", "BatchFFT")
def fft(input):
    return _transform(jnp.fft.fftn, input, 1)


@lower("IFFT", "BatchIFFT")
def ifft(input):
    return _transform(jnp.fft.ifftn, input, 1)


@lower("FFT2D", "BatchFFT2D")
def fft2d(input):
    return _transform(jnp.fft.fftn, input, 2)


@lower("IFFT2D", "BatchIFFT2D")
def ifft2d(input):
    return _transform(jnp.fft.ifftn, input, 2)


@lower("FFT3D", "BatchFFT3D")
def fft3d(input):
    return _transform(jnp.fft.fftn, input, 3)


@lower("IFFT3D", "BatchIFFT3D")
def ifft3d(input):
    return _transform(jnp.fft.ifftn, input, 3)


@lower("RFFT")
def rfft(input, fft_length: Static):
    """The `fft_length // 2 + 1` coefficients of real input that are not conjugates of others."""
    return _real_to_complex(input, fft_length, 1)


@lower("RFFT2D")
def rfft2d(input, fft_length: Static):
    return _real_to_complex(input, fft_length, 2)


@lower("RFFT3D")
def rfft3d(input, fft_length: Static):
    return _real_to_complex(input, fft_length, 3)


@lower("IRFFT")
def irfft(input, fft_length: Static):
    """Real output of `fft_length` elements, from the first `fft_length // 2 + 1` coefficients."""
    return _complex_to_real(input, fft_length, 1)


@lower("IRFFT2D")
def irfft2d(input, fft_length: Static):
    return _complex_to_real(input, fft_length, 2)


@lower("IRFFT3D")
def irfft3d(input, fft_length: Static):
    return _complex_to_real(input, fft_length, 3)


def _transform(transform, input, rank):
    _need_rank(input, rank)
    input = jnp.asarray(input)
    if input.size == 0:
        return input
    # Along an axis of one element nothing changes; XLA cannot transform such arrays in every layout.
    axes = tuple(axis for axis in range(-rank, 0) if input.shape[axis] > 1)
    return transform(input, axes=axes).astype(input.dtype) if axes else input


def _real_to_complex(input, fft_length, rank):
    lengths = _lengths(input, fft_length, rank)
    input = jnp.asarray(input)
    dtype = np.result_type(input.dtype, np.complex64)
    batch = input.shape[:-rank]
    if math.prod(batch) == 0 or math.prod(lengths) == 0:
        return jnp.zeros((*batch, *lengths[:-1], lengths[-1] // 2 + 1 if lengths[-1] else 0), dtype)
    return jnp.fft.rfftn(input, s=lengths, axes=tuple(range(-rank, 0))).astype(dtype)


def _complex_to_real(input, fft_length, rank):
    lengths = _lengths(input, fft_length, rank)
    input = jnp.asarray(input)
    dtype = input.real.dtype
    batch = input.shape[:-rank]
    if math.prod(batch) == 0 or math.prod(lengths) == 0:
        return jnp.zeros((*batch, *lengths), dtype)
    return jnp.fft.irfftn(input, s=lengths, axes=tuple(range(-rank, 0))).astype(dtype)


def _lengths(input, fft_length, rank):
    _need_rank(input, rank)
    lengths = tuple(int(n) for n in np.ravel(fft_length))
    if len(lengths) != rank:
        raise InvalidArgumentError(f"fft_length must have {rank} element(s), not {len(lengths)}")
    return lengths


def _need_rank(input, rank):
    if input.ndim < rank:
        raise InvalidArgumentError(f"Input must have rank of at least {rank} but got: {list(input.shape)}")
