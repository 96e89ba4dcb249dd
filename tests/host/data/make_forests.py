"""Writes forests.json.gz: tf.contrib's trees, and small ops of tf.contrib, in TensorFlow 1.15 (Python 3.7).

Run as `python make_forests.py` in this folder.
"""

import numpy as np
from recording import record, tf, write
from tensorflow.contrib.boosted_trees.python.ops import gen_stats_accumulator_ops as statistics
from tensorflow.contrib.boosted_trees.python.ops import stats_accumulator_ops  # noqa: F401
from tensorflow.contrib.decision_trees.proto import generic_tree_model_pb2 as trees
from tensorflow.contrib.input_pipeline.python.ops import input_pipeline_ops
from tensorflow.contrib.tensor_forest.proto import tensor_forest_params_pb2 as parameters
from tensorflow.contrib.tensor_forest.python.ops import gen_model_ops as forest
from tensorflow.contrib.tensor_forest.python.ops import gen_stats_ops as forest_stats
from tensorflow.contrib.tensor_forest.python.ops import gen_tensor_forest_ops as forest_ops
from tensorflow.contrib.tensor_forest.python.ops import model_ops, stats_ops, tensor_forest_ops  # noqa: F401
from tensorflow.python.ops import gen_batch_ops as batches

float32, int32, int64 = np.float32, np.int32, np.int64


def placeholders(**dtypes):
    return {name: tf.placeholder(dtype, name=name) for name, dtype in dtypes.items()}


def feeds(**values):
    return {name + ":0": value for name, value in values.items()}


# ---- statistics of gradients


def accumulators(of_tensors):
    def build():
        p = placeholders(
            stamp=tf.int64,
            next=tf.int64,
            partitions=tf.int32,
            features=tf.int64,
            gradients=tf.float32,
            hessians=tf.float32,
        )
        slots = [p["partitions"], p["features"], p["gradients"], p["hessians"]]
        if of_tensors:
            kind, shapes = "tensor", ([2], [2, 2])
        else:
            kind, shapes = "scalar", ()

        def op(name):
            return getattr(statistics, name.format(kind))

        first, second = (
            op("stats_accumulator_{}_resource_handle_op")(shared_name=name) for name in ("first", "second")
        )
        tf.group(*[op("create_stats_accumulator_{}")(h, 0, *shapes) for h in (first, second)], name="create")
        op("stats_accumulator_{}_is_initialized")(first, name="is_created")
        # The second gets the slots in another order, and of another sign.
        both = [
            [slots[0], slots[0][::-1]],
            [slots[1], slots[1][::-1]],
            [slots[2], -slots[2]],
            [slots[3], slots[3][::-1]],
        ]
        op("stats_accumulator_{}_add")([first, second], p["stamp"], *both, name="add")
        for name, handle in (("first", first), ("second", second)):
            op("stats_accumulator_{}_serialize")(handle, name="serialize_" + name)
        op("stats_accumulator_{}_flush")(first, p["stamp"], p["next"], name="flush")
        op("stats_accumulator_{}_deserialize")(first, p["stamp"], p["next"], *slots, name="deserialize")
        op("stats_accumulator_{}_make_summary")(*slots, name="summary")

    return build


def accumulator_runs(of_tensors):
    random = np.random.RandomState(0)

    def slots(count):
        shapes = ((count, 2), (count, 2, 2)) if of_tensors else ((count,), (count,))
        return {
            "partitions": random.randint(0, 3, count).astype(int32),
            "features": random.randint(0, 3, (count, 2)),
            "gradients": random.randn(*shapes[0]).astype(float32),
            "hessians": random.rand(*shapes[1]).astype(float32),
        }

    def serialized(name, start=0):
        return [f"{name}:{i}" for i in range(start, start + 6)]

    yield "is_created:0", {}
    yield serialized("serialize_first"), {}
    yield "add", feeds(stamp=int64(0), **slots(3))
    yield "create", {}
    yield "is_created:0", {}
    yield serialized("serialize_first"), {}
    for stamp in (0, 0, 1):
        yield "add", feeds(stamp=int64(stamp), **slots(9))
        yield serialized("serialize_first") + serialized("serialize_second"), {}
    yield [f"flush:{i}" for i in range(5)], feeds(stamp=int64(0), next=int64(4))
    yield serialized("serialize_first") + serialized("serialize_second"), {}
    yield "add", feeds(stamp=int64(4), **slots(5))
    yield "create", {}
    yield serialized("serialize_first"), {}
    yield "deserialize", feeds(stamp=int64(7), next=int64(3), **slots(4))
    yield serialized("serialize_first"), {}
    yield [f"summary:{i}" for i in range(4)], feeds(**slots(12))
    yield [f"summary:{i}" for i in range(4)], feeds(**slots(0))
    if of_tensors:
        wrong = slots(3)
        yield "add", feeds(stamp=int64(7), **dict(wrong, gradients=wrong["gradients"][:, :1]))


# ---- trees


