"""Writes boosted_trees.json.gz: boosted trees op by op, and estimators that train, in TensorFlow 1.15 (Python 3.7).

Run as `python make_boosted_trees.py` in this folder.
"""

import os
import tempfile

import numpy as np
from google.protobuf import text_format
from recording import files_of, record, recorded_runs, text, tf, threads, write
from tensorflow.core.kernels.boosted_trees import boosted_trees_pb2
from tensorflow.python.ops import resources

raw = tf.raw_ops
float32, int32 = np.float32, np.int32


def draw(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(float32)


def placeholders(**dtypes):
    return {name: tf.placeholder(dtype, name=name) for name, dtype in dtypes.items()}


# ---- ops without state


def splits():
    p = placeholders(range=tf.int32, stats=tf.float32, l1=tf.float32, l2=tf.float32, tree=tf.float32, least=tf.float32)
    raw.BoostedTreesCalculateBestGainsPerFeature(
        node_id_range=p["range"], stats_summary_list=[p["stats"], p["stats"][:, ::-1]], l1=p["l1"], l2=p["l2"],
        tree_complexity=p["tree"], min_node_weight=p["least"], max_splits=4, name="gains",
    )  # fmt: skip


def splits_of_dimensions():
    p = placeholders(range=tf.int32, stats=tf.float32, l1=tf.float32, l2=tf.float32, tree=tf.float32, least=tf.float32)
    for name, logits in (("one", 1), ("two", 2)):
        for split_type in ("inequality", "equality"):
            raw.BoostedTreesCalculateBestFeatureSplit(
                node_id_range=p["range"], stats_summary=p["stats"], l1=p["l1"], l2=p["l2"], tree_complexity=p["tree"],
                min_node_weight=p["least"], logits_dimension=logits, split_type=split_type, name=f"{name}_{split_type}",
            )  # fmt: skip


def split_runs(fetches, stats):
    for range_, l1, l2, tree, least in (
        ([0, 4], 0.0, 0.0, 0.0, 0.0), ([1, 3], 0.0, 1.0, 0.5, 0.0), ([0, 4], 0.0, 0.1, 0.0, 6.0), ([2, 2], 0.0, 0.0, 0.0, 0.0),
        ([0, 4], 0.7, 0.3, 0.1, 0.0),
    ):  # fmt: skip
        feeds = {"range:0": np.array(range_, int32), "stats:0": stats}
        feeds.update({"l1:0": float32(l1), "l2:0": float32(l2), "tree:0": float32(tree), "least:0": float32(least)})
        for names in fetches:
            yield names, feeds


def two_logit_runs():
    random = np.random.RandomState(6)
    diagonal = np.concatenate([random.randn(4, 3, 6, 2), np.abs(random.randn(4, 3, 6, 2))], axis=-1).astype(float32)
    roots = random.randn(4, 3, 6, 2, 2)
    whole = np.einsum("...ij,...kj->...ik", roots, roots).reshape(4, 3, 6, 4)
    whole = np.concatenate([random.randn(4, 3, 6, 2), whole], axis=-1).astype(float32)
    for stats in (diagonal, whole):
        for fetches, feeds in split_runs(
            [[f"two_{kind}:{i}" for i in range(7)] for kind in ("inequality", "equality")], stats
        ):
            yield fetches, dict(feeds, **{"l2:0": feeds["l2:0"] + float32(0.5)})


def stats_runs():
    random = np.random.RandomState(7)
    for batch in (500, 0):
        yield (
            ["make:0", "aggregate:0"],
            {
                "nodes:0": random.randint(0, 4, batch).astype(int32),
                "gradients:0": random.randn(batch, 1).astype(float32),
                "hessians:0": np.abs(random.randn(batch, 1)).astype(float32),
                "feature:0": random.randint(0, 5, (batch, 2)).astype(int32),
            },
        )


def stats_of(*shape, seed, zeros=0.3, ties=False):
    random = np.random.RandomState(seed)
    stats = np.stack([random.randn(*shape), np.abs(random.randn(*shape))], axis=-1).astype(float32)
    if ties:
        stats = np.round(stats)
    stats[random.rand(*shape) < zeros] = 0
    return stats


def dense_stats():
    p = placeholders(nodes=tf.int32, gradients=tf.float32, hessians=tf.float32, feature=tf.int32)
    raw.BoostedTreesMakeStatsSummary(
        node_ids=p["nodes"], gradients=p["gradients"], hessians=p["hessians"], max_splits=4, num_buckets=5,
        bucketized_features_list=[p["feature"][:, 0], p["feature"][:, 1]], name="make",
    )  # fmt: skip
    raw.BoostedTreesAggregateStats(
        node_ids=p["nodes"], gradients=p["gradients"], hessians=p["hessians"], feature=p["feature"],
        max_splits=4, num_buckets=5, name="aggregate",
    )  # fmt: skip


def sparse_stats():
    p = placeholders(
        nodes=tf.int32, gradients=tf.float32, hessians=tf.float32, indices=tf.int32, values=tf.int32, shape=tf.int32
    )
    summary = raw.BoostedTreesSparseAggregateStats(
        node_ids=p["nodes"], gradients=p["gradients"], hessians=p["hessians"], feature_indices=p["indices"],
        feature_values=p["values"], feature_shape=p["shape"], max_splits=4, num_buckets=5, name="aggregate",
    )  # fmt: skip
    p = placeholders(range=tf.int32, l1=tf.float32, l2=tf.float32, tree=tf.float32, least=tf.float32)
    raw.BoostedTreesSparseCalculateBestFeatureSplit(
        node_id_range=p["range"], stats_summary_indices=summary[0], stats_summary_values=summary[1],
        stats_summary_shape=summary[2], l1=p["l1"], l2=p["l2"], tree_complexity=p["tree"], min_node_weight=p["least"],
        logits_dimension=1, name="split",
    )  # fmt: skip


def sparse_runs():
    random = np.random.RandomState(3)
    for batch, dimensions, share in ((40, 3, 0.5), (200, 1, 0.1), (30, 7, 0.05), (5, 2, 0.0)):
        indices = np.argwhere(random.rand(batch, dimensions) < share).astype(int32)
        feeds = {
            "nodes:0": random.randint(1, 4, batch).astype(int32),
            "gradients:0": random.randn(batch, 1).astype(float32),
            "hessians:0": np.abs(random.randn(batch, 1)).astype(float32),
            "indices:0": indices.reshape(-1, 2),
            "values:0": random.randint(0, 5, len(indices)).astype(int32),
            "shape:0": np.array([batch, dimensions], int32),
            "range:0": np.array([1, 4], int32),
        }
        yield ["aggregate:0", "aggregate:1", "aggregate:2"], feeds
        for l1, l2, tree, least in ((0.0, 0.1, 0.0, 0.0), (0.5, 0.5, 0.2, 10.0)):
            feeds = dict(feeds)
            feeds.update({"l1:0": float32(l1), "l2:0": float32(l2), "tree:0": float32(tree), "least:0": float32(least)})
            yield [f"split:{i}" for i in range(7)], feeds


# ---- quantiles


def quantiles():
    p = placeholders(values=tf.float32, more=tf.float32, weights=tf.float32, count=tf.int64)
    handle = raw.BoostedTreesQuantileStreamResourceHandleOp(shared_name="streams", name="handle")
    raw.IsBoostedTreesQuantileStreamResourceInitialized(quantile_stream_resource_handle=handle, name="is_there")
    for name, epsilon, streams in (("create", 0.05, 2), ("zero", 0.0, 2)):
        raw.BoostedTreesCreateQuantileStreamResource(
            quantile_stream_resource_handle=handle, epsilon=epsilon, num_streams=streams, max_elements=2000, name=name
        )
    summaries = raw.BoostedTreesMakeQuantileSummaries(
        float_values=[p["values"], p["more"]], example_weights=p["weights"], epsilon=0.1, name="summaries"
    )
    raw.BoostedTreesQuantileStreamResourceAddSummaries(
        quantile_stream_resource_handle=handle, summaries=summaries, name="add"
    )
    raw.BoostedTreesFlushQuantileSummaries(quantile_stream_resource_handle=handle, num_features=2, name="summarize")
    for name, generate in (("flush", False), ("flush_quantiles", True)):
        raw.BoostedTreesQuantileStreamResourceFlush(
            quantile_stream_resource_handle=handle, num_buckets=p["count"], generate_quantiles=generate, name=name
        )
    boundaries = raw.BoostedTreesQuantileStreamResourceGetBucketBoundaries(
        quantile_stream_resource_handle=handle, num_features=2, name="boundaries"
    )
    raw.BoostedTreesBucketize(float_values=[p["values"], p["more"]], bucket_boundaries=boundaries, name="buckets")
    raw.BoostedTreesQuantileStreamResourceDeserialize(
        quantile_stream_resource_handle=handle, bucket_boundaries=[p["values"], p["more"]], name="restore"
    )


def quantile_runs():
    both = ["boundaries:0", "boundaries:1"]
    yield "is_there:0", {}
    yield both, {}
    yield "zero", {}
    yield "create", {}
    yield "create", {}
    yield "is_there:0", {}
    yield both, {}

    def feeds(size, seed, weights=None, digits=1):
        values = np.round(draw(size, seed=seed), digits)
        return {
            "values:0": values,
            "more:0": np.floor(draw(size, seed=seed + 1) * 3),
            "weights:0": np.ones(1, float32) if weights is None else weights,
        }

    yield ["summaries:0", "summaries:1"], feeds(4, 1, np.array([1, 2, 0, 3], float32))
    yield ["summaries:0", "summaries:1"], feeds(4, 1, np.array([1, 2], float32))
    # Weights whose sums are exact in any order.
    yield ["summaries:0", "summaries:1"], feeds(3000, 2, np.arange(3000, dtype=float32) % 7 / 4, digits=4)
    for seed in range(6):
        yield "add", feeds(300, seed, digits=5)
    yield ["summarize:0", "summarize:1"], {}
    yield ["summarize:0", "summarize:1"], {}
    for flush, count in (
        ("flush", 10),
        ("flush_quantiles", 10),
        ("flush", 3),
        ("flush_quantiles", 100),
        ("flush", 500),
    ):
        for seed in range(4):
            yield "add", feeds(200, seed, digits=5)
        yield flush, {"count:0": np.int64(count)}
        yield both, {}
    yield ["buckets:0", "buckets:1"], feeds(50, 9)
    yield "flush", {"count:0": np.int64(5)}
    yield both, {}
    yield ["buckets:0", "buckets:1"], feeds(5, 9)
    yield "restore", feeds(5, 3)
    yield both, {}


# ---- ensembles

TREES = """
trees {
  nodes { bucketized_split { feature_id: 1 threshold: 2 left_id: 1 right_id: 2 } metadata { gain: 7.5 } }
  nodes {
    bucketized_split { feature_id: 0 threshold: 1 left_id: 3 right_id: 4 }
    metadata { gain: 1.5 original_leaf { scalar: 0.375 } }
  }
  nodes { leaf { scalar: -1.1 } }
  nodes { leaf { scalar: 8.25 } }
  nodes { leaf { scalar: 3.3 } }
}
trees {
  nodes {
    categorical_split { feature_id: 0 value: 3 left_id: 1 right_id: 2 }
    metadata { gain: 2.5 original_leaf { scalar: 0.1 } }
  }
  nodes { leaf { scalar: 0.3 } }
  nodes { leaf { scalar: -0.7 } }
}
trees { nodes { leaf { scalar: 0.2 } } }
tree_weights: 0.1 tree_weights: 1.0 tree_weights: 0.3
tree_metadata { num_layers_grown: 2 is_finalized: true }
tree_metadata {
  num_layers_grown: 2 is_finalized: true
  post_pruned_nodes_meta { new_node_id: 0 logit_change: 0.0 }
  post_pruned_nodes_meta { new_node_id: 1 logit_change: 0.0 }
  post_pruned_nodes_meta { new_node_id: 2 logit_change: 0.0 }
  post_pruned_nodes_meta { new_node_id: 1 logit_change: 0.25 }
  post_pruned_nodes_meta { new_node_id: 1 logit_change: -0.4 }
}
tree_metadata { }
growing_metadata { num_trees_attempted: 3 num_layers_attempted: 5 last_layer_node_start: 0 last_layer_node_end: 1 }
"""
STATES = [f"states:{i}" for i in range(5)]
SERIALIZED = ["serialize:0", "serialize:1"]


def ensemble():
    p = placeholders(
        stamp=tf.int64, serialized=tf.string, trees=tf.int32, nodes=tf.int32, first=tf.int32, second=tf.int32
    )
    handle = raw.BoostedTreesEnsembleResourceHandleOp(shared_name="ensemble", name="handle")
    raw.IsBoostedTreesEnsembleInitialized(tree_ensemble_handle=handle, name="is_there")
    for name, op in (("create", raw.BoostedTreesCreateEnsemble), ("restore", raw.BoostedTreesDeserializeEnsemble)):
        op(tree_ensemble_handle=handle, stamp_token=p["stamp"], tree_ensemble_serialized=p["serialized"], name=name)
    raw.BoostedTreesSerializeEnsemble(tree_ensemble_handle=handle, name="serialize")
    raw.BoostedTreesGetEnsembleStates(tree_ensemble_handle=handle, name="states")
    features = [p["first"], p["second"]]
    raw.BoostedTreesPredict(
        tree_ensemble_handle=handle, bucketized_features=features, logits_dimension=1, name="predict"
    )
    raw.BoostedTreesTrainingPredict(
        tree_ensemble_handle=handle, cached_tree_ids=p["trees"], cached_node_ids=p["nodes"],
        bucketized_features=features, logits_dimension=1, name="further",
    )  # fmt: skip
    raw.BoostedTreesExampleDebugOutputs(
        tree_ensemble_handle=handle, bucketized_features=features, logits_dimension=1, name="explain"
    )
    p = placeholders(gradients=tf.float32, hessians=tf.float32, l1=tf.float32, l2=tf.float32)
    raw.BoostedTreesCenterBias(
        tree_ensemble_handle=handle, mean_gradients=p["gradients"], mean_hessians=p["hessians"], l1=p["l1"], l2=p["l2"],
        name="center",
    )  # fmt: skip


def prediction_runs():
    trees = text_format.Parse(TREES, boosted_trees_pb2.TreeEnsemble())
    random = np.random.RandomState(0)
    features = {"first:0": random.randint(0, 5, 20).astype(int32), "second:0": random.randint(0, 5, 20).astype(int32)}
    cached = {
        "trees:0": np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2], int32),
        "nodes:0": np.array([-1, 0, 1, 2, 3, 4, -1, 0, 1, 2, 3, 4, -1, 0, 3, 4, 3, 4, 0, -1], int32),
    }
    yield "is_there:0", {}
    yield STATES, {}
    yield "predict:0", features
    yield "create", {"stamp:0": np.int64(3), "serialized:0": b""}
    yield "is_there:0", {}
    yield STATES, {}
    yield "predict:0", features
    yield ["further:0", "further:1", "further:2"], dict(features, **cached)
    yield "create", {"stamp:0": np.int64(4), "serialized:0": trees.SerializeToString()}
    yield SERIALIZED, {}
    yield "restore", {"stamp:0": np.int64(7), "serialized:0": trees.SerializeToString()}
    yield SERIALIZED, {}
    yield STATES, {}
    yield "predict:0", features
    yield "predict:0", {name: value[:1] for name, value in features.items()}
    yield "predict:0", {name: value[:0] for name, value in features.items()}
    yield ["further:0", "further:1", "further:2"], dict(features, **cached)
    # TensorFlow crashes where the first root had no value before it was split.
    trees.trees[0].nodes[0].metadata.original_leaf.scalar = 0.7
    yield "restore", {"stamp:0": np.int64(8), "serialized:0": trees.SerializeToString()}
    yield "explain:0", features


