"""Random ops inside library functions: one generator for each way in which calls lead to one, as in TensorFlow."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
from tests.ops.live import tf

function = pytest.importorskip("tensorflow.python.framework.function")


def drawing(name):
    @function.Defun(tf.float32, func_name=name)
    def draw(x):
        return x + tf.random_uniform([], seed=5)

    return draw


@pytest.fixture(scope="module")
def stream():
    """What a node with this seed draws, run after run."""
    with tf.Graph().as_default() as graph:
        draw = tf.random_uniform([], seed=5).name
        fn = mgjax.import_graph_def(graph.as_graph_def())
    state, values = fn.empty_state(), []
    for _ in range(6):
        state, value = fn(state, {}, draw)
        values.append(float(value))
    return values


def runs(build, count=2):
    """What some runs of `build`'s fetches give one after another, here and in a TensorFlow session."""
    with tf.Graph().as_default() as graph:
        fetches = [tensor.name for tensor in build()]
        config = tf.ConfigProto(inter_op_parallelism_threads=1, intra_op_parallelism_threads=1)
        with tf.Session(config=config) as session:
            wanted = [session.run(fetches) for _ in range(count)]
        fn = mgjax.import_graph_def(graph.as_graph_def())
    state, found = fn.empty_state(), []
    for _ in range(count):
        state, values = fn(state, {}, fetches)
        found.append(values)
    return fn, np.array(found), np.array(wanted)


def test_each_call_of_a_function_draws_from_a_generator_of_its_own(stream):
    def build():
        draw = drawing("Draw")
        return [draw(0.0), draw(0.0)]

    fn, found, wanted = runs(build)
    assert found.tolist() == [[stream[0]] * 2, [stream[1]] * 2]
    assert_array_equal(found, wanted)
    assert len(fn.random_operations) == 2


def test_calls_within_calls_have_their_own_generators(stream):
    def build():
        draw = drawing("DrawInner")

        @function.Defun(tf.float32, func_name="Twice")
        def twice(x):
            return draw(x) + 10.0 * draw(x)

        return [twice(0.0), twice(0.0)]

    fn, found, wanted = runs(build)
    assert_array_equal(found, wanted)
    assert len(fn.random_operations) == 4
    assert found[0, 0] == np.float32(stream[0]) + np.float32(10.0) * np.float32(stream[0])


@pytest.mark.parametrize("is_v2", [False, True])
def test_rounds_of_a_loop_advance_one_generator(is_v2, stream):
    def build():
        def body(i, t):
            drawn = tf.random_uniform([], seed=5)
            return i + 1, tf.tensor_scatter_nd_update(t, [[i]], [drawn])

        return [tf.while_loop(lambda i, t: i < 3, body, (0, tf.zeros([3])), parallel_iterations=1)[1]]

    was_v2 = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if is_v2 else tf.disable_control_flow_v2)()
    try:
        _, found, wanted = runs(build)
    finally:
        (tf.enable_control_flow_v2 if was_v2 else tf.disable_control_flow_v2)()
    assert found.ravel().tolist() == stream
    assert_array_equal(found, wanted)


@pytest.mark.parametrize("is_v2", [False, True])
def test_only_the_branch_that_runs_draws(is_v2, stream):
    def build():
        draw = lambda: tf.random_uniform([], seed=5)  # noqa: E731
        counter = tf.get_variable("counter", [], tf.int32, use_resource=True)
        return [tf.cond(tf.equal(counter, 0), draw, lambda: -draw())]

    was_v2 = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if is_v2 else tf.disable_control_flow_v2)()
    try:
        with tf.Graph().as_default() as graph:
            fetch = build()[0].name
            fn = mgjax.import_graph_def(graph.as_graph_def())
    finally:
        (tf.enable_control_flow_v2 if was_v2 else tf.disable_control_flow_v2)()
    state = fn.empty_state()
    found = []
    for side in (0, 1, 0, 1):
        state, value = fn(state.replace({"counter": np.int32(side)}), {}, fetch)
        found.append(float(value))
    assert found == [stream[0], -stream[0], stream[1], -stream[1]]


def test_a_function_without_seeds_follows_the_seed_of_the_state():
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.float32, func_name="Unseeded")
        def unseeded(x):
            return x + tf.random_uniform([])

        fetches = [unseeded(0.0).name, unseeded(0.0).name]
        fn = mgjax.import_graph_def(graph.as_graph_def())
    first, again, other = (fn(fn.empty_state(seed), {}, fetches)[1] for seed in (1, 1, 2))
    assert first[0] == again[0] and first[1] == again[1]
    assert first[0] != first[1] and first[0] != other[0]


def test_a_function_that_calls_itself_makes_no_endless_list():
    with tf.Graph().as_default() as graph:
        draw = drawing("Self")
        draw(0.0)
        graph_def = graph.as_graph_def()
    node = graph_def.library.function[0].node_def.add()
    node.CopyFrom(graph_def.node[-1])
    node.name, node.op = "again", "Self"
    node.input[:] = ["x"]
    assert len(mgjax.import_graph_def(graph_def).random_operations) == 1
