"""Recurrent networks of cuDNN: all layers and directions in one op, all weights in one vector.

The vector holds the matrices of every layer (of its forward, then its backward direction): those that the input meets, gate
by gate, `[units, input]`, then those that the state meets, `[units, units]`; after all matrices come the biases in the same
order, two for each gate. Gates come in cuDNN's order: input, forget, candidate, output in an LSTM; reset, update,
candidate in a GRU. TensorFlow has these ops on GPUs alone, where a dropout between layers draws numbers of cuDNN's own.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.dtypes import int32
from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops.registry import Static, lower

_GATES = {"lstm": 4, "gru": 3, "rnn_relu": 1, "rnn_tanh": 1}


def _matrix_shapes(layers, units, inputs, rnn_mode, direction, input_mode):
    """The shape of every matrix, in order, two lists (for the input, for the state) for each layer and direction."""
    if input_mode == "skip_input" or (input_mode == "auto_select" and inputs == units):
        raise UnsupportedError(f"input_mode {input_mode!r} without input weights is not supported (linear_input is)")
    directions = 2 if direction == "bidirectional" else 1
    gates = _GATES[rnn_mode]
    for layer in range(layers):
        width = inputs if layer == 0 else units * directions
        for _ in range(directions):
            yield [(units, width)] * gates, [(units, units)] * gates


def _sizes(layers, units, inputs, **modes):
    """The shapes of all matrices, and of all biases."""
    matrices = [shape for pair in _matrix_shapes(layers, units, inputs, **modes) for part in pair for shape in part]
    return matrices, [(units,)] * len(matrices)


def _modes(rnn_mode, direction, input_mode, num_proj=0):
    if num_proj:
        raise UnsupportedError(f"num_proj {num_proj} is not supported (0 is: states that are not projected)")
    return {"rnn_mode": rnn_mode, "direction": direction, "input_mode": input_mode}


@lower("CudnnRNNParamsSize")
def cudnn_rnn_params_size(
    num_layers: Static,
    num_units: Static,
    input_size: Static,
    *,
    S=int32,
    rnn_mode="lstm",
    direction="unidirectional",
    input_mode="linear_input",
    num_proj=0,
    dropout=0.0,
):
    """[1]: how many weights and biases there are."""
    modes = _modes(rnn_mode, direction, input_mode, num_proj)
    shapes = _sizes(int(num_layers), int(num_units), int(input_size), **modes)
    return np.array([sum(math.prod(shape) for part in shapes for shape in part)], S.numpy)


@lower("CudnnRNNParamsToCanonical", "CudnnRNNParamsToCanonicalV2")
def cudnn_rnn_params_to_canonical(
    num_layers: Static,
    num_units: Static,
    input_size: Static,
    params,
    *,
    rnn_mode="lstm",
    direction="unidirectional",
    input_mode="linear_input",
    num_proj=0,
    dropout=0.0,
):
    """The matrices, `[units, width]`, and the biases, in the order in which the vector holds them."""
    modes = _modes(rnn_mode, direction, input_mode, num_proj)
    matrices, biases = _sizes(int(num_layers), int(num_units), int(input_size), **modes)
    parts = _split(params, [*matrices, *biases])
    return parts[: len(matrices)], parts[len(matrices) :]


@lower("CudnnRNNCanonicalToParams", "CudnnRNNCanonicalToParamsV2")
def cudnn_rnn_canonical_to_params(
    num_layers: Static,
    num_units: Static,
    input_size: Static,
    weights,
    biases,
    *,
    rnn_mode="lstm",
    direction="unidirectional",
    input_mode="linear_input",
    num_proj=0,
    dropout=0.0,
):
    """The vector of the matrices and biases that `cudnn_rnn_params_to_canonical` gives."""
    modes = _modes(rnn_mode, direction, input_mode, num_proj)
    matrices, vectors = _sizes(int(num_layers), int(num_units), int(input_size), **modes)
    given = [math.prod(x.shape) for x in (*weights, *biases)]
    wanted = [math.prod(shape) for shape in (*matrices, *vectors)]
    if given != wanted:
        raise InvalidArgumentError(f"weights and biases have {given} elements, {wanted} are wanted")
    return jnp.concatenate([jnp.reshape(x, -1) for x in (*weights, *biases)])


def _split(params, shapes):
    sizes = [math.prod(shape) for shape in shapes]
    if params.shape != (sum(sizes),):
        raise InvalidArgumentError(f"params have shape {list(params.shape)}, [{sum(sizes)}] is wanted")
    parts = jnp.split(jnp.asarray(params), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _lstm(state, c, met, bias):
    i, f, candidate, o = (a + b for a, b in zip(met, bias, strict=True))
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(candidate)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _gru(state, c, met, bias):
    r, u = (jax.nn.sigmoid(a + b) for a, b in zip(met[:2], bias[:2], strict=True))
    candidate = jnp.tanh(met[2] + r * bias[2])
    return (1 - u) * candidate + u * state, c


def _plain(activation):
    return lambda state, c, met, bias: (activation(met[0] + bias[0]), c)


_STEPS = {"lstm": _lstm, "gru": _gru, "rnn_relu": _plain(jax.nn.relu), "rnn_tanh": _plain(jnp.tanh)}


def _layer(x, h, c, lengths, matrices, biases, rnn_mode):
    """One layer in one direction, over x `[time, batch, input]`; steps after a sequence's end leave its state as it is."""
    gates = _GATES[rnn_mode]
    met = [x @ w.T + b for w, b in zip(matrices[:gates], biases[:gates], strict=True)]
    step = _STEPS[rnn_mode]

    def one(carry, at):
        h, c = carry
        time, met = at
        # What the state meets.
        known = [h @ w.T + b for w, b in zip(matrices[gates:], biases[gates:], strict=True)]
        new_h, new_c = step(h, c, met, known)
        runs = (time < lengths)[:, None]
        new_h, new_c = jnp.where(runs, new_h, h), jnp.where(runs, new_c, c)
        return (new_h, new_c), jnp.where(runs, new_h, 0)

    (h, c), outputs = lax.scan(one, (h, c), (np.arange(x.shape[0], dtype=np.int32), met))
    return outputs, h, c


