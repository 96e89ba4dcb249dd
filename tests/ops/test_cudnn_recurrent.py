"""cuDNN's networks against its documentation's equations, step by step in NumPy; TensorFlow runs them on GPUs only."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mgjax import dtypes
from mgjax.errors import UnsupportedError
from mgjax.ops import REGISTRY

TIME, BATCH, INPUT, UNITS, LAYERS = 4, 2, 3, 2, 2
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def run(op, *operands, **attrs):
    return REGISTRY[op].function(*operands, **attrs)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(mode, x, h, c, w, r, bw, br):
    """One step of one sequence; `w` and `r` are the gates' matrices, `bw` and `br` their biases."""
    a = [w[g] @ x + bw[g] for g in range(len(w))]
    b = [r[g] @ h + br[g] for g in range(len(r))]
    if mode == "lstm":
        i, f, new, o = (p + q for p, q in zip(a, b, strict=True))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(new)
        return sigmoid(o) * np.tanh(c), c
    if mode == "gru":
        reset, update = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
        return (1 - update) * np.tanh(a[2] + reset * b[2]) + update * h, c
    return {"rnn_tanh": np.tanh, "rnn_relu": lambda z: np.maximum(z, 0)}[mode](a[0] + b[0]), c


def network(mode, directions, x, h0, c0, params, lengths):
    """Outputs and last states, one sequence, layer, direction and step at a time."""
    gates, at, matrices = GATES[mode], 0, []
    for layer in range(LAYERS):
        width = INPUT if layer == 0 else UNITS * directions
        for _ in range(directions):
            shapes = [(UNITS, width)] * gates + [(UNITS, UNITS)] * gates
            for shape in shapes:
                matrices.append(params[at : at + shape[0] * shape[1]].reshape(shape))
                at += shape[0] * shape[1]
    biases = params[at:].reshape(-1, UNITS)
    h, c = np.array(h0), np.array(c0)
    for layer in range(LAYERS):
        y = np.zeros((TIME, BATCH, UNITS * directions))
        for back in range(directions):
            n = layer * directions + back
            first, second = (
                slice(2 * gates * n, 2 * gates * n + gates),
                slice(2 * gates * n + gates, 2 * gates * (n + 1)),
            )
            for s in range(BATCH):
                times = range(lengths[s])
                for t in reversed(times) if back else times:
                    own = matrices[first], matrices[second], biases[first], biases[second]
                    h[n, s], c[n, s] = step(mode, x[t, s], h[n, s], c[n, s], *own)
                    y[t, s, back * UNITS : (back + 1) * UNITS] = h[n, s]
        x = y
    return x, h, c


def operands(mode, direction):
    directions = 2 if direction == "bidirectional" else 1
    rng = np.random.default_rng(len(mode) + directions)
    size = run(
        "CudnnRNNParamsSize", *map(np.int32, (LAYERS, UNITS, INPUT)), S=dtypes.int32, rnn_mode=mode, direction=direction
    )
    states = [rng.normal(size=(LAYERS * directions, BATCH, UNITS)) for _ in range(2)]
    return directions, [rng.normal(size=(TIME, BATCH, INPUT)), *states, rng.normal(size=size)]


@pytest.mark.parametrize("direction", ["unidirectional", "bidirectional"])
@pytest.mark.parametrize("mode", GATES)
def test_networks_follow_their_equations(mode, direction):
    directions, given = operands(mode, direction)
    for lengths, found in (
        ([TIME] * BATCH, run("CudnnRNN", *given, rnn_mode=mode, direction=direction)),
        ([TIME, 2], run("CudnnRNNV3", *given, np.int32([TIME, 2]), rnn_mode=mode, direction=direction)),
    ):
        expected = network(mode, directions, *given, lengths)
        for value, wanted in list(zip(found, expected, strict=False))[: 3 if mode == "lstm" else 2]:
            assert_allclose(value, wanted, rtol=1e-10, atol=1e-12)


def test_the_batch_may_come_first():
    _, given = operands("lstm", "bidirectional")
    expected = run("CudnnRNNV3", *given, np.int32([4, 3]), direction="bidirectional")
    turned = [np.swapaxes(x, 0, 1) for x in given[:3]]
    found = run("CudnnRNNV3", *turned, given[3], np.int32([4, 3]), direction="bidirectional", time_major=False)
    for value, wanted in zip(found[:3], expected[:3], strict=True):
        assert_allclose(np.swapaxes(value, 0, 1), wanted, rtol=1e-12)


def test_gradients_are_those_of_the_equations():
    _, given = operands("gru", "unidirectional")
    output, state, *_ = run("CudnnRNN", *given, rnn_mode="gru")
    cotangents = np.ones(output.shape), np.full(state.shape, 0.5), np.zeros(())
    found = run("CudnnRNNBackprop", *given, output, state, np.zeros(()), *cotangents, np.zeros(0), rnn_mode="gru")

    def loss(change, which):
        moved = [x + change if i == which else x for i, x in enumerate(given)]
        y, h, _ = network("gru", 1, *moved, [TIME] * BATCH)
        return y.sum() + 0.5 * h.sum()

    for which in (0, 1, 3):
        # Along one direction: the difference of the losses.
        assert_allclose(np.sum(found[which]), (loss(1e-6, which) - loss(-1e-6, which)) / 2e-6, rtol=1e-5)


def test_canonical_weights_and_the_vector_are_one_thing():
    _, given = operands("lstm", "bidirectional")
    sizes = [np.int32(n) for n in (LAYERS, UNITS, INPUT)]
    weights, biases = run("CudnnRNNParamsToCanonical", *sizes, given[3], direction="bidirectional")
    assert [w.shape for w in weights[:8]] == [(UNITS, INPUT)] * 4 + [(UNITS, UNITS)] * 4
    assert [b.shape for b in biases] == [(UNITS,)] * 32
    back = jax.jit(lambda w, b: run("CudnnRNNCanonicalToParams", *sizes, w, b, direction="bidirectional"))(
        weights, biases
    )
    assert_allclose(back, given[3])


def test_dropout_while_training_is_refused():
    _, given = operands("lstm", "unidirectional")
    with pytest.raises(UnsupportedError, match="dropout"):
        run("CudnnRNN", *given, dropout=0.5)
    assert run("CudnnRNN", *given, dropout=0.5, is_training=False)[0].shape == (TIME, BATCH, UNITS)
