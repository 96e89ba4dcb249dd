"""Batch normalization and local response normalization."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.ops import windows
from mgjax.ops.registry import lower


def _normalize(x, scale, offset, mean, variance, epsilon, data_format, is_training, exponential_avg_factor):
    """What the versions of FusedBatchNorm share: y and the four statistics after it; computes in `scale`'s dtype."""
    channel = windows.channel_axis(data_format)
    axes, spread = _batch_axes(x.ndim, channel)
    wide = x.astype(scale.dtype)
    if is_training:
        count = x.size // x.shape[channel]
        batch_mean = jnp.mean(wide, axes)
        centred = wide - spread(batch_mean)
        batch_variance = jnp.mean(jnp.square(centred), axes)
    else:
        batch_mean, batch_variance, centred = mean, variance, wide - spread(mean)
    factor = lax.rsqrt(batch_variance + scale.dtype.type(epsilon)) * scale
    y = (centred * spread(factor) + spread(offset)).astype(x.dtype)
    if not is_training:
        return y, mean, variance, mean, variance
    # The variance that moving averages see is unbiased; the one for the gradient is not (fused_batch_norm_op.cc).
    running_mean, running_variance = batch_mean, batch_variance * (count / max(count - 1, 1))
    if exponential_avg_factor != 1:
        keep = 1 - exponential_avg_factor
        running_mean = keep * mean + exponential_avg_factor * running_mean
        running_variance = keep * variance + exponential_avg_factor * running_variance
    return y, running_mean, running_variance, batch_mean, batch_variance


def _batch_axes(rank, channel):
    """All axes but the channel's, and a function that lays a vector along the channel's."""
    axes = tuple(axis for axis in range(rank) if axis != channel)
    return axes, lambda vector: lax.expand_dims(vector, axes)


@lower("FusedBatchNorm", "FusedBatchNormV2")
def fused_batch_norm(
    x,
    scale,
    offset,
    mean,
    variance,
    *,
    epsilon=1e-4,
    data_format="NHWC",
    is_training=True,
    exponential_avg_factor=1.0,
):
    """y, batch mean, batch variance (unbiased) and, for the gradient, batch mean and biased variance.

    Without `is_training` the given statistics are used, and handed on.
    """
    return _normalize(x, scale, offset, mean, variance, epsilon, data_format, is_training, exponential_avg_factor)


@lower("FusedBatchNormGrad", "FusedBatchNormGradV2")
def fused_batch_norm_grad(
    y_backprop,
    x,
    scale,
    reserve_space_1,
    reserve_space_2,
    *,
    epsilon=1e-4,
    data_format="NHWC",
    is_training=True,
):
    """Gradients of x, scale and offset, from the mean and the biased variance; two unused outputs follow."""
    channel = windows.channel_axis(data_format)
    axes, spread = _batch_axes(x.ndim, channel)
    grad, wide = y_backprop.astype(scale.dtype), x.astype(scale.dtype)
    count = x.size // x.shape[channel]
    factor = lax.rsqrt(reserve_space_2 + scale.dtype.type(epsilon))
    centred = wide - spread(reserve_space_1)
    offset_backprop = jnp.sum(grad, axes)
    scale_backprop = jnp.sum(grad * centred, axes) * factor
    if is_training:
        grad = grad - spread(offset_backprop / count) - centred * spread(factor * scale_backprop / count)
    x_backprop = (grad * spread(scale * factor)).astype(x.dtype)
    unused = jnp.zeros((), reserve_space_1.dtype)
    return x_backprop, scale_backprop, offset_backprop, unused, unused


@lower("FusedBatchNormV3")
def fused_batch_norm_v3(x, scale, offset, mean, variance, **attrs):
    """As `fused_batch_norm`, with one more output, which only GPU kernels fill."""
    return (*fused_batch_norm(x, scale, offset, mean, variance, **_known(attrs)), jnp.zeros((), scale.dtype))


@lower("FusedBatchNormGradV3")
def fused_batch_norm_grad_v3(y_backprop, x, scale, reserve_space_1, reserve_space_2, reserve_space_3, **attrs):
    """As `fused_batch_norm_grad`; `reserve_space_3` is not used."""
    attrs = {name: value for name, value in _known(attrs).items() if name != "exponential_avg_factor"}
    return fused_batch_norm_grad(y_backprop, x, scale, reserve_space_1, reserve_space_2, **attrs)


def _known(attrs):
    names = ("epsilon", "data_format", "is_training", "exponential_avg_factor")
    return {name: attrs[name] for name in names if name in attrs}


@lower("BatchNormWithGlobalNormalization")
def batch_norm_with_global_normalization(t, m, v, beta, gamma, *, variance_epsilon, scale_after_normalization):
    """Normalization with given statistics, along the last axis; graphs of the first TensorFlow versions."""
    factor = lax.rsqrt(v + v.dtype.type(variance_epsilon))
    return (t - m) * (factor * gamma if scale_after_normalization else factor) + beta


@lower("BatchNormWithGlobalNormalizationGrad")
def batch_norm_with_global_normalization_grad(t, m, v, gamma, backprop, *, variance_epsilon, scale_after_normalization):
    """Gradients of t, m, v, beta and gamma."""

    def forward(t, m, v, beta, gamma):
        return batch_norm_with_global_normalization(
            t, m, v, beta, gamma, variance_epsilon=variance_epsilon, scale_after_normalization=scale_after_normalization
        )

    return jax.vjp(forward, *map(jnp.asarray, (t, m, v, jnp.zeros_like(m), gamma)))[1](jnp.asarray(backprop))


@lower("LRN")
def lrn(input, *, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5):
    """x / (bias + alpha * sum of squares of the channels within `depth_radius`)^beta; channels last."""
    norm = bias + alpha * _sum_of_neighbours(jnp.square(input), depth_radius)
    return input * jnp.power(norm, input.dtype.type(-beta))


@lower("LRNGrad")
def lrn_grad(input_grads, input_image, output_image, *, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5):
    """Pullback of `lrn` where `output_image` is its result; any other `output_image` takes the result's place, as in lrn_op.cc."""
    norm = bias + alpha * _sum_of_neighbours(jnp.square(input_image), depth_radius)
    through_norms = _sum_of_neighbours(input_grads * output_image / norm, depth_radius)
    own = input_grads * jnp.power(norm, norm.dtype.type(-beta))
    return own - norm.dtype.type(2 * alpha * beta) * input_image * through_norms


def _sum_of_neighbours(x, depth_radius):
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        window_dimensions=(1,) * (x.ndim - 1) + (2 * depth_radius + 1,),
        window_strides=(1,) * x.ndim,
        padding=[(0, 0)] * (x.ndim - 1) + [(depth_radius, depth_radius)],
    )
