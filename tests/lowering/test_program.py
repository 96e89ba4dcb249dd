"""Programs: stages, values that shapes depend on, constants, errors that name the operation."""

import jax
import numpy as np
import pytest

import mgjax.compat.v1 as tf
from mgjax.errors import FeedError, InvalidArgumentError, UnsupportedError


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def op(kind, inputs, name, **attributes):
    return tf.get_default_graph().create_op(kind, inputs, attributes, name).outputs[0]


def test_a_result_of_unknown_size_splits_the_run(graph):
    x = tf.placeholder(tf.float32, [None], name="x")
    places = op("Where", [x * 2.0], "places")
    op("GatherV2", [x, places, tf.constant(0)], "kept") * 3.0
    for fed in ([0.0, 1.0, 0.0, 3.0], [5.0]):
        _, (found, tripled) = graph.function({}, {"x": fed}, ["places:0", "mul_1:0"])
        assert found.ravel().tolist() == np.flatnonzero(fed).tolist()
        assert tripled.ravel().tolist() == [3 * value for value in fed if value]


def test_a_feed_that_shapes_depend_on_is_known_outside_of_a_trace(graph):
    n = tf.placeholder(tf.int32, [], name="n")
    op("Fill", [op("Pack", [[n, tf.constant(2)]], "shape", axis=0), tf.constant(7.0)], "filled")
    shapes = [graph.function({}, {"n": size}, "filled:0")[1].shape for size in (3, 1, 3)]
    assert shapes == [(3, 2), (1, 2), (3, 2)]


def test_a_feed_that_shapes_depend_on_must_be_concrete_inside_of_jit(graph):
    n = tf.placeholder(tf.int32, [], name="n")
    op("Fill", [op("Pack", [[n]], "shape", axis=0), tf.constant(7.0)], "filled")
    with pytest.raises(FeedError, match="'n:0'"):
        jax.jit(graph.function.bind(["n"], "filled:0"))({}, 3)
    bound = jax.jit(graph.function.bind([], "filled:0", constants={"n": 2}))
    assert bound({})[1].tolist() == [7.0, 7.0]


def test_a_host_step_inside_of_jit_is_refused_by_name(graph):
    x = tf.placeholder(tf.float32, [None], name="x")
    op("Where", [x], "places")
    with pytest.raises(UnsupportedError, match=r"Where 'places' runs on the host.*'places:0'"):
        jax.jit(graph.function.bind(["x"], "places:0"))({}, np.ones(3, np.float32))


def test_ops_on_strings_run_on_the_host(graph):
    words = tf.placeholder(tf.string, [None], name="words")
    places = tf.placeholder(tf.int32, [None], name="places")
    chosen = op("GatherV2", [words, places, tf.constant(0)], "chosen")
    op("Equal", [chosen, words], "same")
    _, (chosen, same) = graph.function({}, {"words": ["a", "b", "c"], "places": [2, 1, 0]}, ["chosen:0", "same:0"])
    assert chosen.tolist() == [b"c", b"b", b"a"]
    assert same.tolist() == [False, True, False]


def test_a_large_constant_is_an_argument_of_the_compiled_program(graph):
    values = np.arange(10_000, dtype=np.float32)
    x = tf.placeholder(tf.float32, [], name="x")
    x * tf.constant(values, name="table")
    _, product = graph.function({}, {"x": 2.0}, "mul:0")
    np.testing.assert_array_equal(product, 2 * values)
    (program,) = graph.function._programs.values()
    (stage,) = program.stages.plan()
    assert any(value.name == "table:0" for value in stage.takes)


def test_an_error_while_tracing_names_the_node_and_its_operands(graph):
    x = tf.placeholder(tf.float32, None, name="x")
    y = tf.placeholder(tf.float32, None, name="y")
    tf.multiply(x, y, name="scope/product")
    with pytest.raises(InvalidArgumentError, match=r"Mul 'scope/product' \(float32.*float32") as caught:
        graph.function({}, {"x": np.ones(2), "y": np.ones(3)}, "scope/product:0")
    assert (caught.value.node, caught.value.op) == ("scope/product", "Mul")


def test_all_that_cannot_be_run_is_listed_at_once_and_can_be_fed(graph):
    message = graph.meta_graph.graph_def
    for name, kind in (("a", "NoSuchOp"), ("b", "NoSuchEither")):
        node = message.node.add(name=name, op=kind)
        graph.index.extend([node])
    node = message.node.add(name="sum", op="AddV2", input=["a", "b"])
    node.attr["T"].type = tf.float32.number
    graph.index.extend([node])
    with pytest.raises(UnsupportedError) as caught:
        graph.function({}, {}, "sum:0")
    assert "2 operations" in str(caught.value)
    assert "NoSuchOp 'a'" in str(caught.value) and "NoSuchEither 'b'" in str(caught.value)
    _, total = graph.function({}, {"a:0": np.float32(1), "b:0": np.float32(2)}, "sum:0")
    assert total == 3.0


@pytest.mark.parametrize("scale", [1e-3, 1.0])  # with squares that are subnormal in float16, and without
def test_float16_is_rounded_after_every_operation(graph, scale):
    x = tf.placeholder(tf.float16, [None], name="x")
    x * x + x
    random = (scale * np.random.default_rng(0).normal(size=1000)).astype(np.float16)
    _, total = graph.function({}, {"x": random}, "add:0")
    np.testing.assert_array_equal(total, random * random + random)


@pytest.mark.parametrize("wide", [False, True])
def test_64_bit_values_are_exact_whatever_the_callers_mode(graph, wide):
    step = tf.placeholder(tf.int64, [], name="step")
    step + tf.constant(1, tf.int64)
    with jax.enable_x64(wide):
        _, plain = graph.function({}, {"step": 2**40}, "add:0")
        with jax.enable_x64(True):
            fed = jax.numpy.asarray(2**40)
        _, jitted = jax.jit(graph.function.bind(["step"], "add:0"))({}, fed)
    assert plain.dtype == jitted.dtype == np.int64
    assert int(plain) == int(jitted) == 2**40 + 1
