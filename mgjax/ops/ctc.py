"""Connectionist temporal classification: the loss of label sequences without known times.

A sequence of n labels becomes 2n + 1 states: a blank, a label, a blank, ... The loss is minus the log probability of
all paths through the states, by the forward recursion; its gradient needs the backward one too. The number of labels
of each batch entry is a run-time value, so all have the states that the longest could have.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError
from mgjax.ops.registry import array_module, check, claim, lower


@lower("CTCLoss")
def ctc_loss(
    inputs,
    labels_indices,
    labels_values,
    sequence_length,
    *,
    preprocess_collapse_repeated=False,
    ctc_merge_repeated=True,
    ignore_longer_outputs_than_inputs=False,
):
    """Loss `[batch]` and its gradient in the logits `inputs`, `[time, batch, class]`; the last class is the blank.

    More labels than time steps give a loss and a gradient of NaN, where TensorFlow raises (ctc_loss_calculator.h), or
    of zero if they are to be ignored. The gradient output itself has no derivative, as in TensorFlow.
    """
    if inputs.shape[1] == 0:
        raise InvalidArgumentError("batch_size must not be 0")
    labels, lengths, counts = _rows(inputs.shape, labels_indices, labels_values, preprocess_collapse_repeated)
    too_long = counts > sequence_length
    loss, gradient = _loss(inputs, labels, jnp.where(too_long, 0, lengths), sequence_length, ctc_merge_repeated)
    instead = inputs.dtype.type(0 if ignore_longer_outputs_than_inputs else np.nan)
    empty = sequence_length == 0
    loss = jnp.where(too_long, instead, jnp.where(empty, 0, loss))
    return loss, jnp.where(too_long[:, None] & ~empty[:, None], instead, lax.stop_gradient(gradient))


@check("CTCLoss")
def labels_fit(inputs, labels_indices, labels_values, sequence_length, ignore_longer_outputs_than_inputs=False):
    time, batch, classes = inputs.shape
    if not batch:
        return
    yield claim(sequence_length <= time, f"sequence_length{{at}} <= {time}")
    rows = labels_indices[:, 0]
    message = "label SparseTensor is not valid: indices{at} = {value} is out of bounds"
    yield claim((rows >= 0) & (rows < batch), message, value=labels_indices)
    required = _counts(labels_indices, batch)
    yield claim(required > 0, "Labels length is zero in batch{at}")
    is_null, xp = labels_values >= classes - 1, array_module(labels_indices, labels_values)
    after_null = xp.roll(is_null, 1) & (xp.roll(rows, 1) == rows) & (np.arange(len(labels_values)) > 0)
    yield claim(
        is_null | ~after_null, "Saw a non-null label (index >= num_classes - 1) following a null label: labels{at} = {value}",
        value=labels_values,
    )  # fmt: skip
    yield claim(
        labels_values >= 0, "All labels must be nonnegative integers: labels{at} = {value}", value=labels_values
    )
    if not ignore_longer_outputs_than_inputs:
        message = "Not enough time for target transition sequence (required: {value}, available: {available})"
        available = array_module(sequence_length).max(sequence_length) if batch == 1 else "less"
        yield claim(required <= sequence_length, message, value=required, available=available)


def _counts(indices, batch):
    """How many labels each batch entry has."""
    xp = array_module(indices)
    return xp.sum(indices[:, :1] == np.arange(batch), 0)


def _rows(shape, indices, values, collapse):
    """The labels of each batch entry `[batch, longest]`, how many they are, and how many were given.

    What is no label but the blank or beyond, as rows are padded with, is left out (ctc_loss_calculator.h).
    """
    time, batch, classes = shape
    rows = jnp.asarray(indices)[:, 0]
    values = jnp.asarray(values, jnp.int32)
    count = values.shape[0]
    if collapse:
        skipped = (values == jnp.roll(values, 1)) & (rows == jnp.roll(rows, 1)) & (np.arange(count) > 0)
    else:
        skipped = jnp.zeros(count, bool)
    skipped |= values >= classes - 1
    lengths = jnp.zeros(batch, jnp.int32).at[rows].add(jnp.where(skipped, 0, 1).astype(jnp.int32))
    starts = jnp.cumsum(lengths) - lengths
    places = jnp.cumsum(~skipped) - 1 - starts[rows]
    # Labels beyond the time steps have no path; `ctc_loss` deals with their entries.
    longest = min(count, time)
    places = jnp.where(skipped, longest, places)
    labels = jnp.zeros([batch, longest], jnp.int32).at[rows, places].set(values, mode="drop")
    return labels, lengths, _counts(jnp.asarray(indices), batch)


def _loss(inputs, labels, lengths, sequence_length, merge):
    """Minus the log probability of each entry's labels, and its gradient; differentiable in `inputs` once."""

    @jax.custom_jvp
    def loss(inputs):
        return _forward_backward(inputs, labels, lengths, sequence_length, merge)

    @loss.defjvp
    def loss_jvp(primals, tangents):
        value, gradient = loss(*primals)
        return (value, gradient), (jnp.sum(gradient * tangents[0], (0, 2)), jnp.zeros_like(gradient))

    return loss(jnp.asarray(inputs))


