"""The main job on the sample: what TensorFlow 1.15 recorded, and what TensorFlow makes of the checkpoint that is saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import mgjax
from mgjax import sample
from mgjax.sample import __main__ as main_job

FETCHES = ["loss:0", "train_op"]

#: Run by a TensorFlow: restores argv[2] into the graph of argv[1], trains on with the batches of argv[3], prints what it sees.
CONTINUE = """
import json, sys
import numpy as np
import tensorflow.compat.v1 as tf
tf.disable_eager_execution()
saver = tf.train.import_meta_graph(sys.argv[1])
batches = np.load(sys.argv[3])
with tf.Session() as session:
    saver.restore(session, sys.argv[2])
    variables = {v.op.name: session.run(v).tolist() for v in tf.global_variables()}
    losses = [float(session.run(["loss:0", "train_op"], {"x:0": x, "y:0": y})[0]) for x, y in zip(batches["x"], batches["y"])]
print(json.dumps({"variables": variables, "losses": losses, "latest": tf.train.latest_checkpoint(sys.argv[2].rsplit("/", 1)[0])}))
"""


def train(fn, variables, batches):
    step = jax.jit(fn.bind(["x:0", "y:0"], FETCHES))
    losses = []
    for x, y in batches:
        variables, (loss, _) = step(variables, x, y)
        losses.append(float(loss))
    return variables, losses


def restored():
    fn, saver = mgjax.import_meta_graph(sample.META)
    return fn, saver, saver.restore(sample.PREFIX)


def test_inference_gives_what_tensorflow_recorded():
    fn, _, variables = restored()
    images, labels = sample.load_digits()
    _, (probs, accuracy) = fn(variables, {"x:0": images, "y:0": labels}, ["probs:0", "accuracy:0"])
    np.testing.assert_allclose(probs[0], sample.load_recorded().probs_of_first, rtol=1e-5, atol=1e-7)
    assert accuracy == np.float32(sample.load_recorded().accuracy)


def test_training_goes_on_with_the_losses_that_tensorflow_recorded():
    fn, _, variables = restored()
    variables, losses = train(fn, variables, sample.batches())
    np.testing.assert_allclose(losses, sample.load_recorded().losses, rtol=1e-5)
    assert int(variables["global_step"]) == 1520
    assert variables["global_step"].dtype == np.int64


@pytest.mark.parametrize(
    "python", [sys.executable, os.environ.get("MGJAX_TF1_PYTHON")], ids=["tensorflow 2", "tensorflow 1.15"]
)
def test_tensorflow_restores_what_is_saved_and_trains_on_with_the_same_losses(python, tmp_path):
    if python is None:
        pytest.skip("MGJAX_TF1_PYTHON does not name a Python with TensorFlow 1.15")
    fn, saver, variables = restored()
    batches = sample.batches(30)
    variables, _ = train(fn, variables, batches[:20])
    prefix = saver.save(variables, tmp_path / "digits", global_step="global_step")
    np.savez(tmp_path / "batches.npz", x=[x for x, _ in batches[20:]], y=[y for _, y in batches[20:]])
    command = [python, "-W", "ignore", "-c", CONTINUE, sample.META, prefix, str(tmp_path / "batches.npz")]
    seen = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert seen["latest"] == prefix
    assert seen["variables"].keys() == variables.keys()
    for name, value in seen["variables"].items():
        np.testing.assert_array_equal(np.asarray(value, variables[name].dtype), variables[name])
    _, losses = train(fn, variables, batches[20:])
    np.testing.assert_allclose(losses, seen["losses"], rtol=1e-5)


def test_main_job_reports_the_comparison(tmp_path, capsys):
    main_job.main(str(tmp_path))
    printed = capsys.readouterr().out
    assert "restored 21 variables from digits-1500, global_step 1500" in printed
    assert f"saved {tmp_path / 'digits-1520'}" in printed
