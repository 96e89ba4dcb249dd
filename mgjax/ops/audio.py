"""Features of sound: spectrograms, and mel-frequency cepstral coefficients of them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import Static, lower

_LEAST_ENERGY = 1e-12


@lower("AudioSpectrogram")
def audio_spectrogram(input, *, window_size, stride, magnitude_squared=False):
    """Magnitudes `[channel, window, frequency]` of the windows of sound `[sample, channel]`, each tapered and padded.

    A window is padded to a power of two; frequencies go from 0 to half the sample rate.
    """
    if input.ndim != 2:
        raise InvalidArgumentError(f"input must be 2-dimensional, not of rank {input.ndim}")
    if window_size < 2 or stride < 1:
        raise InvalidArgumentError(f"window_size must be at least 2 and stride 1, found {window_size} and {stride}")
    samples, channels = input.shape
    count = 1 + (samples - window_size) // stride if samples >= window_size else 0
    length = 1 << (window_size - 1).bit_length()
    taper = 0.5 - 0.5 * np.cos(2 * np.pi / window_size * np.arange(window_size))
    if count == 0:
        return jnp.zeros((channels, 0, length // 2 + 1), np.float32)
    places = np.arange(count)[:, None] * stride + np.arange(window_size)
    windows = jnp.asarray(input).T[:, places].astype(np.float64) * taper
    spectrum = jnp.fft.rfft(windows, n=length)
    energy = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return energy if magnitude_squared else jnp.sqrt(energy)


@lower("Mfcc")
def mfcc(
    spectrogram,
    sample_rate: Static,
    *,
    upper_frequency_limit=4000.0,
    lower_frequency_limit=20.0,
    filterbank_channel_count=40,
    dct_coefficient_count=13,
):
    """Coefficients `[channel, window, coefficient]` of squared magnitudes `[channel, window, frequency]`; rates in Hz."""
    if spectrogram.ndim != 3:
        raise InvalidArgumentError(f"spectrogram must be 3-dimensional, not of rank {spectrogram.ndim}")
    weights = _mel_filters(
        spectrogram.shape[-1],
        float(sample_rate),
        filterbank_channel_count,
        lower_frequency_limit,
        upper_frequency_limit,
    )
    energies = jnp.sqrt(jnp.asarray(spectrogram).astype(np.float64)) @ weights
    logarithms = jnp.log(jnp.maximum(energies, _LEAST_ENERGY))
    bank = np.arange(filterbank_channel_count)
    orders = np.arange(dct_coefficient_count)
    cosines = np.cos(np.pi / filterbank_channel_count * orders * (bank[:, None] + 0.5))
    return (logarithms @ (np.sqrt(2 / filterbank_channel_count) * cosines)).astype(np.float32)


def _mel_filters(bins, sample_rate, channels, lowest, highest):
    """What each of the triangular filters takes of each frequency, float64 [bin, channel] (mfcc_mel_filterbank.cc)."""

    def mel(frequency):
        return 1127 * np.log1p(frequency / 700)

    if bins < 2 or sample_rate <= 0 or not 0 <= lowest < highest:
        raise InvalidArgumentError(
            f"no mel filters of {bins} frequencies at {sample_rate} Hz between {lowest} and {highest} Hz"
        )
    spacing = (mel(highest) - mel(lowest)) / (channels + 1)
    centres = mel(lowest) + spacing * np.arange(1, channels + 2)
    hertz = 0.5 * sample_rate / (bins - 1)
    # Never the constant part, as in HTK.
    used = np.arange(int(1.5 + lowest / hertz), min(int(highest / hertz), bins - 1) + 1)
    pitch = mel(used * hertz)
    # The filter whose centre lies below; -1 before the first.
    below = np.minimum(np.searchsorted(centres, pitch), channels) - 1
    start = np.where(below < 0, mel(lowest), centres[np.maximum(below, 0)])
    falling = (centres[below + 1] - pitch) / (centres[below + 1] - start)
    weights = np.zeros([bins, channels])
    inner, outer = below >= 0, below + 1 < channels
    weights[used[inner], below[inner]] = falling[inner]
    weights[used[outer], below[outer] + 1] = 1 - falling[outer]
    return weights