def _reversed(x, lengths):
    """Every sequence of [time, batch, ...] from its end to its begin; what follows the end stays."""
    time = np.arange(x.shape[0])[:, None]
    source = jnp.where(time < lengths, lengths - 1 - time, time)
    return jnp.take_along_axis(x, source[..., None], axis=0)


def _forward(input, input_h, input_c, params, lengths, modes):
    """Outputs `[time, batch, units * directions]`, and the states after, `[layers * directions, batch, units]`."""
    directions = 2 if modes["direction"] == "bidirectional" else 1
    layers, units = input_h.shape[0] // directions, input_h.shape[2]
    matrices, biases = _sizes(layers, units, input.shape[2], **modes)
    parts = _split(params, [*matrices, *biases])
    count = 2 * _GATES[modes["rnn_mode"]]
    x, states_h, states_c = input, [], []
    has_c = modes["rnn_mode"] == "lstm"
    for layer in range(layers):
        outputs = []
        for backward in range(directions):
            number = layer * directions + backward
            begin = number * count
            own = parts[begin : begin + count], parts[len(matrices) + begin : len(matrices) + begin + count]
            c = input_c[number] if has_c else jnp.zeros_like(input_h[number])
            y, h, c = _layer(
                _reversed(x, lengths) if backward else x, input_h[number], c, lengths, *own, modes["rnn_mode"]
            )
            outputs.append(_reversed(y, lengths) if backward else y)
            states_h.append(h)
            states_c.append(c)
        x = jnp.concatenate(outputs, axis=-1)
    return x, jnp.stack(states_h), jnp.stack(states_c) if has_c else jnp.zeros((), input.dtype)


def _refuse_dropout(dropout, is_training):
    if dropout and is_training:
        raise UnsupportedError(f"dropout {dropout} while training is not supported: its numbers are cuDNN's own")


def _whole(input):
    return jnp.full(input.shape[1], input.shape[0], np.int32)


@lower("CudnnRNN")
def cudnn_rnn(
    input,
    input_h,
    input_c,
    params,
    *,
    rnn_mode="lstm",
    input_mode="linear_input",
    direction="unidirectional",
    dropout=0.0,
    is_training=True,
):
    """Outputs, the states after, and what the gradient on a GPU needs (nothing here)."""
    _refuse_dropout(dropout, is_training)
    operands = [jnp.asarray(x) for x in (input, input_h, input_c, params)]
    outputs = _forward(*operands, _whole(input), _modes(rnn_mode, direction, input_mode))
    return *outputs, jnp.zeros(0, input.dtype)


