"""Writes learners.json.gz: dual coordinate ascent and k-means in TensorFlow 1.15 (Python 3.7).

Run as `python make_learners.py` in this folder.
"""

import numpy as np
from recording import record, tf, write
from tensorflow.contrib.factorization.python.ops import clustering_ops
from tensorflow.contrib.linear_optimizer.python.ops import sdca_ops
from tensorflow.contrib.linear_optimizer.python.ops.sparse_feature_column import SparseFeatureColumn
from tensorflow.python.ops import gen_clustering_ops as clustering

raw = tf.raw_ops
float32, int64 = np.float32, np.int64
LOSSES = ("logistic_loss", "squared_loss", "hinge_loss", "smooth_hinge_loss", "poisson_loss")


# ---- dual coordinate ascent


def fingerprints():
    raw.SdcaFprint(input=tf.placeholder(tf.string, name="text"), name="fingerprint")


def fingerprint_runs():
    letters = bytes(np.random.RandomState(0).randint(0, 256, 700).astype(np.uint8))
    texts = [
        letters[i : i + n]
        for i, n in enumerate([*range(40), 63, 64, 65, 127, 128, 129, 143, 144, 160, 200, 255, 256, 300, 500])
    ]
    yield "fingerprint:0", {"text:0": np.array(texts, object)}
    yield "fingerprint:0", {"text:0": np.array([], object)}
    yield "fingerprint:0", {"text:0": np.array([[b"a"]], object)}


def shrinking():
    first = tf.Variable([[-3.0, 0.2], [0.5, 1.5]], use_resource=False, name="first")
    second = tf.Variable([0.1, -0.1, 0.6], use_resource=False, name="second")
    tf.global_variables_initializer()
    raw.SdcaShrinkL1(weights=[first._ref(), second._ref()], l1=0.5, l2=2.0, name="shrink")


def optimizer(loss, l1, l2, partitions, adaptive=False):
    def build():
        p = {}
        for name in ("examples", "features", "known"):
            p[name] = tf.placeholder(tf.int64, name=name)
        for name in ("values", "dense", "weights", "labels", "sparse_weights", "dense_weights", "state"):
            p[name] = tf.placeholder(tf.float32, name=name)
        raw.SdcaOptimizerV2(
            sparse_example_indices=[p["examples"], p["examples"]], sparse_feature_indices=[p["features"], p["features"]],
            sparse_feature_values=[p["values"]], dense_features=[p["dense"]], example_weights=p["weights"],
            example_labels=p["labels"], sparse_indices=[p["known"], p["known"]],
            sparse_weights=[p["sparse_weights"], 2 * p["sparse_weights"]], dense_weights=[p["dense_weights"]],
            example_state_data=p["state"], loss_type=loss, l1=l1, l2=l2, num_loss_partitions=partitions,
            num_inner_iterations=1, adaptive=adaptive, name="train",
        )  # fmt: skip

    return build


def one_example_runs():
    """Of one example there is but one order."""
    random = np.random.RandomState(1)
    state = np.zeros((1, 4), float32)
    for step in range(8):
        feeds = {
            "examples:0": np.zeros(3, int64),
            "features:0": np.array([7, 2, 9], int64),
            "known:0": np.array([2, 9, 7, 4], int64),
            "values:0": random.randn(3).astype(float32),
            "dense:0": random.randn(1, 5).astype(float32),
            "weights:0": np.array([1.0 if step < 5 else 0.3], float32),
            "labels:0": np.array([step % 2], float32),
            "sparse_weights:0": random.randn(4).astype(float32),
            "dense_weights:0": random.randn(5).astype(float32),
            "state:0": state if step % 3 else np.zeros((1, 4), float32),
        }
        results = yield [f"train:{i}" for i in range(4)], feeds
        state = results[0]
    for name, wrong in (
        ("features:0", np.array([7, 3, 9], int64)), ("features:0", np.array([7, 7, 9], int64)),
        ("labels:0", np.array([-2.0], float32)), ("state:0", np.zeros((2, 4), float32)),
        ("labels:0", np.zeros(2, float32)),
    ):  # fmt: skip
        yield "train:0", dict(feeds, **{name: wrong})


