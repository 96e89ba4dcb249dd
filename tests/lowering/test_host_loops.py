"""Loops that no compiled program holds: host steps in their bodies, strings, shapes that change."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mgjax
from mgjax.errors import UnsupportedError
from tests.lowering.test_control_flow import generation  # noqa: F401  (a fixture)
from tests.ops.live import tf


def parsed(texts):
    """A host step in every round, and what is computed of it."""
    return tf.map_fn(lambda text: tf.tanh(tf.strings.to_number(text)) * 2.0, texts, dtype=tf.float32)


def joined(texts):
    """A string that is carried."""
    body = lambda i, text: (i + 1, tf.strings.join([text, texts[i]], "-"))  # noqa: E731
    return tf.while_loop(lambda i, _: i < tf.size(texts), body, [0, tf.constant("")])[1]


def reversed_strings(texts):
    """An array of strings, written in rounds."""
    made = tf.TensorArray(tf.string, tf.size(texts), element_shape=[])
    body = lambda i, a: (i + 1, a.write(tf.size(texts) - 1 - i, texts[i]))  # noqa: E731
    return tf.while_loop(lambda i, a: i < tf.size(texts), body, [0, made])[1].stack()


def of_different_lengths(texts):
    """Rows as long as values say, joined."""
    made = tf.TensorArray(tf.float32, tf.size(texts), infer_shape=False, element_shape=[None])
    row = lambda i: tf.tile(tf.strings.to_number(texts[i])[None], [i + 1])  # noqa: E731
    body = lambda i, a: (i + 1, a.write(i, row(i)))  # noqa: E731
    return tf.while_loop(lambda i, a: i < tf.size(texts), body, [0, made])[1].concat()


def kept_where(texts):
    """How many elements a round takes, values decide."""
    numbers = tf.strings.to_number(texts)

    def body(i, total):
        large = tf.boolean_mask(numbers, numbers > tf.cast(i, tf.float32))
        return i + 1, total + tf.reduce_sum(tf.tanh(large) * tf.cast(tf.size(large), tf.float32))

    return tf.while_loop(lambda i, _: i < 3, body, [0, 0.0])[1]


PROGRAMS = [parsed, joined, reversed_strings, of_different_lengths, kept_where]


def test_loops_with_host_steps_and_strings_are_tensorflows(generation):  # noqa: F811
    with tf.Graph().as_default() as graph:
        texts = tf.placeholder(tf.string, [None], "texts")
        for program in PROGRAMS:
            tf.identity(program(texts), program.__name__)
    fn = mgjax.import_graph_def(graph.as_graph_def())
    with tf.Session(graph=graph) as session:
        for feed in ([b"1.5", b"-2", b"4"], [b"2.5"]):
            feeds = {"texts:0": np.array(feed, object)}
            for program in PROGRAMS:
                wanted = session.run(f"{program.__name__}:0", feeds)
                _, found = fn({}, feeds, f"{program.__name__}:0")
                if isinstance(wanted, bytes) or wanted.dtype.kind == "O":
                    assert np.asarray(found).tolist() == np.asarray(wanted, object).tolist()
                else:
                    assert_allclose(found, wanted, rtol=1e-5, err_msg=program.__name__)


def test_rows_that_grow_a_shape_are_gathered_by_their_places(generation):  # noqa: F811
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None], "x")
        made = tf.TensorArray(tf.float32, 3, infer_shape=False, element_shape=[None])

        def body(i, y, a):
            y = tf.concat([y, y[-1:] * 2.0], 0)
            return i + 1, y, a.write(i, y)

        shapes = (tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape(None))
        rows = tf.while_loop(lambda i, *_: i < 3, body, (0, x, made), shapes)[2]
        y = tf.identity(rows.concat(), "y")
        tf.identity(tf.gradients(y, x)[0], "dx")
    fn = mgjax.import_graph_def(graph.as_graph_def())
    feed = np.float32([1.0, 3.0])
    with tf.Session(graph=graph) as session:
        wanted = session.run(["y:0", "dx:0"], {"x:0": feed})
    for a, b in zip(fn({}, {"x:0": feed}, ["y:0", "dx:0"])[1], wanted, strict=True):
        assert_allclose(a, b)


def test_inside_jit_a_host_step_in_a_loop_is_refused(generation):  # noqa: F811
    with tf.Graph().as_default() as graph:
        texts = tf.constant(["1", "2"])
        x = tf.placeholder(tf.float32, [], "x")
        tf.identity(parsed(texts) * x, "y")
        body = lambda i, y: (i + 1, y + tf.strings.to_number(tf.strings.as_string(y)))  # noqa: E731
        tf.identity(tf.while_loop(lambda i, _: i < 2, body, [0, x])[1], "z")
    fn = mgjax.import_graph_def(graph.as_graph_def())
    with pytest.raises(UnsupportedError, match="host"):
        jax.jit(fn.bind(["x:0"], "z:0"))({}, np.float32(1.0))
    assert fn({}, {"x:0": np.float32(1.0)}, "z:0")[1] == 4.0
