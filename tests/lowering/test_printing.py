"""Prints in compiled programs, held to what a live TensorFlow writes, and to lines that TensorFlow 1.15 wrote."""

import re

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import mgjax
import mgjax.compat.v1 as compat
from mgjax.errors import InvalidArgumentError
from mgjax.host.printing import print_data
from mgjax.ops import describe
from tests.lowering.test_control_flow import generation, plain_session  # noqa: F401
from tests.ops.live import tf

X = np.float32([0.4, 0.7])


def say(x, data, text, **options):
    return tf.raw_ops.Print(input=x, data=data, message=f"> {text} ", **options)


def show(x, *data):
    with tf.control_dependencies([tf.print(">", *data)]):
        return tf.identity(x)


def top(x):
    numbers = [x, tf.shape(x, out_type=tf.int64) + 2**40, tf.cast(x, tf.float64) / 3, tf.constant("a\n"), x > 0.5]
    return say(x, numbers, "top") * 2.0


def put_together(x):
    return show(x, x, "text", tf.strings.join(["i", tf.as_string(tf.cast(x[0], tf.int32))]), tf.cast(x, tf.complex128))


def summarized(x):
    cube = tf.reshape(tf.range(24), [2, 3, 4])
    for limit in (-1, 0, 1, 5):
        x = say(x, [cube, tf.range(10), tf.zeros([2, 0]), x], f"limit {limit}", summarize=limit)
    return x


def rounds(x):
    def body(i, y):
        y = show(y, "round", i, "with", y)
        y = tf.cond(tf.reduce_sum(y) > 1.5, lambda: say(y, [y], "big"), lambda: say(y, [y], "small") * 0.9)
        return i + 1, say(y * 1.5, [i, y], "end of round", summarize=1)

    return tf.while_loop(lambda i, y: say(i, [i, y], "asked") < 3, body, [0, x])[1]


def data_decides(x):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 40.0, lambda y: say(y, [y], "y") * 1.7, [x])[0]


def nested(x):
    def outer(i, y):
        inner = tf.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, say(z, [i, j], "inner") + y), [0, y])
        return i + 1, say(inner[1], [inner[0]], "outer")

    return tf.while_loop(lambda i, y: i < 3, outer, [0, x])[1]


def untaken(x):
    return tf.cond(tf.reduce_sum(x) < 0.0, lambda: say(x, [x], "negative"), lambda: x * 2.0)


def not_consumed(x):
    say(x, [x], "pruned")
    return x + 1.0


def grown(x):
    """Rounds that nothing bounds: the first guess for the list's room is too small."""

    def body(y, i, array):
        return y * 1.05, i + 1, array.write(i, say(y, [i], "row"))

    array = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=[2])
    array = tf.while_loop(lambda y, i, a: tf.reduce_sum(y) < 12.0, body, [x, 0, array])[2]
    return say(tf.reduce_sum(array.stack(), 0), [array.size()], "rows")


def in_a_function(x):
    @tf.function
    def called(y, z):
        tf.print(">", "called with", y)
        return y * z

    return called(called(x, 2.0), 3.0)


PROGRAMS = [
    top, put_together, summarized, rounds, data_decides, nested, untaken, not_consumed, grown, in_a_function,
]  # fmt: skip


def lines(capfd):
    jax.effects_barrier()
    return [line for line in re.split(r"\n(?=>)|\n$", capfd.readouterr().err) if line.startswith(">")]


def built(program):
    """The imported graph, and a function that has TensorFlow run it."""
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [2], "x")
        tf.identity(program(x), "y")

    def run():
        with tf.Session(graph=graph, config=plain_session()) as session:
            return session.run("y:0", {"x:0": X})

    return mgjax.import_graph_def(graph.as_graph_def()), run


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_prints_are_tensorflows(program, generation, capfd):  # noqa: F811
    fn, run = built(program)
    # TensorFlow runs rounds side by side where their values let it.
    in_order = list if program in (top, summarized, data_decides) else sorted
    wanted = run(), in_order(lines(capfd))
    for errors in ("ignore", "raise"):
        _, found = fn({}, {"x:0": X}, "y:0", errors=errors)
        np.testing.assert_allclose(found, wanted[0], rtol=1e-5)
        assert in_order(lines(capfd)) == wanted[1]


@pytest.mark.parametrize("program", [top, put_together, rounds, untaken, in_a_function])
def test_prints_stand_in_the_callers_transformations(program, generation, capfd):  # noqa: F811
    fn, run = built(program)
    run()
    wanted = sorted(lines(capfd))
    step = fn.bind(["x:0"], "y:0")
    y = lambda x: step({}, x)[1]  # noqa: E731
    for transformed in (jax.jit(y), jax.jit(jax.grad(lambda x: y(x).sum()))):
        jax.block_until_ready(transformed(X))
        assert sorted(lines(capfd)) == wanted
    jax.block_until_ready(jax.vmap(y)(np.stack([X, X])))
    assert sorted(lines(capfd)) == sorted(2 * wanted)
    jax.block_until_ready(jax.lax.scan(lambda x, _: (y(X) * 0 + x, None), jnp.asarray(X), None, length=3))
    assert sorted(lines(capfd)) == sorted(3 * wanted)


