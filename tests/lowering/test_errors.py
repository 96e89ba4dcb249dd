"""What fails as only values tell: the run raises TensorFlow's class with the node's name, or lets it pass at no cost."""

import dataclasses

import jax
import numpy as np
import pytest

import mgjax
from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops import REGISTRY, claim
from tests.ops.live import tf


def imported(build):
    """The graph that `build` makes, as TensorFlow 1 writes it."""
    with tf.Graph().as_default() as graph:
        build()
        return mgjax.import_graph_def(graph.as_graph_def())


def quotients():
    """`y` is 12 // x, element by element, with a second division after it."""
    x = tf.placeholder(tf.int32, [None], "x")
    first = tf.floordiv(12, x, name="first")
    tf.floordiv(first, x - 1, name="second")


def branched():
    """`y` is 12 // x where x > 5 or `unsafe`, else x."""
    x = tf.placeholder(tf.int32, [], "x")
    unsafe = tf.placeholder(tf.bool, [], "unsafe")
    tf.identity(tf.cond((x > 5) | unsafe, lambda: tf.floordiv(12, x, name="inner"), lambda: x), name="y")


def looped(rounds):
    """`y` is the sum of 12 // (x - i) over rounds i."""

    def build():
        x = tf.placeholder(tf.int32, [], "x")
        last = rounds if rounds is not None else tf.placeholder(tf.int32, [], "last")
        _, y = tf.while_loop(
            lambda i, y: i < last,
            lambda i, y: (i + 1, y + tf.floordiv(12, x - i, name="inner")),
            [0, 0],
        )
        tf.identity(y, name="y")

    return build


def raised(fn, *arguments, **options):
    with pytest.raises(InvalidArgumentError) as caught:
        fn(*arguments, errors="raise", **options)
    return caught.value


def returned(fn, feeds, fetch, *values):
    _, (result, failure) = jax.jit(fn.bind(feeds, fetch, errors="return"))({}, *values)
    return result, failure


def test_an_error_has_tensorflows_class_and_text_and_names_the_node():
    fn = imported(quotients)
    error = raised(fn, {}, {"x": [2, 0]}, "first")
    assert (error.node, error.op) == ("first", "FloorDiv") and "Integer division by zero" in str(error)


def test_what_does_not_fail_gives_its_results():
    _, y = imported(quotients)({}, {"x": [2, 4]}, "second", errors="raise")
    assert y.tolist() == [6, 1]


def test_the_first_operation_that_fails_is_named():
    fn = imported(quotients)
    assert raised(fn, {}, {"x": [1, 0]}, "second").node == "first"
    assert raised(fn, {}, {"x": [1, 2]}, "second").node == "second"


def test_what_is_ignored_costs_nothing():
    with_checks = imported(branched)
    stripped = {op: dataclasses.replace(lowering, checks=()) for op, lowering in REGISTRY.items()}
    with tf.Graph().as_default() as graph:
        branched()
        without = mgjax.import_graph_def(graph.as_graph_def(), lowerings=stripped)
    texts = [str(jax.make_jaxpr(fn.bind(["x", "unsafe"], "y"))({}, 1, True)) for fn in (with_checks, without)]
    assert texts[0] == texts[1]
    checked = jax.make_jaxpr(with_checks.bind(["x", "unsafe"], "y", errors="return"))({}, 1, True)
    assert len(checked.out_avals) == 2


def test_errors_are_ignored_unless_asked_for():
    _, y = jax.jit(imported(quotients).bind(["x"], "first"))({}, np.int32([0, 3]))
    assert y[1] == 4


def test_a_branch_fails_only_where_it_runs():
    fn = imported(branched)
    step = fn.bind(["x", "unsafe"], "y", errors="raise")
    assert [int(step({}, x, False)[1]) for x in (0, 6)] == [0, 2]
    with pytest.raises(InvalidArgumentError, match="inner"):
        step({}, 0, True)
    result, failure = returned(fn, ["x", "unsafe"], "y", 0, False)
    assert result == 0 and not failure
    failure = returned(fn, ["x", "unsafe"], "y", 0, True)[1]
    with pytest.raises(InvalidArgumentError, match=r"inner.*Integer division by zero"):
        failure.throw()