def _forward_backward(inputs, labels, lengths, sequence_length, merge):
    time, batch, classes = inputs.shape
    longest = labels.shape[1]
    states = 2 * longest + 1
    impossible = inputs.dtype.type(-np.inf)
    scores = jax.nn.log_softmax(inputs)
    symbols = jnp.full([batch, states], classes - 1, jnp.int32).at[:, 1::2].set(labels)
    emitted = jnp.take_along_axis(scores, symbols[None], -1, mode="clip")

    is_label = np.arange(states) % 2 == 1
    differs = jnp.roll(labels, 1, 1) != labels
    may_skip = jnp.zeros([batch, states], bool).at[:, 1::2].set((differs | (not merge)) & (np.arange(longest) > 0))
    may_stay = np.ones(states, bool) if merge else ~is_label
    last = 2 * lengths[:, None]
    exists = np.arange(states) <= last
    is_end = (np.arange(states) == last) | (np.arange(states) == last - 1)

    def later(x, by):
        """Moves the states up: what state u - by has comes to state u."""
        return jnp.pad(x, [(0, 0), (by, 0)], constant_values=impossible)[:, :states]

    def earlier(x, by):
        return jnp.pad(x, [(0, 0), (0, by)], constant_values=impossible)[:, by:]

    def where(condition, x):
        return jnp.where(condition, x, impossible)

    def forward(alpha, step):
        t, emit = step
        total = jnp.logaddexp(where(may_stay, alpha), later(alpha, 1))
        total = jnp.logaddexp(total, where(may_skip, later(alpha, 2))) + emit
        alpha = jnp.where((t < sequence_length)[:, None], where(exists, total), alpha)
        return alpha, alpha

    begin = where(exists & (np.arange(states) < 2), emitted[0])
    end, alphas = lax.scan(forward, begin, (jnp.arange(1, time), emitted[1:]))
    alphas = jnp.concatenate([begin[None], alphas])
    log_probability = jax.nn.logsumexp(where(is_end, end), -1)

    def backward(beta, step):
        t, emit = step
        ahead = beta + emit
        total = jnp.logaddexp(where(may_stay, ahead), earlier(ahead, 1))
        total = jnp.logaddexp(total, earlier(where(may_skip, ahead), 2))
        beta = jnp.where((t < sequence_length - 1)[:, None], total, beta)
        return beta, beta

    final = where(is_end, jnp.zeros([batch, states], inputs.dtype))
    _, betas = lax.scan(backward, final, (jnp.arange(time - 1), emitted[1:]), reverse=True)
    betas = jnp.concatenate([betas, final[None]])

    reachable = jnp.isfinite(log_probability)[None, :, None]
    posterior = jnp.where(reachable, jnp.exp(alphas + betas - log_probability[:, None]), 0)
    gradient = jnp.exp(scores).at[:, :, -1].add(-jnp.sum(posterior[:, :, ::2], -1))
    gradient = gradient.at[:, np.arange(batch)[:, None], labels].add(-posterior[:, :, 1::2], mode="drop")
    within = np.arange(time)[:, None] < sequence_length
    return -log_probability, jnp.where(within[..., None], gradient, 0)
