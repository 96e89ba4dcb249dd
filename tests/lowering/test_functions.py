"""Calls of library functions of every kind, against TensorFlow."""

import jax
import numpy as np
import pytest

import mgjax
from mgjax.errors import InvalidArgumentError, ResourceExhaustedError, UnsupportedError
from tests.lowering.test_control_flow import plain_session
from tests.ops.live import tf

function = pytest.importorskip("tensorflow.python.framework.function")


def by_tensorflow(graph_def, feeds, fetches):
    with tf.Graph().as_default():
        tf.import_graph_def(graph_def, name="")
        with tf.Session(config=plain_session()) as session:
            return session.run(fetches, feeds)


def calls_redirected(graph_def, to):
    """The functions that TensorFlow's Python cannot build: in which calls of one function are calls of another."""
    for definition in graph_def.library.function:
        for node in definition.node_def:
            node.op = to.get(node.op, node.op)
    return graph_def


def stand_in(name):
    @function.Defun(tf.int32, func_name=name, out_names=["out"], noinline=True)
    def stub(n):
        return n

    return stub


@pytest.fixture(params=["old", "v2"])
def generation(request):
    """Control flow as `Switch` and frames, or as functions."""
    was_v2 = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if request.param == "v2" else tf.disable_control_flow_v2)()
    yield request.param
    (tf.enable_control_flow_v2 if was_v2 else tf.disable_control_flow_v2)()


def fibonacci():
    stub = stand_in("Stub")

    @function.Defun(tf.int32, func_name="Fib", out_names=["out"], noinline=True)
    def fib(n):
        return tf.cond(n < 2, lambda: n, lambda: stub(n - 1) + stub(n - 2))

    tf.identity(fib(tf.placeholder(tf.int32, [], "n")), "y")
    return {"Stub": "Fib"}


def even_and_odd():
    even, odd = stand_in("EvenStub"), stand_in("OddStub")

    @function.Defun(tf.int32, func_name="Even", out_names=["out"], noinline=True)
    def is_even(n):
        return tf.cond(tf.equal(n, 0), lambda: 1, lambda: odd(n - 1))

    @function.Defun(tf.int32, func_name="Odd", out_names=["out"], noinline=True)
    def is_odd(n):
        return tf.cond(tf.equal(n, 0), lambda: 0, lambda: even(n - 1))

    n = tf.placeholder(tf.int32, [], "n")
    tf.identity(is_even(n) + 10 * is_odd(n), "y")
    return {"EvenStub": "Even", "OddStub": "Odd"}


def sum_of_what_grows(x):
    """A loop that fills an array until `x`, which it counts up, is 100: nothing bounds its rounds."""
    made = tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=[])
    body = lambda i, made, x: (i + 1, made.write(i, x), x + 1)  # noqa: E731
    return tf.reduce_sum(tf.while_loop(lambda i, made, x: x < 100, body, [0, made, x])[1].stack())


def grown_again():
    stub = stand_in("GrownStub")

    @function.Defun(tf.int32, func_name="Grown", out_names=["out"], noinline=True)
    def grown(n):
        return tf.cond(n < 1, lambda: sum_of_what_grows(n), lambda: sum_of_what_grows(n) + stub(n - 5))

    tf.identity(grown(tf.placeholder(tf.int32, [], "n")), "y")
    return {"GrownStub": "Grown"}


@pytest.mark.parametrize("build", [fibonacci, even_and_odd, grown_again])
def test_functions_that_call_themselves_run(build, generation):
    with tf.Graph().as_default() as graph:
        redirected = build()
        graph_def = calls_redirected(graph.as_graph_def(), redirected)
    fn = mgjax.import_graph_def(graph_def)
    for n in (0, 1, 6):
        assert fn({}, {"n:0": n}, "y:0")[1] == by_tensorflow(graph_def, {"n:0": n}, "y:0")
    with pytest.raises(
        UnsupportedError, match=r"a function calls itself as often as its values say|nothing bounds the rounds"
    ):
        jax.jit(fn.bind(["n:0"], "y:0"))({}, 3)


