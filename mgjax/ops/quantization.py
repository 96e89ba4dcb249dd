"""Quantized numbers: their making, their reading, and the imitation of their rounding in floating point.

A quantized tensor is integers with a range of real numbers, minimum and maximum, that the integers of the type span.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops.registry import Static, lower


def round_half_away(x):
    """Rounds to the nearest integer, halves away from zero."""
    whole = jnp.trunc(x)
    return jnp.where(jnp.abs(x - whole) >= 0.5, whole + jnp.sign(x), whole)


def _limits(dtype):
    """The lowest and highest integer of a type, and the number of steps between."""
    lowest, highest = (float(limit) for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    return lowest, highest, highest - lowest


def _along(axis, bound, rank):
    """A bound for all, or for each slice along an axis, so that it broadcasts to a tensor of this rank."""
    bound = jnp.asarray(bound)
    return bound if axis < 0 else bound.reshape([-1 if i == axis else 1 for i in range(rank)])


@lower("QuantizeV2")
def quantize_v2(
    input,
    min_range,
    max_range,
    *,
    T,
    mode="MIN_COMBINED",
    round_mode="HALF_AWAY_FROM_ZERO",
    narrow_range=False,
    axis=-1,
    ensure_minimum_range=0.01,
):
    """Integers of type `T`, and the range that they span, which holds zero and is not too small."""
    if mode not in ("MIN_COMBINED", "MIN_FIRST", "SCALED"):
        raise UnsupportedError(f"mode {mode!r} is not supported (MIN_COMBINED, MIN_FIRST, SCALED are)")
    if round_mode == "HALF_TO_EVEN" and mode != "SCALED":
        raise InvalidArgumentError(f"Round mode 'HALF_TO_EVEN' only supported for mode 'SCALED', but mode is '{mode}'.")
    lowest, highest, steps = _limits(T.numpy)
    minimum = jnp.minimum(min_range, np.float32(0))
    least = jnp.maximum(jnp.maximum(jnp.abs(min_range), jnp.abs(max_range)), np.float32(1)) * ensure_minimum_range
    maximum = jnp.maximum(max_range, minimum + least)
    low, high = (_along(axis, bound, input.ndim) for bound in (minimum, maximum))
    if mode == "SCALED":
        bottom = lowest + 1 if narrow_range and lowest else lowest
        scale = _scale(low, high, bottom, highest)
        rounded = jnp.round if round_mode == "HALF_TO_EVEN" else round_half_away
        integers = rounded(jnp.clip(input, bottom / scale, highest / scale) * scale)
        # The range is what the integers span, not what was asked for.
        minimum, maximum = (limit / scale.reshape(jnp.shape(minimum)) for limit in (bottom, highest))
    else:
        scale = np.float32(steps) / (high - low)
        if mode == "MIN_COMBINED":
            half = np.float32(lowest and (steps + 1) / 2)
            integers = round_half_away((jnp.clip(input, low, high) - low) * scale - half)
        else:
            integers = round_half_away(input * scale) - round_half_away(low * scale) + lowest
    integers = jnp.clip(integers, lowest, highest).astype(T.numpy)
    return integers, minimum.astype(np.float32), maximum.astype(np.float32)


def _scale(low, high, lowest, highest):
    """Integers per unit, with zero at zero, so that neither end of the range leaves the integers' limits."""
    most = np.float32(np.finfo(np.float32).max)
    by_low = jnp.where(lowest * low > 0, lowest / jnp.where(low == 0, 1, low), most)
    by_high = jnp.where(highest * high > 0, highest / jnp.where(high == 0, 1, high), most)
    return jnp.minimum(by_low, by_high).astype(low.dtype)


@lower("Dequantize")
def dequantize(input, min_range, max_range, *, mode="MIN_COMBINED", narrow_range=False, axis=-1, dtype=None):
    """The real numbers, float32, that quantized ones stand for."""
    lowest, highest, steps = _limits(input.dtype)
    low, high = (_along(axis, bound, input.ndim) for bound in (min_range, max_range))
    # 32-bit integers lose their last bits, as in dequantize_op.cc.
    integers = input.astype(np.float32)
    step = (high - low) / np.float32(steps)
    if mode == "MIN_COMBINED":
        half = np.float32(lowest and (steps + 1) / 2)
        real = (integers + half) * step + low
    elif mode == "MIN_FIRST":
        # float64 as quantization_utils.h: differences of large integers matter.
        real = (input.astype(np.float64) - lowest) * step.astype(np.float64)
        real = (real + round_half_away(low / step).astype(np.float64) * step).astype(np.float32)
    elif mode == "SCALED":
        bottom = lowest + 1 if narrow_range and lowest else lowest
        factor = high / np.float32(highest)
        real = integers * (jnp.maximum(factor, low / np.float32(bottom)) if bottom else factor)
    else:
        raise UnsupportedError(f"mode {mode!r} is not supported (MIN_COMBINED, MIN_FIRST, SCALED are)")
    return real.astype(dtype.numpy) if dtype else real


def _nudge(low, high, num_bits, narrow_range):
    """The range moved so that zero is one of its steps, and a step's size (fake_quant_ops_functor.h)."""
    bottom, top = np.float32(narrow_range), np.float32(2**num_bits - 1)
    scale = (high - low) / (top - bottom)
    zero_point = bottom - low / scale
    nudged = jnp.where(zero_point < bottom, bottom, jnp.where(zero_point > top, top, round_half_away(zero_point)))
    return (bottom - nudged) * scale, (top - nudged) * scale, scale


