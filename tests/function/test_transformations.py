"""`fn` inside `jit`, `grad`, `vmap` and `scan`, in whatever 64-bit mode the caller has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mgjax
from mgjax.errors import FeedError
from tests.live import meta_graph_of, tf

X = np.array([2.0, 4.0, 6.0])
pytestmark = pytest.mark.usefixtures("either_mode")


def is_as_tensorflow_has_it(state):
    return state["w"].dtype == np.float64 and state["global_step"].dtype == np.int64


def test_a_call_keeps_the_dtypes_of_tensorflow(fn):
    state, (loss, _) = fn(fn.init(), {"x:0": X}, ["loss:0", "train_op"])
    assert is_as_tensorflow_has_it(state) and loss.dtype == np.float64 and float(loss) == 28.0


def test_jit_of_a_bound_function_trains(fn):
    step = jax.jit(fn.bind(["x:0"], ["loss:0", "train_op"]), donate_argnums=0)
    state = fn.init()
    for expected in (28.0, 0.0, -28.0):
        state, (loss, _) = step(state, X)
        assert float(loss) == expected
    assert is_as_tensorflow_has_it(state) and int(state["global_step"]) == 3
    assert_array_equal(state["w"], [-2.0, -4.0, -6.0])


def test_jit_of_the_users_own_function_around_a_call(fn):
    @jax.jit
    def twice(state, x):
        state, _ = fn(state, {"x:0": x}, "train_op")
        return fn(state, {"x:0": x}, "loss:0")

    state, loss = twice(fn.init(), X)
    assert float(loss) == 0.0 and is_as_tensorflow_has_it(state)


def test_counters_are_exact_beyond_32_bits(fn):
    with jax.enable_x64(True):
        start = {"w": jnp.zeros(3, np.float64), "global_step": jnp.asarray(2**40, np.int64)}
    step = jax.jit(fn.bind(["x:0"], "train_op"))
    for state, _ in (fn(start, {"x:0": X}, "train_op"), step(start, X)):
        assert state["global_step"].dtype == np.int64 and int(state["global_step"]) == 2**40 + 1
    assert int(step(step(start, X)[0], X)[0]["global_step"]) == 2**40 + 2


def test_float64_is_computed_in_float64(fn):
    tiny = np.array([1e-12, 0.0, 0.0])
    assert fn({"w": np.array([1.0, 1.0, 1.0])}, {"x:0": 1.0 + tiny}, "loss:0")[1].item() == 3.0 + 1e-12


def test_what_jax_cuts_in_half_on_its_way_into_jit_is_refused(fn, either_mode):
    step = jax.jit(fn.bind(["x:0"], "train_op"))
    start = {"w": np.zeros(3), "global_step": np.int64(2**40)}
    if either_mode:
        assert int(step(start, X)[0]["global_step"]) == 2**40 + 1
    else:
        with pytest.raises(
            FeedError, match=r"is (int|float)64 in the graph and (int|float)32 in the state: JAX's 32-bit"
        ):
            step(start, X)
    assert int(fn(start, {"x:0": X}, "train_op")[0]["global_step"]) == 2**40 + 1


def test_scan_takes_a_bound_function_as_it_is(fn):
    step = fn.bind(["x:0"], ["loss:0", "train_op"])
    with jax.enable_x64(True):
        batches = jnp.stack([X, X, X])
    state, (losses, _) = jax.jit(lambda state, xs: jax.lax.scan(step, state, xs))(fn.init(), batches)
    assert losses.dtype == np.float64 and is_as_tensorflow_has_it(state) and int(state["global_step"]) == 3
    assert_array_equal(losses, [28.0, 0.0, -28.0])


def test_grad_with_respect_to_variables_and_to_feeds(fn):
    state = fn.init()

    def loss(w, x):
        return fn({"w": w}, {"x:0": x}, "loss:0")[1]

    with jax.enable_x64(True):
        by_variable, by_feed = jax.grad(loss, argnums=(0, 1))(state["w"], jnp.asarray(X))
    assert by_variable.dtype == by_feed.dtype == np.float64
    assert_array_equal(by_variable, X)
    assert_array_equal(by_feed, [1.0, 2.0, 3.0])


def single():
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.get_variable("w", [2, 2], initializer=tf.constant_initializer([[1.0, 2.0], [3.0, 4.0]]), use_resource=False)
    y = tf.tanh(tf.matmul(x, w), name="y")
    loss = tf.reduce_sum(y * y, name="loss")
    tf.gradients(loss, [w], name="slopes")


@pytest.fixture(scope="module")
def single_fn():
    return mgjax.import_meta_graph(meta_graph_of(single))[0]


POINTS = np.array([[0.1, -0.2], [0.3, 0.05]], np.float32)


def test_grad_of_a_float32_graph_is_what_its_own_gradient_nodes_compute(single_fn):
    state = single_fn.init()
    _, recorded = single_fn(state, {"x:0": POINTS}, "slopes/MatMul_grad/MatMul_1:0")
    found = jax.grad(lambda state: single_fn(state, {"x:0": POINTS}, "loss:0")[1])(state)
    assert found["w"].dtype == np.float32
    assert_allclose(found["w"], recorded, rtol=2e-6)


def test_vmap_over_feeds_and_over_variables(single_fn):
    w = single_fn.init()["w"]
    x = jnp.stack([POINTS, POINTS + 0.5, POINTS * 2])
    one = lambda w, x: single_fn({"w": w}, {"x:0": x}, "y:0")[1]  # noqa: E731
    over_feeds = jax.vmap(one, (None, 0))(w, x)
    over_both = jax.jit(jax.vmap(one))(jnp.stack([w, w + 1, w * 0]), x)
    expected = np.tanh(np.asarray(x) @ np.asarray(w))
    assert_allclose(over_feeds, expected, rtol=2e-6)
    assert_allclose(over_both[0], expected[0], rtol=2e-6)
    assert_array_equal(over_both[2], np.zeros((2, 2)))


def test_a_state_with_random_ops_is_carried_through_scan():
    def build():
        tf.identity(tf.random_uniform([], seed=1), name="draw")

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    state, (a, b, c) = jax.lax.scan(fn.bind((), "draw:0"), fn.empty_state(seed=0), length=3)
    assert len({float(a), float(b), float(c)}) == 3
    expected = []
    again = fn.empty_state(seed=0)
    for _ in range(3):
        again, draw = fn(again, {}, "draw:0")
        expected.append(float(draw))
    assert [float(a), float(b), float(c)] == expected
    assert_array_equal(state.generators, again.generators)


def sized():
    size = tf.placeholder(tf.int32, [], name="size")
    flag = tf.placeholder(tf.bool, [], name="is_training")
    x = tf.placeholder(tf.float32, [None], name="x")
    y = tf.cond(flag, lambda: x * 2.0, lambda: x + 1.0)
    tf.reshape(tf.tile(y, [size]), [size, -1], name="y")


def test_a_feed_that_a_shape_depends_on_must_be_concrete_inside_jit_and_the_error_says_how():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(sized))
    feeds = {"size": 2, "is_training": False, "x": np.float32([1, 2])}
    assert_array_equal(fn({}, feeds, "y:0")[1], [[2, 3], [2, 3]])
    with pytest.raises(FeedError, match=r"a shape depends on 'size:0'.*constants=\{'size:0'"):
        jax.jit(fn.bind(["size", "is_training", "x"], "y:0"))({}, 2, False, np.float32([1, 2]))
    bound = jax.jit(fn.bind(["x"], "y:0", constants={"size": 3, "is_training": True}))
    assert_array_equal(bound({}, np.float32([1, 2]))[1], [[2, 4]] * 3)


def test_grad_with_respect_to_the_trainable_part_of_a_state(fn):
    state = fn.init()

    def loss(weights):
        return fn(state.replace(weights), {"x:0": X}, "loss:0")[1]

    slopes = jax.grad(loss)({name: state[name] for name in fn.trainable})
    assert_array_equal(slopes["w"], X)


def test_a_bound_function_is_exported_and_called_as_it_was(fn):
    state = fn.init()
    with jax.enable_x64(True):
        x = jnp.asarray(X)
    exported = jax.export.export(jax.jit(fn.bind(["x:0"], ["loss:0", "train_op"])))(state, x)
    after, (loss, _) = exported.call(state, x)
    assert is_as_tensorflow_has_it(after) and float(loss) == 28.0 and int(after["global_step"]) == 1


def test_a_donated_state_is_used_up(fn):
    step = jax.jit(fn.bind(["x:0"], "train_op"), donate_argnums=0)
    before = fn.init()
    after, _ = step(before, X)
    assert before["w"].is_deleted() and not after["w"].is_deleted()


def test_a_batch_of_states_trains_under_vmap(fn):
    with jax.enable_x64(True):
        states = {"w": jnp.stack([jnp.ones(3), jnp.zeros(3)]), "global_step": jnp.asarray([1, 2**40])}
        x = jnp.asarray(X)
    after, (losses, _) = jax.vmap(fn.bind(["x:0"], ["loss:0", "train_op"]), (0, None))(states, x)
    assert_array_equal(losses, [12.0, 0.0])
    assert after["global_step"].dtype == np.int64 and after["global_step"].tolist() == [2, 2**40 + 1]
    assert_array_equal(after["w"], [[0.0, -1.0, -2.0], [-1.0, -2.0, -3.0]])