def test_a_function_that_never_ends_ends_with_an_error():
    with tf.Graph().as_default() as graph:
        stub = stand_in("EndlessStub")

        @function.Defun(tf.int32, func_name="Endless", out_names=["out"])
        def endless(n):
            return stub(n + 1)

        fetch = endless(1).name
        graph_def = calls_redirected(graph.as_graph_def(), {"EndlessStub": "Endless"})
    with pytest.raises(ResourceExhaustedError, match="calls itself more often"):
        mgjax.import_graph_def(graph_def)({}, {}, fetch)


def test_a_function_is_made_for_the_attributes_of_each_call():
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.float32, func_name="Twice", out_names=["out"])
        def twice(x):
            return x + x

        twice(tf.constant(1.5, name="a"))
        graph_def = graph.as_graph_def()
    (definition,) = graph_def.library.function
    definition.signature.attr.add(name="T", type="type")
    for arg in (definition.signature.input_arg[0], definition.signature.output_arg[0]):
        arg.ClearField("type")
        arg.type_attr = "T"
    for node in definition.node_def:
        node.attr["T"].placeholder = "T"
    call = next(node for node in graph_def.node if node.op == "Twice")
    call.attr["T"].type = tf.float32.as_datatype_enum
    call.attr["_XlaCompile"].b = True
    other = graph_def.node.add()
    other.CopyFrom(call)
    other.name, other.input[:] = "strings", ["text"]
    other.attr["T"].type = tf.string.as_datatype_enum
    text = graph_def.node.add(name="text", op="Placeholder")
    text.attr["dtype"].type = tf.string.as_datatype_enum
    fetches = [f"{call.name}:0", "strings:0"]
    _, (number, joined) = mgjax.import_graph_def(graph_def)({}, {"text:0": b"ab"}, fetches)
    assert (number, joined) == (3.0, b"abab")


def test_a_remote_call_runs_here():
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.float32, tf.float32)
        def product(x, y):
            return x * y

        from tensorflow.python.ops import functional_ops

        device = "/job:localhost/replica:0/task:0/device:CPU:0"
        (y,) = functional_ops.remote_call(target=device, args=[2.0, 4.0], f=product, Tout=[tf.float32])
        graph_def = graph.as_graph_def()
    assert mgjax.import_graph_def(graph_def)({}, {}, y.name)[1] == by_tensorflow(graph_def, {}, y.name) == 8.0


def test_a_mapped_function_runs_for_each_row():
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.float32, tf.float32)
        def row(x, scale):
            return tf.reduce_sum(x) * scale, x

        total, same = tf.raw_ops.MapDefun(
            arguments=[tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])],
            captured_inputs=[tf.placeholder(tf.float32, [], "scale")],
            output_types=[tf.float32, tf.float32],
            output_shapes=[[], [2]],
            f=row,
        )
        graph_def = graph.as_graph_def()
    feeds, fetches = {"scale:0": np.float32(10.0)}, [total.name, same.name]
    found = mgjax.import_graph_def(graph_def)({}, feeds, fetches)[1]
    for array, wanted in zip(found, by_tensorflow(graph_def, feeds, fetches), strict=True):
        np.testing.assert_array_equal(array, wanted)


def test_rows_of_a_map_may_have_loops_that_nothing_bounds(generation):
    with tf.Graph().as_default() as graph:
        row = function.Defun(tf.int32)(sum_of_what_grows)
        rows = tf.placeholder(tf.int32, [3], "rows")
        (y,) = tf.raw_ops.MapDefun(
            arguments=[rows], captured_inputs=[], output_types=[tf.int32], output_shapes=[[]], f=row
        )
        fn = mgjax.import_graph_def(graph.as_graph_def())
    assert fn({}, {"rows": [0, 98, 100]}, y.name)[1].tolist() == [4950, 197, 0]


