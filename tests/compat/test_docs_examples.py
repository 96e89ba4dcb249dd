"""The examples on TensorFlow's page of `import_meta_graph`, as printed there but for the import line and the counts of steps.

What the page elides ("...") is filled in here, and marked. The page's first half leaves its file beside the script, its second
half reads it from `my-save-dir`: the first runs in that folder here.
"""

from __future__ import annotations

import numpy as np
import pytest

import mgjax.compat.v1 as tf


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    (tmp_path / "my-save-dir").mkdir()
    monkeypatch.chdir(tmp_path)
    with tf.Graph().as_default():
        yield tmp_path


def train_and_save():
    # The page's "...": a weight that each step makes a thousandth smaller.
    w = tf.Variable(1.0, name="w")
    train_op = w.assign_sub(0.001 * w)
    # Create a saver.
    saver = tf.compat.v1.train.Saver([w])
    # Remember the training_op we want to run by adding it to a collection.
    tf.compat.v1.add_to_collection("train_op", train_op)
    sess = tf.compat.v1.Session()
    sess.run(tf.compat.v1.global_variables_initializer())  # not on the page, which builds no variables
    for step in range(10001):
        sess.run(train_op)
        if step % 1000 == 0:
            # Saves checkpoint, which by default also exports a meta_graph
            # named 'my-model-global_step.meta'.
            saver.save(sess, "my-model", global_step=step)


def continue_training():
    with tf.Session() as sess:
        new_saver = tf.train.import_meta_graph("my-save-dir/my-model-10000.meta")
        new_saver.restore(sess, "my-save-dir/my-model-10000")
        # tf.get_collection() returns a list. In this example we only want
        # the first one.
        train_op = tf.get_collection("train_op")[0]
        for _step in range(100):
            sess.run(train_op)
        return sess.run("w:0")


def save_contents_and_operations():
    # Saving contents and operations.
    v1 = tf.placeholder(tf.float32, name="v1")
    v2 = tf.placeholder(tf.float32, name="v2")
    v3 = tf.math.multiply(v1, v2)
    vx = tf.Variable(10.0, name="vx")
    v4 = tf.add(v3, vx, name="v4")
    saver = tf.train.Saver([vx])
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())
    sess.run(vx.assign(tf.add(vx, vx)))
    result = sess.run(v4, feed_dict={v1: 12.0, v2: 3.3})
    print(result)
    saver.save(sess, "./model_ex1")


def restore_and_run():
    # Restoring variables and running operations.
    saver = tf.train.import_meta_graph("./model_ex1.meta")
    sess = tf.Session()
    saver.restore(sess, "./model_ex1")
    result = sess.run("v4:0", feed_dict={"v1:0": 12.0, "v2:0": 3.3})
    print(result)


def test_training_continues_where_it_stopped(in_folder, monkeypatch):
    monkeypatch.chdir(in_folder / "my-save-dir")
    train_and_save()
    files = {path.name for path in (in_folder / "my-save-dir").iterdir()}
    kept = [f"my-model-{step}" for step in (6000, 7000, 8000, 9000, 10000)]  # max_to_keep is 5
    endings = (".meta", ".index", ".data-00000-of-00001")
    assert files == {"checkpoint", *(name + ending for name in kept for ending in endings)}
    monkeypatch.chdir(in_folder)
    with tf.Graph().as_default():
        np.testing.assert_allclose(continue_training(), 0.999**10101, rtol=1e-3)


def test_saved_contents_and_operations_come_back(in_folder, capsys):
    save_contents_and_operations()
    with tf.Graph().as_default():
        restore_and_run()
    assert capsys.readouterr().out == "59.6\n59.6\n"


def test_saved_contents_and_operations_come_back_into_the_graph_they_came_from(in_folder, capsys):
    save_contents_and_operations()
    restore_and_run()
    assert capsys.readouterr().out == "59.6\n59.6\n"
    assert "v4_1" in [operation.name for operation in tf.get_default_graph().get_operations()]
