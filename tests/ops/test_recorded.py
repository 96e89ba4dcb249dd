"""What TensorFlow 1.15 computed, recorded by `recorded/record.py`: old and rare ops, through the whole of mgjax."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mgjax

RECORDED = dict(np.load(Path(__file__).parent / "recorded" / "recorded.npz"))
GROUPS = sorted({key.split("/")[0] for key in RECORDED})

#: Relative and absolute, by the dtype of the output; what is not floating point is equal.
TOLERANCE = {"float16": 5e-4, "float32": 1e-5, "float64": 1e-11, "complex64": 1e-5, "complex128": 1e-11}


def arrays_of(group: str, kind: str) -> dict[str, np.ndarray]:
    prefix = f"{group}/{kind}/"
    found = {key.removeprefix(prefix): value for key, value in RECORDED.items() if key.startswith(prefix)}
    for key in [key for key in found if key.endswith("/lengths")]:
        lengths, text = found.pop(key), found.pop(key.replace("/lengths", "/bytes")).tobytes()
        ends = np.cumsum(lengths.ravel(), dtype=int)
        strings = np.empty(lengths.size, object)
        strings[:] = [text[end - n : end] for end, n in zip(ends, lengths.ravel(), strict=True)]
        found[key.removesuffix("/lengths")] = strings.reshape(lengths.shape)
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_old_and_rare_ops_give_what_tensorflow_gave(group):
    fn = mgjax.import_graph_def(RECORDED[f"{group}/graph"].tobytes())
    feeds = {f"{name}:0": value for name, value in arrays_of(group, "in").items()}
    wanted = arrays_of(group, "out")
    _, found = fn({}, feeds, list(wanted))
    for name, value, expected in zip(wanted, found, wanted.values(), strict=True):
        value = np.asarray(value)
        assert value.shape == expected.shape, name
        if expected.dtype == object:
            assert_array_equal(value, expected, name)
            continue
        assert value.dtype == expected.dtype, name
        if tolerance := TOLERANCE.get(expected.dtype.name):
            assert_allclose(value, expected, rtol=tolerance, atol=tolerance, equal_nan=True, err_msg=name)
        else:
            assert_array_equal(value, expected, name)
