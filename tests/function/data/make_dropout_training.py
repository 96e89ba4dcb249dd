"""Writes dropout_training.meta and .npz: 1,000 steps of a training with dropout in TensorFlow 1.15 (Python 3.7).

Run as `python make_dropout_training.py` in this folder. All numbers come from the graph's own seeded random ops.
"""

import numpy as np
import tensorflow.compat.v1 as tf

STEPS = 1000

tf.set_random_seed(7)
x = tf.random_uniform([32, 12], -1.0, 1.0, seed=1, name="x")
target = tf.sin(3.0 * x[:, :2]) + 0.1 * tf.random_normal([32, 2], seed=2)
hidden = tf.layers.dense(x, 24, tf.nn.tanh, kernel_initializer=tf.glorot_uniform_initializer(seed=3))
hidden = tf.nn.dropout(hidden, rate=0.4, seed=4)
hidden = tf.layers.dense(hidden, 16, tf.nn.tanh, kernel_initializer=tf.truncated_normal_initializer(0, 0.2, seed=5))
hidden = tf.layers.dropout(hidden, 0.2, training=True)  # its seed follows from the graph's
output = tf.layers.dense(hidden, 2, kernel_initializer=tf.random_normal_initializer(0, 0.2, seed=6))
loss = tf.reduce_mean(tf.square(output - target), name="loss")
step = tf.train.get_or_create_global_step()
tf.train.AdamOptimizer(1e-3).minimize(loss, step, name="train")
saver = tf.train.Saver()
with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)) as session:
    session.run(tf.global_variables_initializer())
    losses = [session.run(["loss:0", "train"])[0] for _ in range(STEPS)]
    values = session.run({v.op.name: v for v in tf.global_variables()})
tf.train.export_meta_graph("dropout_training.meta", saver_def=saver.saver_def, clear_devices=True)
np.savez_compressed("dropout_training.npz", losses=np.array(losses), **values)
