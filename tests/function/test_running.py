"""Fetches, state, effects: a call of `fn` beside what a session does."""

from collections import OrderedDict, namedtuple

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
from mgjax.errors import FailedPreconditionError, FeedError, InternalError, NotFoundError, UnknownNameError
from tests.live import meta_graph_of, tf

Pair = namedtuple("Pair", ["left", "right"])
X = np.array([2.0, 4.0, 6.0])


def test_fetches_nest_as_in_a_session(fn):
    state = fn.init()
    wanted = {"a": "loss:0", "b": ["train_op", Pair(left="x:0", right=("loss",))], "c": OrderedDict(d=[])}
    _, found = fn(state, {"x:0": X}, wanted)
    assert float(found["a"]) == 28.0 and found["b"][0] is None and found["c"] == OrderedDict(d=[])
    assert isinstance(found["b"][1], Pair) and isinstance(found["b"][1].right, tuple)
    assert_array_equal(found["b"][1].left, X)
    assert list(found) == ["a", "b", "c"] and type(found["c"]) is OrderedDict


def test_one_fetch_gives_one_result_and_none_gives_none(fn):
    state = fn.init()
    assert float(fn(state, {"x:0": X}, "loss")[1]) == 28.0
    assert fn(state, {"x:0": X}, fn.operations["loss"])[1] is None
    assert fn(state, {}, [])[1] == [] and fn(state, {})[1] == ()


def test_a_variable_is_fetched_as_it_is_after_the_run(fn):
    state, (w, _) = fn(fn.init(), {"x:0": X}, [fn.variables["w"], "train_op"])
    assert_array_equal(w, [0.0, 0.0, 0.0])
    assert_array_equal(state["w"], w)


def test_a_call_changes_nothing_that_it_was_given(fn):
    before = fn.init()
    after, _ = fn(before, {"x:0": X}, "train_op")
    assert int(before["global_step"]) == 0 and int(after["global_step"]) == 1
    assert_array_equal(before["w"], [1.0, 2.0, 3.0])


def test_a_plain_dict_is_a_state(fn):
    given = {"w": np.ones(3), "global_step": np.int64(5)}
    after, loss = fn(given, {"x:0": X}, ["loss:0", "train_op"])
    assert float(loss[0]) == 12.0 and given.keys() == {"w", "global_step"} and given["global_step"] == 5
    assert dict(after).keys() == {"w", "global_step"} and int(after["global_step"]) == 6
    assert_array_equal(fn(dict(after), {"x:0": X}, "loss:0")[1], -16.0)


def test_a_fetch_needs_only_the_variables_that_it_reads(fn):
    state, loss = fn({"w": np.ones(3)}, {"x:0": X}, "loss:0")
    assert float(loss) == 12.0 and list(state) == ["w"]


def test_an_uninitialized_variable_is_named(fn):
    with pytest.raises(FailedPreconditionError, match=r"uninitialized value w \(read by .*restore a checkpoint"):
        fn({}, {"x:0": X}, "loss:0")
    with pytest.raises(FailedPreconditionError, match="uninitialized value w"):
        fn({}, {}, "w:0")


@pytest.mark.parametrize(
    "use, error",
    [
        (lambda w: tf.raw_ops.ReadVariableOp(resource=w, dtype=tf.float32), FailedPreconditionError),
        (lambda w: tf.raw_ops.VariableShape(input=w), NotFoundError),
        (lambda w: tf.raw_ops.AssignAddVariableOp(resource=w, value=[1.0]), NotFoundError),
        (lambda w: tf.raw_ops.ResourceGather(resource=w, indices=[0], dtype=tf.float32), NotFoundError),
        (lambda w: tf.raw_ops.ResourceScatterAdd(resource=w, indices=[0], updates=[1.0]), NotFoundError),
        (lambda w: tf.raw_ops.ResourceApplyGradientDescent(var=w, alpha=0.1, delta=[1.0]), InternalError),
    ],
    ids=["read", "shape", "add", "gather", "scatter", "optimizer"],
)
def test_ops_on_an_uninitialized_resource_fail_as_in_tensorflow_1_15(use, error):
    with tf.Graph().as_default() as graph:
        used = use(tf.get_variable("w", [1], use_resource=True).handle)
        name = used.name if isinstance(used, tf.Operation) else used.op.name
    fn = mgjax.import_graph_def(graph.as_graph_def())
    with pytest.raises(error, match="uninitialized value w") as raised:
        fn({}, {}, name if isinstance(used, tf.Operation) else f"{name}:0")
    assert raised.value.code == error.code


@pytest.mark.parametrize("held, message", [
    (np.ones(4), r"variable 'w' is of \[3\] in the graph and of \[4\] in the state"),
    (np.ones(3, complex), "'w' takes float64; the value"),
    (["a", "b", "c"], "'w' takes float64; the value"),
])  # fmt: skip
def test_a_state_that_does_not_fit_the_graph_is_a_feed_error(fn, held, message):
    with pytest.raises(FeedError, match=message):
        fn({"w": held}, {"x:0": X}, "loss:0")


@pytest.mark.parametrize("held", [[1, 1, 1], np.ones(3, np.float32), np.ones(3, np.int64)])
def test_a_state_may_hold_what_a_feed_may_be(fn, held):
    _, loss = fn({"w": held}, {"x:0": X}, "loss:0")
    assert loss.dtype == np.float64 and float(loss) == 12.0


