"""Softmax and the losses made from it."""

import jax
import jax.numpy as jnp
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import check, claim, lower, table
from mgjax.shapes import describe


def softmax(logits):
    return jax.nn.softmax(logits, axis=-1)


def log_softmax(logits):
    return jax.nn.log_softmax(logits, axis=-1)


table({"Softmax": softmax, "LogSoftmax": log_softmax}, "logits")


@lower("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy_with_logits(features, labels):
    """Loss `[batch]` and backprop `[batch, class]`; the operands are broadcast to each other.

    Where labels do not sum to one, TensorFlow's gradient is still softmax - labels (xent_op.h): the loss is written so
    that jax.grad gives that too.
    """
    features, labels = jnp.broadcast_arrays(features, labels)
    shifted, log_sum = _shift(features)
    log_sum_value = lax.stop_gradient(log_sum)
    # The last two terms cancel; only the derivative of the first of them remains.
    loss = jnp.sum(labels * (log_sum_value - shifted), -1) + (log_sum - log_sum_value)[..., 0]
    return loss, jnp.exp(shifted - log_sum) - labels


@lower("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy_with_logits(features, labels):
    """Loss `[batch]` and backprop `[batch, class]`.

    A label out of range is an error, as in TensorFlow's CPU kernel; where errors are ignored, it makes its row NaN, as in
    the GPU kernel.
    """
    if features.ndim != 2:
        raise InvalidArgumentError(f"logits must be 2-D, but got shape {describe(features.shape)}")
    if labels.ndim != 1:
        raise InvalidArgumentError(f"labels must be 1-D, but got shape {describe(labels.shape)}")
    if len(features) != len(labels):
        raise InvalidArgumentError(
            f"logits and labels must have the same first dimension, got logits shape {describe(features.shape)} "
            f"and labels shape {describe(labels.shape)}"
        )
    shifted, log_sum = _shift(features)
    classes = features.shape[-1]
    is_label = labels[..., None] == jnp.arange(classes, dtype=labels.dtype)
    known = (labels >= 0) & (labels < classes)
    nan = features.dtype.type(jnp.nan)
    loss = log_sum[..., 0] - jnp.sum(jnp.where(is_label, shifted, 0), -1)
    backprop = jnp.exp(shifted - log_sum) - is_label.astype(features.dtype)
    return jnp.where(known, loss, nan), jnp.where(known[..., None], backprop, nan)


@check("SparseSoftmaxCrossEntropyWithLogits")
def labels_in_range(features, labels):
    classes = features.shape[-1]
    message = f"Received a label value of {{value}} which is outside the valid range of [0, {classes})."
    yield claim((labels >= 0) & (labels < classes), message, value=labels)


def _shift(features):
    """Features less their row maximum, and the logarithm of the sum of their exponentials."""
    maximum = jnp.max(features, -1, keepdims=True, initial=-jnp.inf)
    shifted = features - lax.stop_gradient(maximum)
    return shifted, jnp.log(jnp.sum(jnp.exp(shifted), -1, keepdims=True))
