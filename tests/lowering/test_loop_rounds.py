"""Loops that make lists longer and have no bound: room is guessed, found too small, and made larger; in jit it must be given."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mgjax
from mgjax.errors import OpError, UnknownNameError, UnsupportedError
from mgjax.lowering.loops import _FIRST_ROOM
from tests.lowering.test_control_flow import generation  # noqa: F401  (a fixture)
from tests.ops.live import tf


def until(x, limit):
    """Rounds by what the values come to: with x = 0.1, ten for each unit of the limit."""
    return tf.while_loop(lambda y: y < limit, lambda y: y + tf.sin(x) * 1.0, [x * 0.0], name="until")


def doubled(count):
    """An array that a loop without a bound makes longer, two places a round."""
    made = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[], infer_shape=True)
    body = lambda i, a: (i + 2, a.write(i, i * i))  # noqa: E731
    return tf.while_loop(lambda i, a: i * i < count, body, [0, made], name="doubled")[1].stack()


@pytest.fixture
def graph(generation):  # noqa: F811
    with tf.Graph().as_default() as graph:
        x, limit = tf.placeholder(tf.float32, [], "x"), tf.placeholder(tf.float32, [], "limit")
        y = tf.identity(until(x, limit), "y")
        tf.identity(tf.gradients(y, x)[0], "dx")
        tf.identity(doubled(tf.cast(limit, tf.int32)), "squares")
    return graph


def gradient(x, limit):
    """By hand: as many times the cosine as there were rounds."""
    return np.ceil(limit / np.sin(x) - 1e-4) * np.cos(x)


def test_a_loop_that_needs_more_room_than_was_guessed_is_run_again(graph):
    fn = mgjax.import_graph_def(graph.as_graph_def())
    for limit in (0.55, 40.05, 0.25):
        assert limit / 0.1 < _FIRST_ROOM or limit == 40.05
        _, dx = fn({}, {"x:0": np.float32(0.1), "limit:0": np.float32(limit)}, "dx:0")
        assert_allclose(dx, gradient(0.1, limit), rtol=1e-5)


def test_the_room_that_was_found_is_kept(graph, monkeypatch):
    fn = mgjax.import_graph_def(graph.as_graph_def())
    traces = []
    whole = mgjax.lowering.program.Evaluator.run
    monkeypatch.setattr(mgjax.lowering.program.Evaluator, "run", lambda *args: traces.append(1) or whole(*args))
    feeds = {"x:0": np.float32(0.1), "limit:0": np.float32(20.05)}
    first = fn({}, feeds, "dx:0")[1]
    traced = len(traces)
    assert fn({}, feeds, "dx:0")[1] == first
    assert len(traces) == traced


def test_places_that_a_write_leaves_out_count(graph):
    fn = mgjax.import_graph_def(graph.as_graph_def())
    for limit in (50, 10_000):
        _, squares = fn({}, {"x:0": np.float32(0.1), "limit:0": np.float32(limit)}, "squares:0")
        wanted = np.arange(int(np.ceil(np.sqrt(limit))))
        wanted = np.where(wanted % 2 == 0, wanted * wanted, 0)
        wanted = wanted[: len(wanted) - (len(wanted) + 1) % 2]
        assert squares.tolist() == wanted.tolist()


def test_in_jit_the_error_names_the_loop_and_a_bound_makes_it_run(graph):
    fn = mgjax.import_graph_def(graph.as_graph_def())
    feeds = np.float32(0.1), np.float32(0.55)
    with pytest.raises(UnsupportedError, match=r"loop_bounds={'until'"):
        jax.jit(fn.bind(["x:0", "limit:0"], "dx:0"))({}, *feeds)
    bounded = jax.jit(fn.bind(["x:0", "limit:0"], "dx:0", loop_bounds={"until": 8}))
    assert_allclose(bounded({}, *feeds)[1], gradient(0.1, 0.55), rtol=1e-5)


def test_a_bound_that_is_too_small_spoils_the_results_or_is_a_failure(graph):
    fn = mgjax.import_graph_def(graph.as_graph_def())
    feeds = np.float32(0.1), np.float32(0.95)
    names = ["x:0", "limit:0"]
    assert np.isnan(jax.jit(fn.bind(names, "dx:0", loop_bounds={"until": 8}))({}, *feeds)[1])
    call = jax.jit(fn.bind(names, "dx:0", loop_bounds={"until": 8}, errors="return"))
    _, (_, failure) = call({}, *feeds)
    with pytest.raises(OpError, match="more rounds than loop_bounds"):
        failure.throw()
    _, (_, failure) = call({}, np.float32(0.1), np.float32(0.55))
    assert not failure
    # Outside of jit there can be more room.
    assert_allclose(fn.bind(names, "dx:0", loop_bounds={"until": 8})({}, *feeds)[1], gradient(0.1, 0.95), rtol=1e-5)


def test_a_bound_of_no_loop_is_refused(graph):
    fn = mgjax.import_graph_def(graph.as_graph_def())
    with pytest.raises(UnknownNameError, match="until"):
        fn.bind(["x:0", "limit:0"], "dx:0", loop_bounds={"other": 8})({}, np.float32(0.1), np.float32(0.5))


def test_a_round_that_reads_and_writes_a_list_changes_it_in_place(generation):  # noqa: F811
    """The gradient of a write, in V2, reads the list of gradients and writes zeros there."""
    count, side = 400, 32
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [side, side], "x")
        made = tf.TensorArray(tf.float32, count)
        body = lambda i, y, a: (i + 1, tf.tanh(tf.matmul(y, x)), a.write(i, y))  # noqa: E731
        states = tf.while_loop(lambda i, *_: i < count, body, (0, x, made))[2].stack()
        tf.identity(tf.gradients(tf.reduce_sum(states, 0), x)[0], "dx")
    step = mgjax.import_graph_def(graph.as_graph_def()).bind(["x:0"], "dx:0")
    compiled = jax.jit(step).lower({}, jax.ShapeDtypeStruct((side, side), np.float32)).compile()
    # The states before each round and after it, and the list of gradients: no copy of it besides.
    assert compiled.memory_analysis().temp_size_in_bytes < 3.1 * count * side * side * 4


def test_an_index_beyond_an_array_that_only_values_tell_is_an_error_where_errors_are_asked_for(generation):  # noqa: F811
    with tf.Graph().as_default() as graph:
        i, n = tf.placeholder(tf.int32, [], "i"), tf.placeholder(tf.int32, [], "n")
        made = tf.TensorArray(tf.float32, 4, element_shape=[], clear_after_read=False)
        body = lambda j, a: (j + 1, a.write(j, tf.cast(j, tf.float32)))  # noqa: E731
        written = tf.while_loop(lambda j, a: j < n, body, (0, made), maximum_iterations=6)[1]
        tf.identity(written.read(i), "y")
    fn = mgjax.import_graph_def(graph.as_graph_def())
    step = fn.bind(["i:0", "n:0"], "y:0", errors="raise")
    assert step({}, 2, 4)[1] == 2
    for index, count in ((4, 4), (-1, 4), (2, 5)):
        with pytest.raises(OpError, match=r"Tried to|Trying to"):
            step({}, index, count)


def test_gradients_of_gradients_through_loops_are_tensorflows(generation):  # noqa: F811
    def powers(x):
        return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * tf.sin(x) + x), [0, x])[1]

    def nested(x):
        def outer(i, y):
            inner = tf.while_loop(lambda j, z: j <= i, lambda j, z: (j + 1, tf.tanh(z) * x), [0, y])
            return i + 1, inner[1] + y

        return tf.while_loop(lambda i, y: tf.reduce_sum(y) < 30.0 + tf.cast(i, tf.float32), outer, [0, x])[1]

    # Of loops of the old kind TensorFlow has no second gradients.
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [3], "x")
        for number, program in enumerate([powers, nested]):
            first = tf.gradients(program(x), x)[0]
            tf.identity(first, f"first_{number}")
            if generation == "v2":
                tf.identity(tf.gradients(first, x)[0], f"second_{number}")
        names = [op.name + ":0" for op in graph.get_operations() if op.name.startswith(("first_", "second_"))]
        fn = mgjax.import_graph_def(graph.as_graph_def())
        feed = np.float32([1.25, 1.5, 0.75])
        with tf.Session() as session:
            wanted = session.run(names, {"x:0": feed})
    _, found = fn({}, {"x:0": feed}, names)
    for name, a, b in zip(names, found, wanted, strict=True):
        assert_allclose(a, b, rtol=2e-4, atol=1e-4, err_msg=name)