def bias_runs():
    yield "create", {"stamp:0": np.int64(0), "serialized:0": b""}
    for gradient, hessian, l1, l2 in (
        (0.0, 0.0, 0, 0),
        (1.5, 0.5, 0, 0),
        (0.3, 0.4, 0.1, 1),
        (1e-3, 1, 0, 0),
        (0, 1, 0, 0),
    ):
        feeds = {"gradients:0": np.full((1, 1), gradient, float32), "hessians:0": np.full((1, 1), hessian, float32)}
        yield "center:0", dict(feeds, **{"l1:0": float32(l1), "l2:0": float32(l2)})
        yield STATES, {}
        yield SERIALIZED, {}
    yield "explain:0", {"first:0": np.zeros(2, int32), "second:0": np.zeros(2, int32)}


def growth(pruning_mode):
    def build():
        ensemble()
        p = placeholders(depth=tf.int32, rate=tf.float32)
        candidates = placeholders(
            node_ids=tf.int32, gains=tf.float32, thresholds=tf.int32, left=tf.float32, right=tf.float32
        )
        turned = {name: value[::-1] for name, value in candidates.items()}
        lists = [
            [c[name] for c in (candidates, turned)] for name in ("node_ids", "gains", "thresholds", "left", "right")
        ]
        lists[1][1] = tf.placeholder(tf.float32, name="other_gains")
        common = {
            "node_ids": lists[0], "gains": lists[1], "thresholds": lists[2], "left_node_contribs": lists[3],
            "right_node_contribs": lists[4], "max_depth": p["depth"], "learning_rate": p["rate"],
        }  # fmt: skip
        handle = tf.get_default_graph().get_tensor_by_name("handle:0")
        raw.BoostedTreesUpdateEnsemble(
            tree_ensemble_handle=handle, feature_ids=[1, 0], pruning_mode=pruning_mode, name="grow", **common
        )
        types = tf.placeholder(tf.string, name="types")
        raw.BoostedTreesUpdateEnsembleV2(
            tree_ensemble_handle=handle, feature_ids=[1, 0], dimension_ids=[candidates["thresholds"]] * 2,
            split_types=[types, types[::-1]], pruning_mode=pruning_mode, name="grow_v2", **common
        )  # fmt: skip

    return build