def test_prints_follow_one_another_as_their_values_do(generation, capfd):  # noqa: F811
    fn, _ = built(rounds)
    fn({}, {"x:0": X}, "y:0")
    texts = [re.sub(r"\[?[\d.]+\]?", "", line).split() for line in lines(capfd)]
    assert [words[1] for words in texts] == 2 * ["asked", "round", "small", "end"] + [
        "asked",
        "round",
        "big",
        "end",
        "asked",
    ]


def test_a_mapped_branch_prints_on_the_side_that_each_element_takes(capfd):
    fn, _ = built(untaken)
    jax.block_until_ready(jax.vmap(lambda x: fn({}, {"x:0": x}, "y:0")[1])(np.stack([X, -X, X])))
    assert lines(capfd) == ["> negative [-0.4 -0.7]"]


def test_the_first_lines_are_counted_over_the_runs_of_a_session(capfd):
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [], "x")
        more = lambda i, y: (i + 1, say(y, [i], "round", first_n=3) + 1.0)  # noqa: E731
        tf.identity(tf.while_loop(lambda i, y: i < 2, more, [0, x])[1], "y")
        say(x, [x], "other", first_n=1, name="other")
        say(x, [x], "never", first_n=0, name="never")
        meta_graph = tf.train.export_meta_graph().SerializeToString()
    fetches = ["y:0", "other:0", "never:0"]

    def runs(session_class, graph):
        for _ in range(2):
            with session_class(graph=graph) as session:
                for _ in range(3):
                    session.run(fetches, {"x:0": 1.0})
        return sorted(lines(capfd))

    wanted = runs(tf.Session, graph)
    assert wanted == sorted(2 * ["> other [1]", "> round [0]", "> round [0]", "> round [1]"])
    with compat.Graph().as_default() as imported:
        compat.train.import_meta_graph(meta_graph)
    assert runs(compat.Session, imported) == wanted


def test_a_print_whose_text_comes_from_the_host_is_a_host_step(capfd):
    with tf.Graph().as_default() as graph:
        text = tf.placeholder(tf.string, [], "text")
        y = say(tf.constant(1.0), [tf.strings.lower(text), tf.constant(2.0)], "host")
        with tf.control_dependencies([tf.print(tf.strings.join([">", tf.strings.upper(text)]))]):
            tf.identity(y, "y")
        fn = mgjax.import_graph_def(graph.as_graph_def())
    assert fn({}, {"text:0": "aB"}, "y:0")[1] == 1.0
    assert lines(capfd) == ["> host [ab][2]", ">AB"]


def test_a_variable_is_printed_as_it_is_then(capfd):
    with tf.Graph().as_default() as graph:
        for i, use_resource in enumerate((False, True)):
            v = tf.Variable(1.0, use_resource=use_resource, name=f"v{i}")
            before = say(v.read_value(), [v.read_value()], "before")
            with tf.control_dependencies([before]), tf.control_dependencies([v.assign_add(2.0)]):
                tf.identity(say(v.read_value(), [v.read_value()], "after"), f"y{i}")
        fn = mgjax.import_graph_def(graph.as_graph_def())
    for i in range(2):
        assert fn({"v0": np.float32(1), "v1": np.float32(1)}, {}, f"y{i}:0")[1] == 3.0
        assert lines(capfd) == ["> before [1]", "> after [3]"]


def failing(x):
    y = tf.cond(x[0] > 0.0, lambda: say(x, [x], "taken"), lambda: x)
    return tf.while_loop(lambda y: y[0] < 9.0, lambda y: tf.debugging.check_numerics(say(y, [y], "y") * y, "y"), [y])[0]


def test_a_failing_loop_prints_each_round_once(generation, capfd):  # noqa: F811
    fn, _ = built(failing)
    with pytest.raises(InvalidArgumentError, match="Inf"):
        fn({}, {"x:0": np.float32([0.5, 1e30])}, "y:0", errors="raise")
    assert lines(capfd) == ["> taken [0.5 1e+30]", "> y [0.5 1e+30]"]


def test_lines_of_values_are_those_of_tensorflow_1_15(capfd):
    data = [
        np.array([[0, 1], [2, 3]], np.float32) / 3,
        np.array(b'a"b\n', object),
        np.array([b"\xff", b"q"], object),
        np.array([True, False]),
        np.array(1.5 + 2j),
        np.uint8([3]),
        np.float64([0.1, 1e10, np.nan, np.inf]),
        np.float32([0.1, 1e10, -np.inf, 1 / 3]),
        np.float16([0.1, 1 / 3]),
        np.zeros((0, 3)),
    ]
    print_data(None, data, message="> ")
    assert lines(capfd) == [
        '> [[0 0.333333343][0.666666687...]...][a\\"b\\n][\\377 q][1 0][?][3][0.1 10000000000 nan...]'
        "[0.1 1e+10 -inf...][0.0999755859 0.333251953][]"
    ]
    print_data(None, [np.array([0.1, 0.3], ml_dtypes.bfloat16)], message=b"> caf\xc3\xa9 \xff ")
    assert lines(capfd) == ["> café \\xff [? ?]"]


def test_ones_own_lowering_silences_a_print(capfd):
    with tf.Graph().as_default():
        say(tf.constant(1.0), [tf.constant(2.0)], "loud", name="y")
        meta_graph = tf.train.export_meta_graph().SerializeToString()
    fn, _ = mgjax.import_meta_graph(meta_graph, lowerings={"Print": describe("Print", lambda input, data: input)})
    assert fn({}, {}, "y:0")[1] == 1.0
    assert lines(capfd) == []
