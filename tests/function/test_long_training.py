"""A training with dropout for 1,000 steps is the training that TensorFlow 1.15 recorded."""

from pathlib import Path

import jax
import numpy as np
from numpy.testing import assert_allclose

import mgjax

DATA = Path(__file__).parent / "data"
#: Rounding. The recorded losses are met within 3e-7 of their value, a variable's elements within 4e-7 of its largest, and
#: Adam's averages, of gradients that nearly cancel over the batch, within 3e-6 of the largest.
ROUNDING, OF_AVERAGES = 1e-6, 1e-5


def test_a_thousand_steps_with_dropout():
    fn, _ = mgjax.import_meta_graph(str(DATA / "dropout_training.meta"))
    recorded = dict(np.load(DATA / "dropout_training.npz"))
    losses = recorded.pop("losses")
    step = fn.bind([], ["loss:0", "train"])
    train = jax.jit(lambda state: jax.lax.scan(step, state, None, length=500))
    state, (first, _) = train(fn.init())
    state, (second, _) = train(state)
    assert_allclose(np.concatenate([first, second]), losses, rtol=ROUNDING, atol=0)
    assert set(recorded) == set(state)
    for name, value in recorded.items():
        bound = (OF_AVERAGES if "/Adam" in name else ROUNDING) * np.abs(value).max()
        assert_allclose(state[name], value, rtol=0, atol=bound, err_msg=name)
