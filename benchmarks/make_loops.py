"""`python -m benchmarks.make_loops FILE`: writes the .meta of loops as TF1 users built them.

- `dynamic_rnn` over an LSTM cell in training, with gradients and gradient descent;
- a loop that runs until a value is reached;
- a recurrence of so many rounds as a feed says, with its gradient.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow.compat.v1 as tf

STEPS, BATCH, INPUTS, UNITS = 50, 32, 64, 128


class LSTMCell:
    """The cell of `tf.nn.rnn_cell.BasicLSTMCell`, operation for operation."""

    output_size = UNITS
    state_size = (UNITS, UNITS)

    def zero_state(self, batch_size, dtype):
        return tuple(tf.zeros([batch_size, size], dtype) for size in self.state_size)

    def __call__(self, inputs, state, scope=None):
        c, h = state
        kernel = tf.get_variable("kernel", [INPUTS + UNITS, 4 * UNITS])
        bias = tf.get_variable("bias", [4 * UNITS], initializer=tf.zeros_initializer())
        gates = tf.nn.bias_add(tf.matmul(tf.concat([inputs, h], 1), kernel), bias)
        i, j, f, o = tf.split(gates, 4, 1)
        c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
        h = tf.tanh(c) * tf.sigmoid(o)
        return h, (c, h)


def build_recurrent_network() -> None:
    x = tf.placeholder(tf.float32, [BATCH, STEPS, INPUTS], "x")
    y = tf.placeholder(tf.float32, [BATCH, UNITS], "y")
    with tf.variable_scope("lstm"):
        outputs, _ = tf.nn.dynamic_rnn(LSTMCell(), x, dtype=tf.float32)
    loss = tf.reduce_mean(tf.squared_difference(outputs[:, -1], y), name="loss")
    variables = tf.trainable_variables()
    with tf.control_dependencies(
        [
            tf.assign_sub(variable, 0.1 * gradient)
            for variable, gradient in zip(variables, tf.gradients(loss, variables), strict=True)
        ]
    ):
        tf.no_op("train_op")


def build_search() -> None:
    """Newton's method, slowed down, on a vector; about as many rounds as the feed `start` says."""
    start = tf.placeholder(tf.float32, [256], "start")

    def body(value, rounds):
        return value - 0.01 * tf.tanh(value) - 0.001, rounds + 1

    value, rounds = tf.while_loop(lambda value, rounds: tf.reduce_max(value) > 0.0, body, [start, 0], name="search")
    tf.identity(value, "found")
    tf.identity(rounds, "rounds")


def build_recurrence() -> None:
    state = tf.placeholder(tf.float32, [64, 64], "state")
    count = tf.placeholder(tf.int32, [], "count")
    weights = tf.placeholder(tf.float32, [64, 64], "weights")
    _, final = tf.while_loop(
        lambda i, _: i < count, lambda i, x: (i + 1, tf.tanh(tf.matmul(x, weights))), [0, state], name="recurrence"
    )
    tf.identity(tf.gradients(final, weights)[0], "gradient")


def main(path: str) -> None:
    tf.disable_v2_behavior()
    build_recurrent_network()
    build_search()
    build_recurrence()
    tf.train.export_meta_graph(path)


if __name__ == "__main__":
    main(sys.argv[1])