def linear_model(loss):
    """The optimizer of tf.contrib, over sparse and dense features; it keeps the duals in a table by the examples' names."""

    def build():
        random = np.random.RandomState(2)
        count = 24
        labels = (random.rand(count) > 0.5).astype(float32)
        if loss == "squared_loss":
            labels = random.randn(count).astype(float32)
        features = tf.constant(random.randn(count, 3), tf.float32)
        column = SparseFeatureColumn(
            tf.range(count, dtype=tf.int64), tf.constant(np.arange(count) % 4, tf.int64), tf.ones(count)
        )
        examples = {
            "sparse_features": [column],
            "dense_features": [features],
            "example_labels": tf.constant(labels),
            "example_weights": tf.constant(np.linspace(0.5, 1.5, count), tf.float32),
            "example_ids": tf.as_string(tf.range(count)),
        }
        variables = {
            "sparse_features_weights": [tf.Variable(tf.zeros([4]), name="sparse", use_resource=False)],
            "dense_features_weights": [tf.Variable(tf.zeros([3]), name="dense", use_resource=False)],
        }
        options = {
            "symmetric_l2_regularization": 1.0, "symmetric_l1_regularization": 0.3, "loss_type": loss,
            "num_loss_partitions": 1,
        }  # fmt: skip
        model = sdca_ops.SdcaModel(examples, variables, options)
        step = model.minimize()
        with tf.control_dependencies([step]):
            tf.group(model.update_weights(step), name="step")
        tf.identity(model.regularized_loss(examples), name="loss")
        tf.identity(model.approximate_duality_gap(), name="gap")
        tf.identity(model.predictions(examples), name="predictions")
        tf.global_variables_initializer()

    return build


def linear_runs():
    yield "init", {}
    for _ in range(100):
        yield "step", {}
    yield ["loss:0", "predictions:0"], {}


# ---- k-means


def beginnings():
    points = tf.placeholder(tf.float32, name="points")
    count, seed, retries = (tf.placeholder(tf.int64, name=name) for name in ("count", "seed", "retries"))
    clustering.kmeans_plus_plus_initialization(
        points=points, num_to_sample=count, seed=seed, num_retries_per_sample=retries, name="begin"
    )
    clustering.kmc2_chain_initialization(distances=points, seed=seed, name="chain")


def beginning_runs():
    random = np.random.RandomState(3)
    points = (random.randn(60, 3) + 4 * random.randint(0, 3, (60, 1))).astype(float32)
    for count, seed, retries in ((5, 0, 0), (5, 7, 2), (20, 2**40 + 3, -1), (60, 5, 0), (1, -4, 3)):
        yield (
            "begin:0",
            {"points:0": points, "count:0": int64(count), "seed:0": int64(seed), "retries:0": int64(retries)},
        )
    yield "begin:0", {"points:0": points, "count:0": int64(61), "seed:0": int64(0), "retries:0": int64(0)}
    yield "begin:0", {"points:0": points, "count:0": int64(0), "seed:0": int64(0), "retries:0": int64(0)}
    yield "begin:0", {"points:0": points[0], "count:0": int64(1), "seed:0": int64(0), "retries:0": int64(0)}
    distances = np.abs(random.randn(300)).astype(float32)
    for seed in (0, 1, 12345678901):
        yield "chain:0", {"points:0": distances, "seed:0": int64(seed)}
    yield "chain:0", {"points:0": distances[:0], "seed:0": int64(0)}


def k_means(**options):
    def build():
        tf.set_random_seed(11)
        random = np.random.RandomState(4)
        points = (random.randn(40, 2) + 5 * random.randint(0, 3, (40, 1))).astype(float32)
        model = clustering_ops.KMeans(tf.constant(points), 3, random_seed=9, **options)
        all_scores, indices, scores, is_begun, begin, step = model.training_graph()
        del all_scores
        tf.identity(indices[0], name="clusters")
        tf.identity(scores[0], name="scores")
        tf.identity(is_begun, name="is_begun")
        tf.group(begin, name="begin")
        tf.group(step, name="step")
        tf.global_variables_initializer()

    return build


def k_means_runs():
    yield "init", {}
    yield "is_begun:0", {}
    for _ in range(4):
        (is_begun,) = yield "is_begun:0", {}
        if is_begun:
            break
        yield "begin", {}
    for _ in range(4):
        yield "step", {}
        yield ["clusters:0", "scores:0"], {}


def main():
    cases = {
        "fingerprints": record(fingerprints, fingerprint_runs()),
        "shrinking": record(shrinking, [("init", {}), *2 * [("shrink", {}), (["first:0", "second:0"], {})]]),
        "beginnings": record(beginnings, beginning_runs()),
    }  # fmt: skip
    for i, loss in enumerate(LOSSES):
        cases[f"one example {loss}"] = record(optimizer(loss, 0.2 * (i % 3), 1.0 + i, 1 + i % 2), one_example_runs())
    for loss in ("logistic_loss", "squared_loss", "smooth_hinge_loss"):
        cases[f"linear {loss}"] = record(linear_model(loss), linear_runs())
    for name, options in {
        "k-means++": {"initial_clusters": "kmeans_plus_plus"},
        "k-means, cosine": {"initial_clusters": "kmeans_plus_plus", "distance_metric": "cosine"},
        "k-MC2": {"initial_clusters": "kmc2", "kmc2_chain_length": 40},
    }.items():  # fmt: skip
        cases[name] = record(k_means(**options), k_means_runs())
    write("learners.json.gz", cases)


if __name__ == "__main__":
    main()
