"""Rounds that run on the host with their device parts compiled, held to a live TensorFlow."""

import dataclasses

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mgjax
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.lowering.test_control_flow import generation, plain_session  # noqa: F401
from tests.lowering.test_printing import lines, say
from tests.ops.live import tf

X = np.float32([0.4, 0.7])


def through_text(i):
    """The number, by way of a host step."""
    return tf.strings.to_number(tf.strings.as_string(i))


def rounds(count, body, x, grows=False):
    """What `body` makes of `x` in as many rounds."""
    shapes = [tf.TensorShape([]), tf.TensorShape([None])] if grows else None
    step = lambda i, y: (i + 1, body(i, y))  # noqa: E731
    # Rounds that TensorFlow runs side by side draw in any order.
    return tf.while_loop(lambda i, _: i < count, step, [0, x], shapes, parallel_iterations=1)[1]


def host_step(x):
    return rounds(5, lambda i, y: tf.tanh(y) + through_text(i), x)


def nested(x):
    return rounds(3, lambda i, y: rounds(i, lambda j, z: tf.tanh(z) * through_text(i + j), y), x)


def branches(x):
    def body(i, y):
        return tf.cond(tf.equal(i % 2, 0), lambda: tf.tanh(y) * through_text(i + 1), lambda: tf.sin(y) + 0.5)

    return rounds(5, body, x)


def drawn(x):
    return rounds(4, lambda i, y: y + tf.random.uniform([2], seed=5) * through_text(i), x)


def grown(x):
    return rounds(4, lambda i, y: tf.concat([tf.tanh(y), y[-1:] * 2.0], 0), x, grows=True)


def grown_of_like_ones(x):
    def body(i, y):
        for _ in range(9):
            y = tf.tanh(y) * 1.5
        return tf.concat([y, through_text(i)[None]], 0)

    return rounds(4, body, x, grows=True)


def sized_by_the_counter(x):
    return rounds(3, lambda i, y: y + tf.reduce_sum(tf.ones([i + 1, 2]) * through_text(i), 0), x)


def gradient(x):
    """More rounds than the lists that keep values for the gradient have room for at first."""
    return tf.gradients(rounds(40, lambda i, y: tf.tanh(y) * (1.0 + 0.01 * through_text(i)), x), x)[0]


PROGRAMS = [host_step, nested, branches, drawn, grown, grown_of_like_ones, sized_by_the_counter, gradient]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_rounds_on_the_host_compute_what_tensorflow_does(program, generation):  # noqa: F811
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(3)
        tf.identity(program(tf.placeholder(tf.float32, [2], "x")), "y")
    fn = mgjax.import_graph_def(graph.as_graph_def())
    with tf.Session(graph=graph, config=plain_session()) as session:
        state = {}
        for _ in range(2):
            state, found = fn(state, {"x:0": X}, "y:0")
            assert_allclose(found, session.run("y:0", {"x:0": X}), rtol=1e-5)


def counted(program, op):
    """The imported graph of a program, and a list of which calls of an op's lowering were traces."""
    with tf.Graph().as_default() as graph:
        tf.identity(program(tf.placeholder(tf.float32, [2], "x")), "y")
    lowering, traces = REGISTRY[op], []

    def function(x, **attrs):
        traces.append(isinstance(x, jax.core.Tracer))
        return lowering.function(x, **attrs)

    lowerings = {op: dataclasses.replace(lowering, function=function)}
    return mgjax.import_graph_def(graph.as_graph_def(), lowerings=lowerings), traces


def test_a_round_with_a_host_step_is_compiled_once(generation):  # noqa: F811
    fn, traces = counted(lambda x: rounds(20, lambda i, y: tf.tanh(y) + through_text(i), x), "Tanh")
    for _ in range(2):
        fn({}, {"x:0": X}, "y:0")
    assert traces == [True]


def test_of_rounds_with_many_like_operations_on_growing_shapes_one_is_compiled(generation):  # noqa: F811
    fn, traces = counted(grown_of_like_ones, "Tanh")
    for _ in range(2):
        fn({}, {"x:0": X}, "y:0")
    assert traces.count(True) == 9
    assert traces.count(False) == 2 * 3 * 9


def test_rounds_with_many_like_operations_are_compiled_again_where_a_shape_stays(generation):  # noqa: F811
    def program(x):
        def body(i, y):
            for _ in range(9):
                y = tf.tanh(y) * 1.5
            return tf.cond(i < 1, lambda: tf.concat([y, y], 0), lambda: y + through_text(i))

        return rounds(6, body, x, grows=True)

    fn, traces = counted(program, "Tanh")
    fn({}, {"x:0": X}, "y:0")
    assert traces == 9 * [True] + 9 * [False] + 9 * [True]


@pytest.mark.parametrize("program", ["host step", "growing"])
def test_device_parts_print_once_and_in_order(program, generation, capfd):  # noqa: F811
    def body(i, y):
        y = say(y * 2.0, [i, y], "before")
        for _ in range(9):
            y = (y + 1.0) * 0.5
        if program == "growing":
            return tf.concat([say(y, [i, y], "after"), y[-1:]], 0)
        return say(y + through_text(i), [i, y], "after")

    with tf.Graph().as_default() as graph:
        tf.identity(rounds(4, body, tf.placeholder(tf.float32, [2], "x"), grows=True), "y")
    with tf.Session(graph=graph, config=plain_session()) as session:
        session.run("y:0", {"x:0": X})
    wanted = lines(capfd)
    fn = mgjax.import_graph_def(graph.as_graph_def())
    for errors in ("raise", "ignore"):
        fn({}, {"x:0": X}, "y:0", errors=errors)
        assert lines(capfd) == wanted


def test_what_fails_in_a_device_part_is_raised_in_its_round(generation):  # noqa: F811
    def body(i, y):
        with tf.control_dependencies([tf.debugging.assert_less(y, 2.0, message="too large")]):
            return tf.identity(y) + through_text(i)

    with tf.Graph().as_default() as graph:
        tf.identity(rounds(tf.placeholder(tf.int32, [], "n"), body, tf.placeholder(tf.float32, [2], "x")), "y")
    fn = mgjax.import_graph_def(graph.as_graph_def())
    with tf.Session(graph=graph) as session:
        wanted = session.run("y:0", {"x:0": X, "n:0": 3})
        assert_allclose(fn({}, {"x:0": X, "n:0": 3}, "y:0", errors="raise")[1], wanted)
        with pytest.raises(tf.errors.InvalidArgumentError, match="too large"):
            session.run("y:0", {"x:0": X, "n:0": 4})
    with pytest.raises(InvalidArgumentError, match="too large"):
        fn({}, {"x:0": X, "n:0": 4}, "y:0", errors="raise")


def test_variables_are_assigned_round_by_round():
    with tf.Graph().as_default() as graph:
        total = tf.get_variable("total", [2], initializer=tf.zeros_initializer(), use_resource=True)

        def body(i, y):
            return y + total.assign_add(tf.tanh(y) * through_text(i))

        tf.identity(rounds(4, body, tf.placeholder(tf.float32, [2], "x")), "y")
        after, start = total.read_value(), tf.global_variables_initializer()
        meta_graph = tf.train.export_meta_graph()
    fn, _ = mgjax.import_meta_graph(meta_graph)
    with tf.Session(graph=graph, config=plain_session()) as session:
        session.run(start)
        state = fn.init()
        for _ in range(2):
            state, found = fn(state, {"x:0": X}, "y:0")
            assert_allclose(found, session.run("y:0", {"x:0": X}), rtol=1e-6)
        assert_allclose(state["total"], session.run(after), rtol=1e-6)
