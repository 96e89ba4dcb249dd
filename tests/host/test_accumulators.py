"""Accumulators of gradients beside a live TensorFlow, in sessions and out of them."""

import pytest

import mgjax
from mgjax import errors
from tests.host.live_state import check_runs, check_session
from tests.live import meta_graph_of, tf

raw = tf.raw_ops


def dense():
    value, step = tf.placeholder(tf.float32, name="v"), tf.placeholder(tf.int64, name="s")
    for name, shape, reduction in (("mean", [2], "MEAN"), ("sum", [None], "SUM")):
        handle = raw.ConditionalAccumulator(dtype=tf.float32, shape=shape, reduction_type=reduction, name=name)
        raw.AccumulatorApplyGradient(handle=handle, local_step=step, gradient=value, name=f"{name}_apply")
        for required in (0, 1, 2):
            raw.AccumulatorTakeGradient(
                handle=handle, num_required=required, dtype=tf.float32, name=f"{name}_take{required}"
            )
        raw.AccumulatorNumAccumulated(handle=handle, name=f"{name}_count")
        raw.AccumulatorSetGlobalStep(handle=handle, new_global_step=step, name=f"{name}_step")


def gradient(*values, step=0):
    return {"v:0": list(values), "s:0": step}


def dense_runs(name):
    return [
        (f"{name}_apply", gradient(1.0, 2.0)), (f"{name}_apply", gradient(4.0, 2.0)), (f"{name}_count:0", {}),
        (f"{name}_take2:0", {}), (f"{name}_count:0", {}), (f"{name}_apply", gradient(4.0, 2.0)),
        (f"{name}_apply", gradient(4.0, 2.0, step=1)), (f"{name}_count:0", {}), (f"{name}_step", {"s:0": 5}),
        (f"{name}_apply", gradient(3.0, 2.0, step=4)), (f"{name}_take1:0", {}),
        (f"{name}_apply", gradient(3.0, 2.0, step=5)), (f"{name}_count:0", {}), (f"{name}_take0:0", {}),
        (f"{name}_apply", gradient(3.0, 2.0, step=6)), (f"{name}_apply", gradient(3.0, 2.0, 1.0, step=6)),
        (f"{name}_step", {"s:0": 0}), (f"{name}_apply", gradient(-3.0, 2.0)), (f"{name}_take1:0", {}),
    ]  # fmt: skip


def test_dense_accumulators_count_steps_and_divide_as_tensorflows():
    check_runs(dense, dense_runs("mean") + dense_runs("sum"))
    check_session(dense, dense_runs("mean"))


def sparse():
    indices, values = tf.placeholder(tf.int64, name="i"), tf.placeholder(tf.float32, name="v")
    shape = tf.placeholder(tf.int64, name="s")
    for name, declared, reduction in (("known", [3, 2], "MEAN"), ("any", None, "MEAN"), ("sum", [None, 2], "SUM")):
        handle = raw.SparseConditionalAccumulator(
            dtype=tf.float32, shape=tf.TensorShape(declared), reduction_type=reduction, name=name
        )
        for says, knows in (("shaped", True), ("shapeless", False)):
            raw.SparseAccumulatorApplyGradient(
                handle=handle, local_step=100, gradient_indices=indices, gradient_values=values, gradient_shape=shape,
                has_known_shape=knows, name=f"{name}_{says}",
            )  # fmt: skip
        raw.SparseAccumulatorTakeGradient(handle=handle, num_required=1, dtype=tf.float32, name=f"{name}_take")
        raw.AccumulatorNumAccumulated(handle=handle, name=f"{name}_count")


@pytest.mark.parametrize("name", ["known", "any", "sum"])
def test_sparse_accumulators_merge_rows_as_tensorflows(name):
    one = {"i:0": [0, 2], "v:0": [[1.0, 2.0], [3.0, 4.0]], "s:0": [3, 2]}
    two = {"i:0": [1, 2], "v:0": [[5.0, 2.0], [7.0, -4.0]], "s:0": [3, 2]}
    turned = {**two, "i:0": [2, 1]}
    taken = [f"{name}_take:{i}" for i in range(3)]
    runs = [
        (f"{name}_shaped", one), (f"{name}_shaped", two), (f"{name}_count:0", {}), (taken, {}),
        (f"{name}_shaped", one), (f"{name}_shaped", turned), (taken, {}), (f"{name}_shapeless", {**one, "s:0": []}),
        (f"{name}_count:0", {}), (taken, {}), (f"{name}_shaped", {**one, "i:0": [[0, 2]]}),
        (f"{name}_shaped", {**one, "i:0": [0]}), (f"{name}_shaped", {**one, "v:0": 3.0}), (f"{name}_count:0", {}),
    ]  # fmt: skip
    check_runs(sparse, runs)


def test_taking_from_an_accumulator_without_enough_is_refused_outside_of_a_session():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(dense))
    state, _ = fn({}, gradient(1.0, 2.0), "mean_apply")
    with pytest.raises(errors.OutOfRangeError, match=r"AccumulatorTakeGradient 'mean_take2'.*2 gradients are wanted"):
        fn(state, {}, "mean_take2:0")
