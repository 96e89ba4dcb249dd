"""What a jitted call costs beside the same computation written by hand in JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mgjax
import mgjax.compat.v1 as tf
from benchmarks.table import Row, alternate, seconds_a_call
from mgjax import sample

LIMIT = 1.3


def measure() -> Iterator[Row]:
    yield _compare("docs example: v4 = v1 * v2 + vx", *_docs_example())
    yield _compare("the sample: probabilities of one picture", *_probs(1))
    yield _compare("the sample: probabilities of 256 pictures", *_probs(256), repeats=50)
    yield _compare("the sample: a training step (Adam, batch of 32)", *_training_step(), repeats=50)


def _compare(
    what: str, ours: Callable, our_args: tuple, theirs: Callable, their_args: tuple, repeats: int = 1000
) -> Row:
    for a, b in zip(jax.tree.leaves(ours(*our_args)[1]), jax.tree.leaves(theirs(*their_args)[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    found = alternate(
        {
            "ours": seconds_a_call(ours, *our_args, repeats=repeats),
            "theirs": seconds_a_call(theirs, *their_args, repeats=repeats),
        },
        rounds=9,
    )
    return Row(what, 1e6 * found["ours"], "the same, written by hand and jitted", 1e6 * found["theirs"], "us", LIMIT)


def _docs_example() -> tuple[Any, ...]:
    with tf.Graph().as_default():
        v1 = tf.placeholder(tf.float32, name="v1")
        v2 = tf.placeholder(tf.float32, name="v2")
        tf.add(tf.math.multiply(v1, v2), tf.Variable(10.0, name="vx"), name="v4")
        fn, _ = mgjax.import_meta_graph(tf.train.export_meta_graph())
    call = jax.jit(fn.bind(["v1:0", "v2:0"], "v4:0"))
    by_hand = jax.jit(lambda variables, v1, v2: (variables, v1 * v2 + variables["vx"]))
    feeds = jnp.float32(12.0), jnp.float32(3.3)
    variables = {"vx": jnp.float32(20.0)}
    state, _ = call(variables, *feeds)
    return call, (state, *feeds), by_hand, (variables, *feeds)


def _restored() -> tuple[Any, Any, dict[str, jax.Array]]:
    fn, saver = mgjax.import_meta_graph(sample.META)
    variables = saver.restore(sample.PREFIX)
    # By hand the step counter would be an int32, as everywhere in JAX.
    return fn, variables, {**variables, "global_step": jnp.int32(variables["global_step"])}


def _logits(variables: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    hidden = x[..., None] / 16
    for layer in ("conv1", "conv2"):
        hidden = jax.lax.conv_general_dilated(
            hidden, variables[f"{layer}/kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        hidden = jax.nn.relu(hidden + variables[f"{layer}/bias"])
        hidden = jax.lax.reduce_window(hidden, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")
    return hidden.reshape(-1, 64) @ variables["dense/kernel"] + variables["dense/bias"]


def _probs(count: int) -> tuple[Any, ...]:
    fn, variables, plain = _restored()
    images = jnp.asarray(sample.load_digits()[0][:count])
    by_hand = jax.jit(lambda variables, x: (variables, jax.nn.softmax(_logits(variables, x))))
    call = jax.jit(fn.bind(["x:0"], "probs:0"))
    return call, (variables, images), by_hand, (plain, images)


def _training_step() -> tuple[Any, ...]:
    fn, variables, plain = _restored()
    images, labels = sample.batches(1)[0]
    images, labels = jnp.asarray(images), jnp.asarray(labels.astype(np.int32))
    names = [f"{layer}/{part}" for layer in ("conv1", "conv2", "dense") for part in ("kernel", "bias")]

    @jax.jit
    def by_hand(variables, x, y):
        def loss_of(weights):
            log_probs = jax.nn.log_softmax(_logits(weights, x))
            return -jnp.mean(jnp.take_along_axis(log_probs, y[:, None], 1))

        loss, gradients = jax.value_and_grad(loss_of)({name: variables[name] for name in names})
        new = dict(variables, global_step=variables["global_step"] + 1)
        new["beta1_power"], new["beta2_power"] = variables["beta1_power"] * 0.9, variables["beta2_power"] * 0.999
        rate = 0.003 * jnp.sqrt(1 - variables["beta2_power"]) / (1 - variables["beta1_power"])
        for name, gradient in gradients.items():
            m = 0.9 * variables[f"{name}/Adam"] + 0.1 * gradient
            v = 0.999 * variables[f"{name}/Adam_1"] + 0.001 * gradient**2
            new[f"{name}/Adam"], new[f"{name}/Adam_1"] = m, v
            new[name] = variables[name] - rate * m / (jnp.sqrt(v) + 1e-8)
        return new, loss

    def loss_alone(step):
        """Of the pair (loss, train_op) the loss, as the function written by hand returns it."""

        def call(*arguments):
            variables, (loss, _) = step(*arguments)
            return variables, loss

        return call

    call = jax.jit(loss_alone(fn.bind(["x:0", "y:0"], ["loss:0", "train_op"])))
    return call, (variables, images, labels), by_hand, (plain, images, labels)
