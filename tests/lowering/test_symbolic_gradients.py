"""`SymbolicGradient`: gradients of library functions, as TensorFlow differentiates calls of them, against TensorFlow."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import mgjax
import mgjax.compat.v1
from mgjax.errors import UnsupportedError
from tests.lowering.test_control_flow import plain_session
from tests.ops.live import tf

function = pytest.importorskip("tensorflow.python.framework.function")


def elementwise():
    @function.Defun(tf.float32, tf.float32)
    def smooth(a, b):
        return tf.tanh(a) * tf.exp(b), tf.reduce_sum(a * a) + b

    return smooth


def with_an_integer():
    @function.Defun(tf.float32, tf.int32)
    def power(a, n):
        return a * tf.cast(n, tf.float32)

    return lambda a, b: (power(a, 3) * b,)


def nested():
    @function.Defun(tf.float32)
    def inner(a):
        return tf.sin(a) * a

    @function.Defun(tf.float32, tf.float32)
    def outer(a, b):
        return inner(inner(a)) + b

    return lambda a, b: (outer(a, b),)


def with_a_gradient_of_its_own():
    @function.Defun(tf.float32, tf.float32, func_name="WrongGradient")
    def wrong(a, dy):
        return dy * 7.0 + a

    @function.Defun(tf.float32, func_name="Doubled", grad_func=wrong)
    def double(a):
        return a * 2.0

    return lambda a, b: (double(a) * b,)


def with_a_gradient_of_its_own_inside():
    double = with_a_gradient_of_its_own()

    @function.Defun(tf.float32, tf.float32, func_name="Around")
    def around(a, b):
        return tf.sin(double(a, b)[0])

    return lambda a, b: (around(a, b),)


def of_one_result_only():
    @function.Defun(tf.float32, tf.float32)
    def two(a, b):
        return a * b, a + b

    return lambda a, b: (two(a, b)[1],)


@pytest.mark.parametrize(
    "make",
    [
        elementwise,
        with_an_integer,
        nested,
        with_a_gradient_of_its_own,
        with_a_gradient_of_its_own_inside,
        of_one_result_only,
    ],
)
def test_a_functions_gradient_is_tensorflows(make):
    feeds = {"a:0": np.float32([0.5, -1.5]), "b:0": np.float32(0.75)}
    with tf.Graph().as_default() as graph:
        a, b = tf.placeholder(tf.float32, [2], "a"), tf.placeholder(tf.float32, [], "b")
        ys = make()(a, b)
        grads = [g if g is not None else tf.constant(0.0) for g in tf.gradients(ys, [a, b])]
        fetches = [tf.identity(g).name for g in grads] + [y.name for y in ys]
        assert any(op.type == "SymbolicGradient" for op in graph.get_operations())
        with tf.Session(config=plain_session()) as session:
            wanted = session.run(fetches, feeds)
        graph_def = graph.as_graph_def()
    fn = mgjax.import_graph_def(graph_def)
    with mgjax.compat.v1.Graph().as_default(), mgjax.compat.v1.Session() as session:
        mgjax.compat.v1.import_graph_def(graph_def, name="")
        in_a_session = session.run(fetches, feeds)
    for run in (fn({}, feeds, fetches)[1], in_a_session):
        for found, expected in zip(run, wanted, strict=True):
            assert found.dtype == expected.dtype
            assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def symbolic(f, inputs, dys):
    from tensorflow.python.ops import functional_ops

    return functional_ops.symbolic_gradient([*inputs, *dys], [x.dtype for x in inputs], f)


def test_an_integer_argument_has_zeros_for_its_gradient():
    @function.Defun(tf.float32, tf.int32)
    def scaled(a, n):
        return a * tf.cast(n, tf.float32)

    with tf.Graph().as_default() as graph:
        dx, dn = symbolic(scaled, [tf.constant([2.0, 3.0]), tf.constant([4, 5])], [tf.constant([1.0, 10.0])])
        fn = mgjax.import_graph_def(graph.as_graph_def())
    _, (dx, dn) = fn({}, {}, [dx.name, dn.name])
    assert dx.tolist() == [4.0, 50.0]
    assert dn.tolist() == [0, 0] and dn.dtype == np.int32


def test_the_gradient_of_complex_numbers_is_conjugate_as_in_tensorflow():
    @function.Defun(tf.complex64)
    def cubed(z):
        return z * z * z

    with tf.Graph().as_default() as graph:
        (dz,) = symbolic(cubed, [tf.constant(1 + 2j, tf.complex64)], [tf.constant(2 - 1j, tf.complex64)])
        fn = mgjax.import_graph_def(graph.as_graph_def())
    # dy * conj(3 z^2)
    assert_allclose(fn({}, {}, dz.name)[1], (2 - 1j) * np.conj(3 * (1 + 2j) ** 2), rtol=1e-6)


def test_a_variable_that_the_function_takes_is_differentiated():
    with tf.Graph().as_default() as graph:
        w = tf.get_variable("w", [2], use_resource=True)

        @function.Defun(tf.resource, tf.float32)
        def weighted(handle, x):
            value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)
            return tf.reduce_sum(value * value * x)

        from tensorflow.python.ops import functional_ops

        dw, dx = functional_ops.symbolic_gradient(
            [w.handle, tf.constant([1.0, 10.0]), tf.constant(1.0)], [tf.float32, tf.float32], weighted
        )
        fn = mgjax.import_graph_def(graph.as_graph_def())
    _, (dw, dx) = fn({"w": np.float32([3.0, 0.5])}, {}, [dw.name, dx.name])
    assert dw.tolist() == [6.0, 10.0]
    assert dx.tolist() == [9.0, 0.25]


def test_a_function_that_assigns_is_refused_by_name():
    with tf.Graph().as_default() as graph:
        w = tf.get_variable("w", [], use_resource=True)

        @function.Defun(tf.resource, tf.float32)
        def assigning(handle, x):
            with tf.control_dependencies([tf.raw_ops.AssignVariableOp(resource=handle, value=x)]):
                return x * 2.0

        from tensorflow.python.ops import functional_ops

        dx = functional_ops.symbolic_gradient(
            [w.handle, tf.constant(1.0), tf.constant(1.0)], [tf.float32, tf.float32], assigning
        )[1]
        fn = mgjax.import_graph_def(graph.as_graph_def())
    with pytest.raises(UnsupportedError, match="a gradient of a function, changes 'w'"):
        fn({"w": np.float32(1.0)}, {}, dx.name)


def test_jax_differentiates_the_gradient_again():
    @function.Defun(tf.float32)
    def cubed(a):
        return a * a * a

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [], "x")
        dx = tf.gradients(cubed(x), x)[0].name
        fn = mgjax.import_graph_def(graph.as_graph_def())
    assert jax.grad(lambda x: fn({}, {"x:0": x}, dx)[1])(np.float32(2.0)) == 12.0


@pytest.fixture(params=["old", "v2"])
def generation(request):
    """Control flow as `Switch` and frames, or as functions."""
    was_v2 = tf.control_flow_v2_enabled()
    (tf.enable_control_flow_v2 if request.param == "v2" else tf.disable_control_flow_v2)()
    yield
    (tf.enable_control_flow_v2 if was_v2 else tf.disable_control_flow_v2)()


def test_a_loop_that_nothing_depends_on_may_stand_in_what_is_derived(generation):
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.float32)
        def scaled(a):
            made = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=[])
            body = lambda i, made, x: (i + 1, made.write(i, x), x + 1.0)  # noqa: E731
            made = tf.while_loop(lambda i, made, x: x < 100.0, body, [0, made, tf.stop_gradient(a)])[1]
            return a * tf.stop_gradient(tf.reduce_sum(made.stack()))

        a = tf.placeholder(tf.float32, [], "a")
        (slope,) = tf.gradients(scaled(a), a)
        fn = mgjax.import_graph_def(graph.as_graph_def())
    assert fn({}, {"a": 90.0}, slope.name)[1] == sum(range(90, 100))
    assert fn({}, {"a": 0.0}, slope.name)[1] == sum(range(100))


def test_the_gradient_of_a_loop_that_nothing_bounds_is_refused(generation):
    with tf.Graph().as_default() as graph:

        @function.Defun(tf.float32)
        def squared(a):
            return tf.while_loop(lambda x: x < 100.0, lambda x: x * x, [a])

        a = tf.placeholder(tf.float32, [], "a")
        (slope,) = tf.gradients(squared(a), a)
        fn = mgjax.import_graph_def(graph.as_graph_def())
    with pytest.raises(UnsupportedError, match="a loop, and nothing known says how many rounds that runs"):
        fn({}, {"a": 2.0}, slope.name)