def params(**fields):
    found = parameters.TensorForestParams(num_outputs=3, num_features=6, num_trees=1, max_nodes=100, **fields)
    # The statistics of leaves cannot be created without.
    for field in ("num_splits_to_consider", "split_after_samples", "dominate_fraction", "min_split_samples"):
        getattr(found, field).constant_value = 4
    found.pruning_type.prune_every_samples.constant_value = 0
    found.finish_type.check_every_steps.constant_value = 1
    return found.SerializeToString()


SPEC = "dense_features_size: 3 dense: [{name: x original_type: 0 size: 3}] sparse: [{name: y original_type: 0 size: 2}]"


def tree(leaf):
    """Tests of all kinds, and leaves that `leaf` fills with a number."""
    model = trees.Model()

    def node(**fields):
        new = model.decision_tree.nodes.add(**fields)
        new.node_id.value = len(model.decision_tree.nodes) - 1
        return new

    def split(left, right):
        binary = node().binary_node
        binary.left_child_id.value, binary.right_child_id.value = left, right
        return binary

    test = split(1, 2).inequality_left_child_test
    test.feature_id.id.value, test.threshold.float_value = "1", 0.25
    test = split(3, 4).inequality_left_child_test
    test.type = trees.InequalityTest.GREATER_THAN
    test.feature_id.id.value, test.threshold.float_value = "0", -0.5
    test = split(5, 6).inequality_left_child_test
    for feature, weight in (("0", 1.5), ("2", -2.0)):
        test.oblique.features.add().id.value = feature
        test.oblique.weights.append(weight)
    test.threshold.float_value = 0.1
    leaf(node().leaf, 1)
    test = split(7, 8).inequality_left_child_test
    test.type = trees.InequalityTest.LESS_THAN
    test.feature_id.id.value, test.threshold.float_value = "4", 1.0
    for number in range(2, 6):
        leaf(node().leaf, number)
    return model.SerializeToString()


def dense_leaf(leaf, number):
    for i in range(3):
        leaf.vector.value.add().float_value = number * (i + 1) % 5


def sparse_leaf(leaf, number):
    leaf.sparse_vector.sparse_value[number % 3].float_value = number
    leaf.sparse_vector.sparse_value[(number + 1) % 3].float_value = 0.5


def forests(params):
    def build():
        p = placeholders(
            config=tf.string, x=tf.float32, indices=tf.int64, values=tf.float32, shape=tf.int64, labels=tf.float32,
            weights=tf.float32, leaves=tf.int32,
        )  # fmt: skip
        handle = forest.decision_tree_resource_handle_op(shared_name="tree")
        stats = forest_stats.fertile_stats_resource_handle_op(shared_name="stats")
        forest.create_tree_variable(handle, p["config"], params=params, name="create")
        forest.tree_deserialize(handle, p["config"], params=params, name="deserialize")
        forest.tree_is_initialized_op(handle, name="is_created")
        forest.tree_serialize(handle, name="serialize")
        forest.tree_size(handle, name="size")
        forest.feature_usage_counts(handle, params=params, name="usage")
        examples = [p["x"], p["indices"], p["values"], p["shape"]]
        forest.tree_predictions_v4(handle, *examples, input_spec=SPEC, params=params, name="predict")
        forest.traverse_tree_v4(handle, *examples, input_spec=SPEC, params=params, name="traverse")
        forest.update_model_v4(handle, p["leaves"], p["labels"], p["weights"], params=params, name="update")
        tf.raw_ops.DestroyResourceOp(resource=handle, name="destroy")
        forest_stats.create_fertile_stats_variable(stats, "", params=params, name="create_stats")
        forest_stats.fertile_stats_is_initialized_op(stats, name="has_stats")

    return build


def forest_runs(config, updates):
    random = np.random.RandomState(3)
    x = random.randn(40, 3).astype(float32)
    indices = np.array([[i, 4] for i in range(0, 40, 2)], int64)
    examples = feeds(x=x, indices=indices, values=random.randn(20).astype(float32) + 1, shape=np.array([40, 5]))
    yield "is_created:0", {}
    yield "size:0", {}
    yield "create", feeds(config=b"\xff\xff")
    yield "create", feeds(config=b"")
    yield ["is_created:0", "size:0"], {}
    yield "predict:0", examples
    yield "deserialize", feeds(config=config)
    yield ["size:0", "usage:0"], {}
    yield ["predict:0", "predict:1"], examples
    yield "traverse:0", examples
    if updates:
        labels = random.randint(0, 3, 12).astype(float32)
        leaves = np.array([3, 5, 6, 7, 8, 3] * 2, int32)
        yield "update", feeds(leaves=leaves, labels=labels, weights=np.array([], float32))
        yield "predict:0", examples
        yield "update", feeds(leaves=leaves, labels=labels, weights=random.rand(12).astype(float32))
        yield "predict:0", examples
    yield "create", feeds(config=b"")
    yield "size:0", {}
    yield "has_stats:0", {}
    yield "create_stats", {}
    yield "has_stats:0", {}
    yield "destroy", {}
    yield "is_created:0", {}