def test_init_runs_the_graphs_own_initializers(fn):
    state = fn.init()
    assert state["global_step"].dtype == np.int64 and state["w"].dtype == np.float64
    assert_array_equal(state["w"], [1.0, 2.0, 3.0])


def noisy():
    tf.get_variable("free", [4], initializer=tf.random_uniform_initializer(), use_resource=False)
    tf.get_variable("fixed", [4], initializer=tf.random_uniform_initializer(seed=3), use_resource=False)
    tf.identity(tf.random_uniform([4]), name="draw")


def test_the_seed_decides_what_no_seed_of_the_graph_does():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(noisy))
    one, same, other = fn.init(seed=1), fn.init(seed=1), fn.init(seed=2)
    assert_array_equal(one["free"], same["free"])
    assert not np.array_equal(one["free"], other["free"])
    assert_array_equal(one["fixed"], other["fixed"])


def test_draws_go_on_in_the_state_and_start_again_without_it():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(noisy))
    state = fn.init(seed=1)
    after, first = fn(state, {}, "draw:0")
    _, second = fn(after, {}, "draw:0")
    _, again = fn(state, {}, "draw:0")
    assert not np.array_equal(first, second)
    assert_array_equal(first, again)


def test_state_is_a_pytree_whose_leaves_are_its_arrays(fn):
    state = fn.init()
    doubled = jax.tree_util.tree_map(lambda array: np.asarray(array) * 2, state)
    assert isinstance(doubled, mgjax.State)
    assert_array_equal(doubled["w"], [2.0, 4.0, 6.0])
    assert {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(state)} == {"w", "global_step"}
    assert_array_equal(state.replace({"w": np.zeros(3)})["w"], np.zeros(3))


def test_what_the_graph_holds_is_found_by_name(fn):
    assert "x" in fn.feeds and str(fn.feeds["x"]) == "Tensor('x:0', float64[3])"
    assert list(fn.variables) == ["w", "global_step"] and list(fn.trainable) == ["w"]
    assert fn.variables["global_step"].is_resource and not fn.variables["w"].is_resource
    assert fn.operations["loss"].op == "Sum" and "loss" in fn.operations and len(fn.operations) > 10
    with pytest.raises(UnknownNameError, match="the nearest names are 'loss'"):
        fn.operations["los"]


def test_collections_hold_elements_of_the_graph(fn):
    assert fn.collections["trainable_variables"] == [fn.variables["w"]]
    assert fn.collections["variables"] == [fn.variables["w"], fn.variables["global_step"]]
    assert fn.collections["train_op"] == [fn.operations["train_op"]]


def test_what_a_collection_names_in_vain_stays_a_name(counting_graph):
    message = type(counting_graph)()
    message.CopyFrom(counting_graph)
    message.collection_def["broken"].node_list.value.extend(["loss:0", "gone:0", "gone", "loss:9"])
    message.collection_def["variables"].bytes_list.value.append(b"\xff\xff")
    fn, _ = mgjax.import_meta_graph(message)
    assert fn.collections["broken"] == [fn.tensor("loss:0"), "gone:0", "gone", "loss:9"]
    assert fn.collections["variables"][-1] == b"\xff\xff" and len(fn.variables) == 2


def test_the_text_of_a_fetch_before_and_after_the_passes(fn):
    before = fn.ir(["x"], ["loss"], after_passes=False)
    after = fn.ir(["x"], ["loss"])
    assert before.startswith("graph @main(%x:0: float64[3])") and "%w = VariableV2()" in before
    assert after.startswith("func @main(%x:0: float64[3], %w: float64[3])") and "VariableV2" not in after
    assert fn.module().main.name == "main" and len(fn.module().main.body.operations) == len(fn.operations)


def test_a_variable_may_change_its_shape_where_the_graph_says_so():
    def build():
        v = tf.get_variable("v", initializer=np.float32([1, 2]), use_resource=False)
        tf.assign(v, tf.placeholder(tf.float32, [None], name="x"), validate_shape=False, name="grow")

    fn, saver = mgjax.import_meta_graph(meta_graph_of(build))
    state, _ = fn(fn.init(), {"x:0": np.float32([1, 2, 3])}, fn.operations["grow"])
    assert fn(state, {}, "v:0")[1].tolist() == [1, 2, 3] and saver is not None


def unseeded():
    tf.identity(tf.random_uniform([3]), name="draw")
    tf.get_variable("w", initializer=tf.random_normal([4]))


def test_the_seed_that_was_chosen_can_be_read_back_to_repeat_the_run():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(unseeded))
    state = fn.init()
    again = fn.init(seed=state.seed)
    assert_array_equal(state["w"], again["w"])
    first, second = (fn(s, {}, "draw:0")[1] for s in (state, again))
    assert_array_equal(first, second)
    assert fn.init().seed != state.seed


def test_a_seed_given_is_the_seed_read_back_and_others_draw_other_numbers():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(unseeded))
    states = [fn.init(seed=seed) for seed in (0, 7, 2**127)]
    assert [state.seed for state in states] == [0, 7, 2**127]
    assert len({float(state["w"][0]) for state in states}) == 3
    with pytest.raises(ValueError, match="a seed is an integer from 0"):
        fn.init(seed=-1)
