import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

LOOSE = {"rtol": 1e-5, "atol": 1e-5}
BATCH, INPUTS, CELLS, TIME = 3, 4, 5, 6


def cell(time=None):
    shape = [BATCH, INPUTS] if time is None else [time, BATCH, INPUTS]
    shapes = {"x": shape, "cs_prev": [BATCH, CELLS], "h_prev": [BATCH, CELLS], "w": [INPUTS + CELLS, 4 * CELLS]}
    shapes |= {"wci": [CELLS], "wcf": [CELLS], "wco": [CELLS], "b": [4 * CELLS]}
    return {name: random_array("float32", s, seed=k, low=-1, high=1) for k, (name, s) in enumerate(shapes.items())}


@pytest.mark.parametrize("use_peephole", [True, False])
@pytest.mark.parametrize("cell_clip", [3.0, 0.3, -1.0])
def test_lstm_cell_and_its_gradient_equal_tensorflow(use_peephole, cell_clip):
    given = cell()
    attrs = {"use_peephole": use_peephole, "cell_clip": cell_clip, "forget_bias": 0.5}
    outputs = check("LSTMBlockCell", given, attrs, **LOOSE)
    given |= dict(zip(["i", "cs", "f", "o", "ci", "co"], outputs, strict=False))
    grads = {name: random_array("float32", [BATCH, CELLS], seed=9 + len(name)) for name in ("cs_grad", "h_grad")}
    # Without peepholes TensorFlow leaves their gradients undefined.
    undefined = () if use_peephole else (2, 3, 4)
    check("LSTMBlockCellGrad", given | grads, {"use_peephole": use_peephole}, skip=undefined, **LOOSE)


@pytest.mark.parametrize("use_peephole", [True, False])
@pytest.mark.parametrize("steps", [TIME, 4, 0])
@pytest.mark.parametrize("version", ["", "V2"])
def test_lstm_over_time_and_its_gradient_equal_tensorflow(version, steps, use_peephole):
    given = {"seq_len_max": np.int64(steps), **cell(TIME)}
    attrs = {"use_peephole": use_peephole, "cell_clip": 0.4}
    # After the last step TensorFlow clears only the states (cs and h); the rest is uninitialized memory.
    undefined = () if steps == TIME else (0, 2, 3, 4, 5)
    outputs = check(f"BlockLSTM{version}", given, attrs, skip=undefined, **LOOSE)
    given |= dict(zip(["i", "cs", "f", "o", "ci", "co", "h"], outputs, strict=True))
    shape = [TIME, BATCH, CELLS]
    grads = {name: random_array("float32", shape, seed=9 + len(name)) for name in ("cs_grad", "h_grad")}
    check(f"BlockLSTMGrad{version}", given | grads, {"use_peephole": use_peephole}, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("use_peephole", [True, False])
def test_jax_derives_the_gradient_of_the_lstm(use_peephole):
    given = cell(TIME)
    attrs = {"use_peephole": use_peephole, "cell_clip": 0.4}
    outputs, pullback = jax.vjp(lambda *a: REGISTRY["BlockLSTM"].function(TIME, *a, **attrs), *given.values())
    cs_grad, h_grad = (jnp.asarray(random_array("float32", [TIME, BATCH, CELLS], seed=k)) for k in (1, 2))
    cotangents = [jnp.zeros_like(y) for y in outputs]
    cotangents[1], cotangents[6] = cs_grad, h_grad
    grad = REGISTRY["BlockLSTMGrad"].function
    found = grad(TIME, *given.values(), *outputs, cs_grad, h_grad, use_peephole=use_peephole)
    for a, b in zip(found, pullback(tuple(cotangents)), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_gru_cell_and_its_gradient_equal_tensorflow():
    shapes = {"x": [BATCH, INPUTS], "h_prev": [BATCH, CELLS], "w_ru": [INPUTS + CELLS, 2 * CELLS]}
    shapes |= {"w_c": [INPUTS + CELLS, CELLS], "b_ru": [2 * CELLS], "b_c": [CELLS]}
    given = {name: random_array("float32", s, seed=k, low=-1, high=1) for k, (name, s) in enumerate(shapes.items())}
    outputs = check("GRUBlockCell", given, **LOOSE)
    given |= dict(zip(["r", "u", "c"], outputs, strict=False)) | {"d_h": random_array("float32", [BATCH, CELLS])}
    check("GRUBlockCellGrad", given, **LOOSE)


def test_gather_tree_follows_parents_from_the_end():
    # Two beams over three steps; the second entry is two steps long.
    step_ids = np.array([[[1, 2], [1, 2]], [[3, 4], [3, 4]], [[5, 6], [5, 6]]], np.int32)
    parent_ids = np.array([[[0, 0], [0, 0]], [[1, 0], [1, 0]], [[1, 1], [1, 1]]], np.int32)
    beams = REGISTRY["GatherTree"].function(step_ids, parent_ids, np.array([3, 2]), np.int32(9))
    assert_allclose(beams[:, 0], [[1, 1], [4, 4], [5, 6]])
    assert_allclose(beams[:, 1], [[2, 1], [3, 4], [9, 9]])


def test_gather_tree_stops_at_the_end_token():
    step_ids = np.array([[[1]], [[9]], [[5]]], np.int32)
    beams = REGISTRY["GatherTree"].function(step_ids, np.zeros_like(step_ids), np.array([3]), np.int32(9))
    assert_allclose(beams[:, 0, 0], [1, 9, 9])