def growth_runs(op):
    random = np.random.RandomState(5)
    yield "create", {"stamp:0": np.int64(0), "serialized:0": b""}
    features = {"first:0": random.randint(0, 4, 30).astype(int32), "second:0": random.randint(0, 4, 30).astype(int32)}
    cached = {"trees:0": np.zeros(30, int32), "nodes:0": np.full(30, -1, int32)}
    kinds = [b"INEQUALITY_DEFAULT_LEFT", b"INEQUALITY_DEFAULT_RIGHT"]
    for step in range(11):
        (states,) = yield "states:4", {}
        layer = [] if step == 4 else list(range(*states))  # once no split was found
        count = len(layer)
        gains = np.round(random.randn(count), 1).astype(float32)
        yield (
            op,
            {
                "node_ids:0": np.array(layer, int32),
                "gains:0": gains,
                # Some are equal to those of the other feature, which has the nodes in reverse.
                "other_gains:0": gains[::-1] + np.array([0, 0.1, -0.1, 0] * count, float32)[:count],
                "thresholds:0": random.randint(0, 4, count).astype(int32),
                "left:0": random.randn(count, 1).astype(float32),
                "right:0": random.randn(count, 1).astype(float32),
                "types:0": np.array([kinds[i % 2] for i in range(count)], object),
                "depth:0": int32(3),
                "rate:0": float32(0.1),
            },
        )
        yield SERIALIZED, {}
        yield STATES, {}
        yield "predict:0", features
        _, trees, nodes = yield ["further:0", "further:1", "further:2"], dict(features, **cached)
        if step % 2:
            cached = {"trees:0": trees, "nodes:0": nodes}