# ---- small ops


def small():
    counter = tf.Variable(np.int64(-1), use_resource=False, name="counter")
    table = tf.Variable(np.zeros((3, 2, 2), float32), use_resource=False, name="table")
    p = placeholders(list=tf.string, indices=tf.int32, deltas=tf.float32, text=tf.string)
    input_pipeline_ops.gen_input_pipeline_ops.obtain_next(p["list"], counter._ref(), name="next")
    forest_ops.scatter_add_ndim(table._ref(), p["indices"], p["deltas"], name="scatter")
    forest_ops.reinterpret_string_to_float(p["text"], name="number")
    tf.global_variables_initializer()


def small_runs():
    yield "init", {}
    words = np.array([b"a", b"b", b"c"], object)
    for _ in range(4):
        yield "next:0", {"list:0": words}
        yield "counter:0", {}
    deltas = np.arange(1, 5, dtype=float32)
    for indices, values in (
        (np.array([[0, 0, 1], [2, 1, 1], [0, 0, 1], [1, 0, 0]], int32), deltas),
        (np.array([[0, 1], [2, 0]], int32), deltas.reshape(2, 2)),
        (np.array([[1], [1]], int32), np.arange(8, dtype=float32).reshape(2, 2, 2)),
        (np.zeros((0, 3), int32), deltas),
        (np.array([[0, 1], [2, 0]], int32), deltas),
        (np.array([[0, 1]], int32), deltas.reshape(2, 2)),
        (np.array([0, 1], int32), deltas.reshape(2, 2)),
    ):
        yield "scatter", feeds(indices=indices, deltas=values)
        yield "table:0", {}
    letters = bytes(bytearray(range(1, 60)))
    yield "number:0", feeds(text=np.array([letters[:i] for i in range(20)] + [letters], object))


def batch_calls():
    p = placeholders(x=tf.int32, y=tf.int32)
    options = {"num_batch_threads": 1, "max_batch_size": 10, "batch_timeout_micros": 1000, "max_enqueued_batches": 10}
    padded = dict(options, allowed_batch_sizes=[3, 5, 10])

    def called(name, f, options, *captured):
        @tf.function(input_signature=[tf.TensorSpec(None, tf.int32)] * (1 + len(captured)), autograph=False)
        def function(*arguments):
            return f(*arguments)

        concrete = function.get_concrete_function()
        batches.batch_function([p["x"]], list(captured), f=concrete, Tout=[tf.int32], name=name, **options)

    called("plain", lambda x: x + 1, options)
    called("summed", lambda x: x + tf.reduce_sum(x), padded)
    called("captured", lambda x, y: x * y + tf.size(x), padded, p["y"])
    called("shapeless", lambda x: tf.reduce_sum(x), options)
    called("longer", lambda x: tf.concat([x, x], 0), options)
    batched, index, task = batches.batch([p["x"], p["y"]], grad_timeout_micros=0, name="batch", **padded)
    tf.identity(index[:, 1:], name="places")
    batches.unbatch(batched[0] * 2, index, task, timeout_micros=100000, name="unbatch")
    batches.unbatch_grad(batched[0], index, batched[1], task, name="unbatch_grad")


def batch_runs():
    for size in (1, 2, 3, 4, 7, 10, 11):
        x = np.arange(5, 5 + size, dtype=int32)
        for name in ("plain", "summed", "captured", "shapeless", "longer"):
            yield name + ":0", feeds(x=x, **({"y": int32(3)} if name == "captured" else {}))
        for fetches in (["batch:0", "batch:1", "places:0"], "unbatch:0", "unbatch_grad:0"):
            yield fetches, feeds(x=x, y=x[::-1] * 10)
    yield "batch:0", feeds(x=int32(1), y=int32(1))
    yield "batch:0", feeds(x=np.zeros(2, int32), y=np.zeros(3, int32))
    yield "plain:0", feeds(x=int32(1))
    yield "plain:0", feeds(x=np.arange(6, dtype=int32).reshape(2, 3))


def main():
    cases = {"small ops": record(small, small_runs()), "batches": record(batch_calls, batch_runs())}
    for of_tensors in (False, True):
        name = "statistics of tensors" if of_tensors else "statistics of scalars"
        cases[name] = record(accumulators(of_tensors), accumulator_runs(of_tensors))
    for name, fields, leaf in (
        ("dense classes", {}, dense_leaf),
        ("dense classes with paths", {"inference_tree_paths": True}, dense_leaf),
        ("sparse classes", {"leaf_type": 1}, sparse_leaf),
        ("regression", {"leaf_type": 2, "is_regression": True}, dense_leaf),
    ):
        given = params(**fields)
        cases["tree of " + name] = record(forests(given), forest_runs(tree(leaf), updates=True))
    write("forests.json.gz", cases)


if __name__ == "__main__":
    main()