@jax.custom_jvp
def _fake_quant(inputs, low, high, nudged_low, nudged_high, scale):
    clamped = jnp.clip(inputs, nudged_low, nudged_high) - nudged_low
    rounded = jnp.floor(clamped / scale + np.float32(0.5)) * scale + nudged_low
    return jnp.where((low == 0) & (high == 0), np.float32(0), rounded)


@_fake_quant.defjvp
def _fake_quant_jvp(primals, tangents):
    # As if it did not round; beyond the range the bound is what moves.
    inputs, low, high, nudged_low, nudged_high, _ = primals
    d_inputs, d_low, d_high, *_ = tangents
    off = (low == 0) & (high == 0)
    below, above = (inputs < nudged_low) & ~off, (inputs > nudged_high) & ~off
    return _fake_quant(*primals), jnp.where(below, d_low, jnp.where(above, d_high, d_inputs))


@lower("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
def fake_quant_with_min_max_vars(inputs, min, max, *, num_bits=8, narrow_range=False):
    """Rounds to the steps of a range, or of one range for each channel, the last axis; stays in float32."""
    min, max = jnp.asarray(min), jnp.asarray(max)
    nudged = jax.lax.stop_gradient(_nudge(min, max, num_bits, narrow_range))
    return _fake_quant(jnp.asarray(inputs), min, max, *nudged)


@lower("FakeQuantWithMinMaxVarsGradient", "FakeQuantWithMinMaxVarsPerChannelGradient")
def fake_quant_with_min_max_vars_gradient(gradients, inputs, min, max, *, num_bits=8, narrow_range=False):
    """Pullback of `fake_quant_with_min_max_vars`: within the range to the inputs, beyond it to its ends."""

    def forward(*operands):
        return fake_quant_with_min_max_vars(*operands, num_bits=num_bits, narrow_range=narrow_range)

    return jax.vjp(forward, *map(jnp.asarray, (inputs, min, max)))[1](jnp.asarray(gradients))


@lower("FakeQuantWithMinMaxArgs")
def fake_quant_with_min_max_args(inputs, *, min=-6.0, max=6.0, num_bits=8, narrow_range=False):
    """`fake_quant_with_min_max_vars` with a fixed range."""
    return fake_quant_with_min_max_vars(
        inputs, np.float32(min), np.float32(max), num_bits=num_bits, narrow_range=narrow_range
    )


@lower("FakeQuantWithMinMaxArgsGradient")
def fake_quant_with_min_max_args_gradient(gradients, inputs, *, min=-6.0, max=6.0, num_bits=8, narrow_range=False):
    """Pullback of `fake_quant_with_min_max_args`."""
    return fake_quant_with_min_max_vars_gradient(
        gradients, inputs, np.float32(min), np.float32(max), num_bits=num_bits, narrow_range=narrow_range
    )[0]


def _quantize_and_dequantize(input, low, high, signed_input, num_bits, range_given, half_up, narrow_range, axis=-1):
    input = jnp.asarray(input)
    if signed_input:
        bottom, top = -(2.0 ** (num_bits - 1)) + narrow_range, 2.0 ** (num_bits - 1) - 1
    else:
        bottom, top = 0.0, 2.0**num_bits - 1
    if not range_given:
        others = tuple(i for i in range(input.ndim) if i != axis) if axis >= 0 else None
        low, high = jnp.min(input, others), jnp.max(input, others)
    scale = _scale(_along(axis, low, input.ndim), _along(axis, high, input.ndim), bottom, top)
    # The data's own range clamps nothing, even if negative data is declared unsigned.
    clamped = jnp.clip(input, bottom / scale, top / scale) if range_given else input
    scaled = clamped * scale
    rounded = jnp.floor(scaled + input.dtype.type(0.5)) if half_up else jnp.round(scaled)
    return rounded / scale


def _straight_through(function, input):
    """Applies a function whose derivative is taken to be one, as TensorFlow's gradient functions do."""
    through = jax.custom_jvp(function)
    through.defjvp(lambda primals, tangents: (function(*primals), tangents[0]))
    return through(jnp.asarray(input))


@lower("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4")
def quantize_and_dequantize_v2(
    input,
    input_min,
    input_max,
    *,
    signed_input=True,
    num_bits=8,
    range_given=False,
    round_mode="HALF_TO_EVEN",
    narrow_range=False,
    axis=-1,
):
    """Rounds to the values that `num_bits` bits can stand for, within the given range or the data's own."""
    if round_mode not in ("HALF_TO_EVEN", "HALF_UP"):
        raise UnsupportedError(f"round_mode {round_mode!r} is not supported (HALF_TO_EVEN, HALF_UP are)")
    half_up = round_mode == "HALF_UP"
    return _straight_through(
        lambda x: _quantize_and_dequantize(
            x, input_min, input_max, signed_input, num_bits, range_given, half_up, narrow_range, axis
        ),
        input,
    )


@lower("QuantizeAndDequantizeV3")
def quantize_and_dequantize_v3(
    input,
    input_min,
    input_max,
    num_bits: Static,
    *,
    signed_input=True,
    range_given=True,
    narrow_range=False,
    axis=-1,
):
    """`quantize_and_dequantize_v2` with the number of bits as an operand."""
    return quantize_and_dequantize_v2(
        input,
        input_min,
        input_max,
        signed_input=signed_input,
        num_bits=int(num_bits),
        range_given=range_given,
        narrow_range=narrow_range,
        axis=axis,
    )


@lower("QuantizeAndDequantize")
def quantize_and_dequantize(input, *, signed_input=True, num_bits=8, range_given=False, input_min=0.0, input_max=0.0):
    """The oldest form, with the range in attrs."""
    kind = input.dtype.type
    return quantize_and_dequantize_v2(
        input,
        kind(input_min),
        kind(input_max),
        signed_input=signed_input,
        num_bits=num_bits,
        range_given=range_given,
    )