def test_what_always_fails_fails_only_where_it_runs():
    def build():
        x = tf.placeholder(tf.int32, [2], "x")
        wrong = tf.placeholder_with_default([3], None, name="shape")
        tf.identity(tf.cond(x[0] > 0, lambda: tf.reshape(x, tf.identity(wrong)), lambda: x + 1), name="y")
        with tf.control_dependencies([tf.cond(x[0] > 5, lambda: tf.Assert(False, ["never"]), tf.no_op)]):
            tf.identity(x, name="z")

    fn = imported(build)
    for errors in ("raise", "ignore"):
        assert fn({}, {"x": [0, 7], "shape": [3]}, "y", errors=errors)[1].tolist() == [1, 8]
        with pytest.raises(InvalidArgumentError, match="Reshape 'cond"):
            fn({}, {"x": [1, 7], "shape": [3]}, "y", errors=errors)
    assert fn({}, {"x": [4, 7]}, "z", errors="raise")[1].tolist() == [4, 7]
    with pytest.raises(InvalidArgumentError, match=r"assertion failed: \[never\]"):
        fn({}, {"x": [6, 7]}, "z", errors="raise")
    assert not returned(fn, ["x"], "z", np.int32([4, 7]))[1]
    assert returned(fn, ["x"], "z", np.int32([6, 7]))[1]


@pytest.mark.parametrize("rounds", [4, None], ids=["scan", "while"])
def test_a_round_of_a_loop_may_fail(rounds):
    fn = imported(looped(rounds))
    feeds = ["x"] if rounds else ["x", "last"]
    step = fn.bind(feeds, "y", errors="raise")
    last = [] if rounds else [4]
    assert int(step({}, 12, *last)[1]) == 12 // 12 + 12 // 11 + 12 // 10 + 12 // 9
    with pytest.raises(InvalidArgumentError, match=r"inner.*Integer division by zero"):
        step({}, 2, *last)
    assert not returned(fn, feeds, "y", 12, *last)[1]
    assert returned(fn, feeds, "y", 2, *last)[1]


def test_a_loop_that_runs_no_round_does_not_fail():
    step = imported(looped(None)).bind(["x", "last"], "y", errors="raise")
    assert step({}, 0, 0)[1] == 0


def test_a_loop_ends_with_its_first_failure():
    def build():
        x = tf.placeholder(tf.int32, [], "x")
        # Without an end, were the quotient of x = 0 a number above 0.
        y = tf.while_loop(lambda y: y > 0, lambda y: (y + tf.abs(tf.floordiv(1, x)),), [x + 1], name="loop")
        tf.identity(y, name="y")

    assert raised(imported(build), {}, {"x": 0}, "y").op == "FloorDiv"


def test_a_functions_body_may_fail():
    from tensorflow.python.framework import function

    @function.Defun(tf.int32, func_name="reciprocal")
    def reciprocal(x):
        return tf.floordiv(12, x, name="inner")

    def build():
        x = tf.placeholder(tf.int32, [], "x")
        tf.identity(reciprocal(x), name="y")

    fn = imported(build)
    assert fn({}, {"x": 5}, "y", errors="raise")[1] == 2
    assert raised(fn, {}, {"x": 0}, "y").op == "FloorDiv"


def test_each_device_program_between_host_steps_may_fail():
    def build():
        x = tf.placeholder(tf.int32, [None], "x")
        chosen = tf.boolean_mask(tf.floordiv(12, x, name="before"), x > 1)
        tf.floordiv(12, chosen - 3, name="after")

    fn = imported(build)
    assert fn({}, {"x": [1, 2, 6]}, "after", errors="raise")[1].tolist() == [4, -12]
    assert raised(fn, {}, {"x": [0, 2]}, "after").node == "before"
    assert raised(fn, {}, {"x": [4, 2]}, "after").node == "after"


def test_nothing_is_raised_inside_of_a_transformation():
    fn = imported(quotients)
    with pytest.raises(UnsupportedError, match="errors='return'"):
        jax.jit(fn.bind(["x"], "first", errors="raise"))({}, np.int32([1]))
    with pytest.raises(ValueError, match="'ignore', 'raise' or 'return'"):
        fn({}, {"x": [1]}, "first", errors="loud")


def test_failures_of_a_batch_and_of_a_scan_are_told_apart():
    step = imported(quotients).bind(["x"], "second", errors="return")
    xs = np.int32([[2, 3], [2, 1], [0, 2]])
    _, (_, failure) = jax.vmap(step, (None, 0))({}, xs)
    with pytest.raises(InvalidArgumentError, match="'second'"):
        failure.throw()
    start = mgjax.State({})
    _, (_, failure) = jax.lax.scan(step, start, xs[[0, 2, 1]])
    with pytest.raises(InvalidArgumentError, match="'first'"):
        failure.throw()
    jax.lax.scan(step, start, xs[[0, 0]])[1][1].throw()


