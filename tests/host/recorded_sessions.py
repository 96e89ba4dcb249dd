"""Sessions of TensorFlow 1.15 that `data/recording.py` recorded, run again in mgjax."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgjax
from mgjax.proto import meta_graph_pb2

DATA = Path(__file__).parent / "data"

#: Relative and absolute, by dtype; what is not listed is equal.
Tolerances = dict[str, float]


def recorded_cases(name: str) -> dict[str, Any]:
    return json.loads(gzip.decompress((DATA / name).read_bytes()))["cases"]


def array_of(encoded: Any) -> np.ndarray:
    if encoded["dtype"] == "string":
        array = np.empty(len(encoded["data"]), object)
        array[:] = [base64.b64decode(item) for item in encoded["data"]]
    else:
        array = np.frombuffer(base64.b64decode(encoded["data"]), encoded["dtype"])
    return array.reshape(encoded["shape"])


def meta_graph_of(case: Any) -> Any:
    return meta_graph_pb2.MetaGraphDef.FromString(base64.b64decode(case["graph"]))


def write_files(case: Any, folder: Path) -> None:
    for name, data in case["files"].items():
        (folder / name).write_bytes(base64.b64decode(data))


def check_recorded(case: Any, tolerances: Tolerances | None = None, **options: Any) -> mgjax.function.State:
    """Compares run after run of a case in a state of its own; the state after them."""
    fn, _ = mgjax.import_meta_graph(meta_graph_of(case), **options)
    return check_recorded_runs(fn, fn.empty_state(seed=0), case["runs"], tolerances)


def check_recorded_runs(fn: Any, state: Any, runs: Any, tolerances: Tolerances | None = None) -> mgjax.function.State:
    for number, run in enumerate(runs):
        feeds = {name: array_of(value) for name, value in run["feeds"].items()}
        if "error" in run:
            with pytest.raises(getattr(mgjax.errors, run["error"])):
                fn(state, feeds, run["fetches"])
            continue
        state, found = fn(state, feeds, run["fetches"])
        for name, value, expected in zip(run["fetches"], found, run["results"], strict=True):
            where = f"run {number}, {name}"
            if expected is None:
                assert value is None, where
            else:
                _check(np.asarray(value), array_of(expected), tolerances or {}, where)
    return state


def _check(found: np.ndarray, expected: np.ndarray, tolerances: Tolerances, where: str) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), where
    if tolerance := tolerances.get(expected.dtype.name):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=where)
    else:
        np.testing.assert_array_equal(found, expected, where)
