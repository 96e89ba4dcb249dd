"""`python -m benchmarks.make_transformer BLOCKS FILE`: writes the .meta of a transformer in training, as TF1 users built them.

Reference variables, layer normalization from `moments`, dropout, gradients, clipping by global norm, Adam, a saver, summaries.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow.compat.v1 as tf

WIDTH, HEADS, WORDS = 64, 4, 1000


def dense(x, units, activation=None):
    kernel = tf.get_variable("kernel", [x.shape[-1], units], initializer=tf.truncated_normal_initializer(stddev=0.02))
    bias = tf.get_variable("bias", [units], initializer=tf.zeros_initializer())
    y = tf.nn.bias_add(tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel), bias)
    y = tf.reshape(y, [tf.shape(x)[0], tf.shape(x)[1], units])
    return y if activation is None else activation(y)


def normalize(x):
    gain = tf.get_variable("gamma", [WIDTH], initializer=tf.ones_initializer())
    offset = tf.get_variable("beta", [WIDTH], initializer=tf.zeros_initializer())
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, offset, gain, 1e-6)


def gelu(x):
    return 0.5 * x * (1.0 + tf.tanh(0.79788456 * (x + 0.044715 * tf.pow(x, 3))))


def attention(x, rate):
    def heads(name):
        with tf.variable_scope(name):
            y = tf.reshape(dense(x, WIDTH), [tf.shape(x)[0], tf.shape(x)[1], HEADS, WIDTH // HEADS])
            return tf.transpose(y, [0, 2, 1, 3])

    query, key, value = heads("query"), heads("key"), heads("value")
    weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) * (WIDTH / HEADS) ** -0.5)
    y = tf.transpose(tf.matmul(tf.nn.dropout(weights, rate=rate), value), [0, 2, 1, 3])
    with tf.variable_scope("output"):
        return dense(tf.reshape(y, [tf.shape(x)[0], tf.shape(x)[1], WIDTH]), WIDTH)


def build(blocks: int) -> None:
    tf.disable_v2_behavior()
    tokens = tf.placeholder(tf.int32, [None, None], name="tokens")
    targets = tf.placeholder(tf.int32, [None, None], name="targets")
    rate = tf.placeholder_with_default(0.1, [], name="dropout_rate")
    table = tf.get_variable("embedding", [WORDS, WIDTH], initializer=tf.truncated_normal_initializer(stddev=0.02))
    x = tf.nn.embedding_lookup(table, tokens)
    for number in range(blocks):
        with tf.variable_scope(f"block_{number}"):
            with tf.variable_scope("attention"):
                y = tf.nn.dropout(attention(x, rate), rate=rate)
            with tf.variable_scope("norm_1"):
                x = normalize(x + y)
            with tf.variable_scope("grow"):
                y = dense(x, 4 * WIDTH, gelu)
            with tf.variable_scope("shrink"):
                y = tf.nn.dropout(dense(y, WIDTH), rate=rate)
            with tf.variable_scope("norm_2"):
                x = normalize(x + y)
    logits = tf.reshape(tf.matmul(tf.reshape(x, [-1, WIDTH]), table, transpose_b=True), [-1, WORDS], name="logits")
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(targets, [-1]), logits=logits)
    loss = tf.reduce_mean(losses, name="loss")
    tf.summary.scalar("loss", loss)
    weights = tf.trainable_variables()
    gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, weights), 1.0)
    step = tf.train.get_or_create_global_step()
    train_op = tf.train.AdamOptimizer(1e-3).apply_gradients(
        zip(gradients, weights, strict=True), global_step=step, name="train_op"
    )
    tf.add_to_collection("train_op", train_op)


def main(blocks: int, path: str) -> None:
    build(blocks)
    saver = tf.train.Saver()
    tf.train.export_meta_graph(path, saver_def=saver.saver_def)
    print(f"{path}: {len(tf.get_default_graph().get_operations()):,} nodes")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