# ---- estimators


def columns():
    column = tf.feature_column
    vocabulary = column.categorical_column_with_vocabulary_list("c", ["red", "green", "blue"])
    return [
        column.numeric_column("x"),
        column.bucketized_column(column.numeric_column("y"), [-0.5, 0.0, 0.5]),
        column.indicator_column(vocabulary),
    ]


def inputs(batch):
    tf.train.get_or_create_global_step()
    features = {
        "x": tf.placeholder(tf.float32, [batch, 1], name="x"),
        "y": tf.placeholder(tf.float32, [batch, 1], name="y"),
        "c": tf.placeholder(tf.string, [batch, 1], name="c"),
    }
    return features, tf.placeholder(tf.float32, [batch, 1], name="label")


def examples(batch, seed):
    random = np.random.RandomState(seed)
    x, y = np.round(random.randn(2, batch, 1), 3).astype(float32)
    colors = random.randint(0, 3, (batch, 1))
    label = x * np.sign(y) + colors + 0.3 * random.randn(batch, 1) > 0.8
    return {
        "x:0": x,
        "y:0": y,
        "c:0": np.array([b"red", b"green", b"blue"], object)[colors],
        "label:0": label.astype(float32),
    }


def trained(make, batch, batches, steps):
    """The cases of an estimator that trains, and of one that predicts with the checkpoint which that left behind."""
    estimator = make()
    folder = tempfile.mkdtemp()
    prefix = os.path.join(folder, "model")
    data = [examples(batch, seed) for seed in range(batches)]
    with tf.Graph().as_default() as graph:
        spec = estimator._call_model_fn(*inputs(batch), "train", estimator.config)
        shared = resources.initialize_resources(resources.shared_resources())
        local = resources.initialize_resources(resources.local_resources())
        variables = [tf.global_variables_initializer(), tf.local_variables_initializer(), tf.tables_initializer()]
        tf.group(*variables, shared, local, name="begin")
        with tf.control_dependencies([spec.train_op]):
            tf.identity(spec.loss, name="step")
        hooks = [hook._init_op for hook in spec.training_chief_hooks if hasattr(hook, "_init_op")]
        tf.group(*hooks, name="begin_growth")
        saver = tf.train.Saver()
        with tf.Session(config=threads()) as session:
            runs = [("begin", {}), ("begin_growth", {})]
            runs += [("step:0", data[step % batches]) for step in range(steps)]
            rows = recorded_runs(session, runs)
            saver.save(session, prefix, write_meta_graph=False, write_state=False)
        meta_graph = tf.train.export_meta_graph(graph=graph, saver_def=saver.saver_def)
    case = {"graph": text(meta_graph.SerializeToString()), "runs": rows, "files": files_of(prefix)}
    with tf.Graph().as_default() as graph:
        features, _ = inputs(None)
        spec = estimator._call_model_fn(features, None, "infer", estimator.config)
        tf.identity(spec.predictions["logits" if "logits" in spec.predictions else "predictions"], name="prediction")
        tf.tables_initializer()
        saver = tf.train.Saver()
        with tf.Session(config=threads()) as session:
            session.run(tf.tables_initializer())
            saver.restore(session, prefix)
            feeds = {name: value for name, value in examples(20, 9).items() if name != "label:0"}
            rows = recorded_runs(session, [("prediction:0", feeds)])
        meta_graph = tf.train.export_meta_graph(graph=graph, saver_def=saver.saver_def)
    return case, {"graph": text(meta_graph.SerializeToString()), "runs": rows}