@lower("CudnnRNNV2")
def cudnn_rnn_v2(input, input_h, input_c, params, **attrs):
    """`cudnn_rnn`, with one more thing that the gradient on a GPU needs."""
    return *cudnn_rnn(input, input_h, input_c, params, **_taken(attrs)), jnp.zeros(0, np.int8)


@lower("CudnnRNNV3")
def cudnn_rnn_v3(input, input_h, input_c, params, sequence_lengths, *, num_proj=0, time_major=True, **attrs):
    """`cudnn_rnn_v2` of sequences of different lengths; without `time_major` the batch comes first."""
    attrs = _taken(attrs)
    _refuse_dropout(attrs.pop("dropout", 0.0), attrs.pop("is_training", True))
    modes = _modes(**{"rnn_mode": "lstm", "direction": "unidirectional", "input_mode": "linear_input"} | attrs)
    return *_of_lengths(input, input_h, input_c, params, sequence_lengths, modes, time_major, num_proj), *_reserves(
        input
    )


def _of_lengths(input, input_h, input_c, params, sequence_lengths, modes, time_major, num_proj):
    _modes(num_proj=num_proj, **modes)
    turn = (lambda x: x) if time_major else (lambda x: jnp.swapaxes(x, 0, 1) if x.ndim == 3 else x)
    operands = [turn(jnp.asarray(x)) for x in (input, input_h, input_c)]
    return [turn(x) for x in _forward(*operands, jnp.asarray(params), jnp.asarray(sequence_lengths), modes)]


def _reserves(input):
    return jnp.zeros(0, input.dtype), jnp.zeros(0, np.int8)


def _taken(attrs):
    names = ("rnn_mode", "input_mode", "direction", "dropout", "is_training")
    return {name: attrs[name] for name in names if name in attrs}


@lower("CudnnRNNBackprop")
def cudnn_rnn_backprop(
    input,
    input_h,
    input_c,
    params,
    output,
    output_h,
    output_c,
    output_backprop,
    output_h_backprop,
    output_c_backprop,
    reserve_space,
    **attrs,
):
    """Pullback of `cudnn_rnn` for the input, the states and the weights."""

    def forward(*operands):
        return cudnn_rnn(*operands, **_taken(attrs))[:3]

    return _pull_back(forward, (input, input_h, input_c, params), output_backprop, output_h_backprop, output_c_backprop)


@lower("CudnnRNNBackpropV2")
def cudnn_rnn_backprop_v2(
    input,
    input_h,
    input_c,
    params,
    output,
    output_h,
    output_c,
    output_backprop,
    output_h_backprop,
    output_c_backprop,
    reserve_space,
    host_reserved,
    **attrs,
):
    """As `cudnn_rnn_backprop`."""
    return cudnn_rnn_backprop(
        input,
        input_h,
        input_c,
        params,
        output,
        output_h,
        output_c,
        output_backprop,
        output_h_backprop,
        output_c_backprop,
        reserve_space,
        **attrs,
    )


@lower("CudnnRNNBackpropV3")
def cudnn_rnn_backprop_v3(
    input,
    input_h,
    input_c,
    params,
    sequence_lengths,
    output,
    output_h,
    output_c,
    output_backprop,
    output_h_backprop,
    output_c_backprop,
    reserve_space,
    host_reserved,
    **attrs,
):
    """Pullback of `cudnn_rnn_v3`."""
    kept = {name: attrs[name] for name in ("num_proj", "time_major") if name in attrs}

    def forward(input, input_h, input_c, params):
        return cudnn_rnn_v3(input, input_h, input_c, params, sequence_lengths, **_taken(attrs), **kept)[:3]

    return _pull_back(forward, (input, input_h, input_c, params), output_backprop, output_h_backprop, output_c_backprop)


def _pull_back(forward, operands, output_backprop, output_h_backprop, output_c_backprop):
    outputs, pullback = jax.vjp(forward, *map(jnp.asarray, operands))
    given = (output_backprop, output_h_backprop, output_c_backprop)
    # What an op without cell state gives in its place depends on nothing.
    fitting = [
        jnp.broadcast_to(g, y.shape) if y.ndim else jnp.zeros_like(y) for g, y in zip(given, outputs, strict=True)
    ]
    return pullback(tuple(fitting))
