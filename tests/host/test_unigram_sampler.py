"""The samplers that learn, run after run, as TensorFlow 1.15 recorded them."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mgjax
from mgjax.errors import InvalidArgumentError

RECORDED = json.loads((Path(__file__).parent / "data" / "unigram_samplers.json").read_text())
FETCHES = [f"sampler:{i}" for i in range(3)]


def imported(row):
    return mgjax.import_graph_def(base64.b64decode(row["graph"]))


@pytest.mark.parametrize("row", RECORDED)
def test_each_run_draws_by_what_was_true_in_those_before(row):
    fn = imported(row)
    state = fn.init()
    for classes, outputs in zip(row["runs"], row["outputs"], strict=True):
        state, (sampled, of_true, of_sampled) = fn(state, {"classes:0": np.array(classes)}, FETCHES)
        assert_array_equal(np.asarray(sampled), np.array(outputs[0]), strict=True)
        # TensorFlow's logarithm and exponential of float32 are its C library's.
        assert_allclose(of_true, np.array(outputs[1], np.float32), rtol=3e-7, strict=True)
        assert_allclose(of_sampled, np.array(outputs[2], np.float32), rtol=3e-7, strict=True)


def test_an_older_state_still_draws_as_it_did():
    row = RECORDED[0]
    fn = imported(row)
    first = fn.init()
    feeds = {"classes:0": np.array(row["runs"][0])}
    second, before = fn(first, feeds, FETCHES)
    fn(second, feeds, FETCHES)
    _, again = fn(first, feeds, FETCHES)
    for x, y in zip(before, again, strict=True):
        assert_array_equal(x, y)


def test_classes_outside_the_range_are_refused():
    fn = imported(RECORDED[0])
    with pytest.raises(InvalidArgumentError, match=r"true_classes must lie in \[0, 10\)"):
        fn(fn.init(), {"classes:0": np.array([[1, 10]])}, FETCHES)
