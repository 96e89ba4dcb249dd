import itertools

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

LOOSE = {"rtol": 1e-5, "atol": 1e-5}
ctc_loss = REGISTRY["CTCLoss"].function


def labels(*rows):
    places = [[i, j] for i, row in enumerate(rows) for j in range(len(row))]
    return {
        "labels_indices": np.array(places, np.int64).reshape(-1, 2),
        "labels_values": np.array([x for row in rows for x in row], np.int32),
    }


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("collapse", [True, False])
def test_ctc_loss_equals_tensorflow(merge, collapse):
    inputs = {
        "inputs": random_array("float32", [7, 4, 5]),
        **labels([1, 1, 2], [3], [0, 2, 0, 2], [3, 3, 3]),
        "sequence_length": np.array([7, 2, 6, 6], np.int32),
    }
    attrs = {"ctc_merge_repeated": merge, "preprocess_collapse_repeated": collapse}
    check("CTCLoss", inputs, attrs, **LOOSE)


def test_ctc_loss_of_labels_without_room_for_a_blank_is_infinite():
    inputs = {
        "inputs": random_array("float32", [3, 1, 4]),
        **labels([1, 1]),
        "sequence_length": np.array([2], np.int32),
    }
    loss, _ = check("CTCLoss", inputs, **LOOSE)
    assert np.isinf(loss[0])


def test_ctc_loss_ignores_too_many_labels_if_told_to():
    inputs = {
        "inputs": random_array("float32", [4, 2, 4]),
        **labels([1, 2, 1], [0]),
        "sequence_length": np.array([2, 4], np.int32),
    }
    check("CTCLoss", inputs, {"ignore_longer_outputs_than_inputs": True}, **LOOSE)
    loss, _ = ctc_loss(**inputs)
    assert np.isnan(loss[0])
    assert np.isfinite(loss[1])


def test_ctc_loss_is_the_sum_over_all_paths():
    x = random_array("float32", [4, 1, 3])
    probability = jax.nn.softmax(x)[:, 0]
    total = 0
    for path in itertools.product(range(3), repeat=4):
        merged = [k for k, _ in itertools.groupby(path)]
        if [k for k in merged if k != 2] == [0, 1]:
            total += np.prod([probability[t, k] for t, k in enumerate(path)])
    loss, _ = ctc_loss(x, **labels([0, 1]), sequence_length=np.array([4], np.int32))
    assert_allclose(loss, [-np.log(total)], rtol=1e-5)


def test_jax_derives_the_gradient_output():
    x = random_array("float32", [5, 2, 4])
    rest = {**labels([1, 1], [0]), "sequence_length": np.array([5, 3], np.int32)}
    weights = np.float32([2.0, -1.0])
    _, gradient = ctc_loss(x, **rest)
    found = jax.grad(lambda x: (ctc_loss(x, **rest)[0] * weights).sum())(x)
    assert_allclose(found, gradient * weights[:, None], **LOOSE)
