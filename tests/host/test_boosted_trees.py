"""Boosted trees as TensorFlow 1.15 recorded them: op by op, and estimators that train and are restored."""

import numpy as np
import pytest

import mgjax
from mgjax import checkpoint
from tests.host.recorded_sessions import (
    array_of,
    check_recorded,
    check_recorded_runs,
    meta_graph_of,
    recorded_cases,
    write_files,
)
from tests.tf1 import needs_tf1, run_in_tf1

RECORDED = recorded_cases("boosted_trees.json.gz")
ESTIMATORS = [name.removeprefix("train ") for name in RECORDED if name.startswith("train ")]
OPS = [name for name in RECORDED if not name.startswith(("train ", "predict "))]

#: TensorFlow's logarithms and exponentials of float32 are not XLA's to the last bit, and leaves add them up.
TRAINED = {"float32": 2e-6}


@pytest.mark.parametrize("name", OPS)
def test_each_op_does_what_tensorflows_did(name):
    # Of several logits Eigen adds the parts of a gain, and solves systems, in another order.
    check_recorded(RECORDED[name], {"float32": 1e-5} if name == "splits of two logits" else None)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_training_goes_as_tensorflows_went(name):
    check_recorded(RECORDED[f"train {name}"], TRAINED)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_tensorflow_trained_predicts_the_same(name, tmp_path):
    write_files(RECORDED[f"train {name}"], tmp_path)
    case = RECORDED[f"predict {name}"]
    fn, saver = mgjax.import_meta_graph(meta_graph_of(case))
    state = fn.init_tables(saver.restore(tmp_path / "model"))
    check_recorded_runs(fn, state, case["runs"], TRAINED)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_restored_ensemble_is_saved_byte_for_byte(name, tmp_path):
    write_files(RECORDED[f"train {name}"], tmp_path)
    _, saver = mgjax.import_meta_graph(meta_graph_of(RECORDED[f"train {name}"]))
    saver.save(saver.restore(tmp_path / "model"), tmp_path / "ours")
    theirs, ours = (checkpoint.open(str(tmp_path / prefix)) for prefix in ("model", "ours"))
    assert list(ours) == list(theirs)
    for key in theirs:
        np.testing.assert_array_equal(ours.read(key), theirs.read(key), key)


@needs_tf1
def test_tensorflow_restores_what_was_trained_here(tmp_path):
    state = check_recorded(RECORDED["train classifier"], TRAINED)
    _, saver = mgjax.import_meta_graph(meta_graph_of(RECORDED["train classifier"]))
    saver.save(state, tmp_path / "ours")
    case = RECORDED["predict classifier"]
    (tmp_path / "predict.meta").write_bytes(meta_graph_of(case).SerializeToString())
    (run,) = case["runs"]
    feeds = {name: array_of(value) for name, value in run["feeds"].items()}
    # As bytes of one length: NumPy pickles objects, and not for older ones.
    np.savez(tmp_path / "feeds.npz", **{name: x.astype("S") if x.dtype == object else x for name, x in feeds.items()})
    script = """
with tf.Session() as session:
    folder = sys.argv[1]
    saver = tf.train.import_meta_graph(folder + "/predict.meta")
    session.run(tf.tables_initializer())
    saver.restore(session, folder + "/ours")
    np.save(folder + "/found.npy", session.run("prediction:0", dict(np.load(folder + "/feeds.npz"))))
"""
    run_in_tf1(script, tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), array_of(run["results"][0]), rtol=2e-6, atol=2e-6)