def classifier():
    return tf.estimator.BoostedTreesClassifier(
        columns(), n_batches_per_layer=2, n_trees=2, max_depth=3, center_bias=True, learning_rate=0.3
    )


def pruned_regressor():
    return tf.estimator.BoostedTreesRegressor(
        columns(), n_batches_per_layer=1, n_trees=3, max_depth=3, pruning_mode="post", tree_complexity=0.03,
        l1_regularization=0.01, l2_regularization=0.1, learning_rate=0.3, min_node_weight=0.01,
    )  # fmt: skip


def in_memory():
    return tf.estimator.BoostedTreesClassifier(
        columns(),
        n_batches_per_layer=1,
        n_trees=2,
        max_depth=2,
        train_in_memory=True,
        pruning_mode="pre",
        tree_complexity=0.01,
    )


def main():
    one = stats_of(4, 6, seed=1)
    gains = [f"gains:{i}" for i in range(10)]
    cases = {
        "gains": record(
            splits, list(split_runs([gains], one)) + list(split_runs([gains], stats_of(4, 6, seed=2, ties=True)))
        ),
        "splits": record(
            splits_of_dimensions,
            [
                run
                for seed, ties in ((3, False), (4, True))
                for name in ("one_inequality", "one_equality")
                for run in split_runs([[f"{name}:{i}" for i in range(7)]], stats_of(4, 3, 6, seed=seed, ties=ties))
            ],
        ),
        "splits of two logits": record(splits_of_dimensions, two_logit_runs()),
        "dense stats": record(dense_stats, stats_runs()),
        "sparse stats": record(sparse_stats, sparse_runs()),
        "quantiles": record(quantiles, quantile_runs()),
        "predictions": record(ensemble, prediction_runs()),
        "bias": record(ensemble, bias_runs()),
    }
    for pruning_mode in range(3):
        for op in ("grow", "grow_v2"):
            cases[f"{op} {pruning_mode}"] = record(growth(pruning_mode), growth_runs(op))
    for name, make, batch, batches, steps in (
        ("classifier", classifier, 40, 3, 22), ("pruned regressor", pruned_regressor, 60, 2, 12),
        ("in memory", in_memory, 50, 1, 6),
    ):  # fmt: skip
        cases[f"train {name}"], cases[f"predict {name}"] = trained(make, batch, batches, steps)
    write("boosted_trees.json.gz", cases)


if __name__ == "__main__":
    main()
