"""Graphs for tests of export, built by whatever TensorFlow is given: 1.15 as it records, 2.x as it runs."""

import numpy as np


def build(tf, any_message=None):
    """Variables of all kinds, two savers, control flow with gradients, queues, a library, collections of every kind."""
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    with tf.device("/job:worker/task:0/device:CPU:0"):
        w = tf.get_variable("w", [3, 2], initializer=tf.ones_initializer(), use_resource=False)
    with tf.variable_scope("part"):
        b = tf.get_variable("b", [2], initializer=tf.zeros_initializer(), use_resource=True)
        rows = tf.get_variable("rows", [4, 2], partitioner=tf.fixed_size_partitioner(2), use_resource=False)
        table = tf.convert_to_tensor(rows, name="whole")
        logits = tf.add(tf.matmul(x, w), b, name="logits")
        with tf.control_dependencies([logits]):
            inner = tf.get_variable("inner", initializer=np.float32([1, 2]), use_resource=False, trainable=False)
            scaled = tf.multiply(logits, inner, name="scaled")
        image = tf.reshape(scaled, [-1, 1, 1, 2])
        pooled = tf.nn.max_pool(image, [1, 1, 1, 1], [1, 1, 1, 1], "VALID", name="pooled")
    _, total = tf.while_loop(
        lambda i, t: i < 3,
        lambda i, t: (i + 1, t + tf.cond(i > 1, lambda: tf.reduce_sum(pooled), lambda: tf.reduce_sum(table))),
        (tf.constant(0), tf.constant(0.0)),
        name="loop",
    )
    step = tf.train.get_or_create_global_step()
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(total, step, name="train_op")
    queue = tf.FIFOQueue(10, [tf.float32], [[]], name="queue")
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [queue.enqueue(total)] * 2))
    tf.add_to_collection("tensors", logits), tf.add_to_collection("tensors", train)
    tf.add_to_collection("numbers", 7), tf.add_to_collection("numbers", -1)
    tf.add_to_collection("rates", 0.25)
    tf.add_to_collection("texts", b"plain"), tf.add_to_collection("texts", b"more")
    if any_message is not None:
        tf.add_to_collection("any", any_message)
    first = tf.train.Saver(name="first")
    second = tf.train.Saver([w], name="second", max_to_keep=2)
    tf.add_to_collection(tf.GraphKeys.SAVERS, first), tf.add_to_collection(tf.GraphKeys.SAVERS, second)
    return second


def cond_and_while_v1(tf):
    """Makes TensorFlow build `Switch` and `Enter` rather than `If` and `While`."""
    getattr(tf, "disable_control_flow_v2", lambda: None)()


#: What an export may be asked for.
OPTIONS = {
    "all": {},
    "scope": {"export_scope": "part"},
    "no devices": {"clear_devices": True},
    "one saver": {"clear_extraneous_savers": True},
    "stripped": {"strip_default_attrs": True},
    "some": {"collection_list": ["tensors", "numbers", "nosuch"]},
    "text": {"as_text": True},
}