@pytest.mark.parametrize("start, limit, delta", [(0, 10, -1), (3, 0, 1), (0, 4, 0), ([0], 4, 1)])
def test_a_range_that_leads_nowhere_is_refused_as_in_tensorflow(start, limit, delta):
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.int32, tf.float32, func_name="AddIndex")
        def add_index(i, total):
            return total + tf.cast(i, tf.float32)

        y = tf.raw_ops.For(start=start, limit=limit, delta=delta, input=[1.0], body=add_index)[0]
        graph_def = graph.as_graph_def()
    with pytest.raises(tf.errors.InvalidArgumentError) as wanted:
        by_tensorflow(graph_def, {}, y.name)
    with pytest.raises(InvalidArgumentError) as found:
        mgjax.import_graph_def(graph_def)({}, {}, y.name)
    assert found.value.message in wanted.value.message
    for node in graph_def.node:
        if node.name.endswith("delta"):
            node.op = "Placeholder"
            node.attr.pop("value")
    feeds = {next(node.name for node in graph_def.node if node.op == "Placeholder") + ":0": np.int32(delta)}
    with pytest.raises(InvalidArgumentError, match="start"):
        mgjax.import_graph_def(graph_def)({}, feeds, y.name, errors="raise")


@pytest.mark.parametrize(
    "start, limit, delta, total", [(0, 4, 1, 7.0), (3, -1, -1, 7.0), (2, 2, 0, 1.0), (0, 5, 2, 7.0)]
)
def test_a_range_is_walked_to_its_limit(start, limit, delta, total):
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.int32, tf.float32, func_name="AddIndex")
        def add_index(i, total):
            return total + tf.cast(i, tf.float32)

        d = tf.placeholder(tf.int32, [], "d")
        known = tf.raw_ops.For(start=start, limit=limit, delta=delta, input=[1.0], body=add_index)[0]
        traced = tf.raw_ops.For(start=start, limit=limit, delta=d, input=[1.0], body=add_index)[0]
        fn = mgjax.import_graph_def(graph.as_graph_def())
    found = fn({}, {"d:0": delta}, [known.name, traced.name])[1]
    assert found == [total, total]


@pytest.mark.parametrize("index", [0, 1])
def test_the_chosen_reference_is_read(index):
    with tf.Graph().as_default() as graph:
        a, b = (tf.get_variable(name, [2], use_resource=False) for name in "ab")
        which = tf.placeholder(tf.int32, [], "which")
        chosen = tf.raw_ops.RefSelect(index=which, inputs=[a._ref(), b._ref()])
        y = tf.identity(chosen) * 2.0
        fn = mgjax.import_graph_def(graph.as_graph_def())
    state = {"a": np.float32([1.0, 2.0]), "b": np.float32([3.0, 4.0])}
    assert fn(state, {"which:0": index}, y.name)[1].tolist() == (state["ab"[index]] * 2).tolist()


def test_a_function_that_the_library_lacks_is_named():
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.float32, func_name="Gone")
        def gone(x):
            return x

        from tensorflow.python.ops import functional_ops

        (y,) = functional_ops.remote_call(target="/device:CPU:0", args=[2.0], f=gone, Tout=[tf.float32])
        graph_def = graph.as_graph_def()
    graph_def.library.Clear()
    with pytest.raises(UnsupportedError, match="it calls 'Gone', and the graph's library has no such function"):
        mgjax.import_graph_def(graph_def)({}, {}, y.name)


def test_what_no_result_of_a_function_needs_is_not_run():
    @function.Defun(tf.float32, func_name="Twice", out_names=["out"], noinline=True)
    def twice(x):
        tf.exp(tf.placeholder(tf.float32, [], "nobody"))
        return x * 2.0

    with tf.Graph().as_default() as graph:
        tf.identity(twice(tf.constant(3.0)), name="y")
        graph_def = graph.as_graph_def()
    fn = mgjax.import_graph_def(graph_def)
    assert [node.op for node in graph_def.library.function[0].node_def].count("Placeholder") == 1
    assert fn({}, {}, "y:0")[1] == by_tensorflow(graph_def, {}, "y:0") == 6.0