def test_a_gradient_passes_the_checks_of_what_it_derives():
    def build():
        x = tf.placeholder(tf.float32, [None], "x")
        tf.reduce_sum(tf.check_numerics(tf.log(x), "log"), name="y")

    fn = imported(build)

    def loss(x):
        _, (y, failure) = fn({}, {"x": x}, "y", errors="return")
        return y, failure

    gradient, failure = jax.grad(loss, has_aux=True)(np.float32([1, 4]))
    assert gradient.tolist() == [1, 0.25] and not failure
    with pytest.raises(InvalidArgumentError, match="log : Tensor had Inf"):
        jax.grad(loss, has_aux=True)(np.float32([0, 4]))[1].throw()


def test_an_assertion_shows_its_data_wherever_it_stands():
    def build():
        x = tf.placeholder(tf.float32, [None], "x")
        with tf.control_dependencies([tf.Assert(tf.reduce_all(x > 0), ["x has", x, "of", tf.shape(x)])]):
            tf.identity(x, name="y")

    assert "assertion failed: [x has] [1 -2 3] [of] [3]" in str(raised(imported(build), {}, {"x": [1, -2, 3]}, "y"))


def test_a_check_says_where_it_does_not_hold():
    values = np.int32([[1, 2], [9, 4]])
    found = claim(values < 5, "x{at} = {value} is not below {limit}", value=values, limit=5)
    assert found.text() == "x[1,0] = 9 is not below 5"
    assert claim(values < 5, "{text}", text="{braces}").text() == "{braces}"


def test_a_lowering_of_ones_own_may_have_checks():
    def is_small(x):
        yield claim(x < 5, "x{at} = {value}", value=x)

    own = dataclasses.replace(REGISTRY["Neg"], checks=(is_small,))
    with tf.Graph().as_default() as graph:
        tf.negative(tf.placeholder(tf.int32, [None], "x"), name="y")
        fn = mgjax.import_graph_def(graph.as_graph_def(), lowerings={"Neg": own})
    assert raised(fn, {}, {"x": [1, 7]}, "y").message.endswith("x[1] = 7")


def test_what_passes_fill_up_is_no_error():
    def build():
        table = tf.get_variable("table", initializer=np.ones((4, 2), np.float32), use_resource=False)
        ids = tf.placeholder(tf.int32, [3], "ids")
        loss = tf.reduce_sum(tf.nn.embedding_lookup(table, ids) ** 2)
        tf.train.AdagradOptimizer(1.0, initial_accumulator_value=3.0).minimize(loss, name="step")

    fn = imported(build)
    step = fn.bind(["ids"], fn.operations["step"], errors="raise")
    state = {"table": np.ones((4, 2), np.float32), "table/Adagrad": np.full((4, 2), 3.0, np.float32)}
    # The gradient of row 2, which is looked up twice, is 4.
    after = step(state, [2, 0, 2])[0]["table"]
    np.testing.assert_allclose(after[:, 0], [1 - 2 / 7**0.5, 1, 1 - 4 / 19**0.5, 1], rtol=1e-6)
    with pytest.raises(InvalidArgumentError, match=r"embedding_lookup.* = 4 is not in"):
        step(state, [2, 4, 2])


def test_a_host_step_after_a_failed_assertion_does_not_act(capfd):
    def build():
        x, text = tf.placeholder(tf.int32, [None], "x"), tf.placeholder(tf.string, [], "text")
        # Known only after a first device program and a host step.
        chosen = tf.boolean_mask(x, x > 0)
        with tf.control_dependencies([tf.Assert(tf.reduce_all(chosen < 5), ["too large"])]):
            tf.raw_ops.PrintV2(input=text, output_stream="stdout", name="act")

    fn = imported(build)
    run = fn.bind(["x", "text"], fn.operations["act"], errors="raise")
    with pytest.raises(InvalidArgumentError, match="too large"):
        run({}, [1, 7], "printed")
    assert capfd.readouterr().out == ""
    run({}, [1, 2], "printed")
    assert capfd.readouterr().out == "printed\n"


def test_what_is_known_while_tracing_is_checked_without_being_asked_for():
    def build():
        x = tf.placeholder(tf.float32, [2, 3], "x")
        tf.transpose(x, tf.math.invert_permutation(tf.constant([1, 0])), name="y")

    _, y = imported(build)({}, {"x": np.ones([2, 3], np.float32)}, "y:0")
    assert y.shape == (3, 2)
