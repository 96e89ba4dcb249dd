"""`tf.train.init_from_checkpoint`, checked of TensorFlow too."""

from __future__ import annotations

import numpy as np
import pytest

from mgjax import checkpoint

ROWS = np.arange(8, dtype=np.float32).reshape(4, 2)


@pytest.fixture
def path(tmp_path):
    checkpoint.write(tmp_path / "m", {"old/a": np.float32([1, 2]), "old/b/c": np.float32([3]), "table": ROWS})
    checkpoint.write_state(str(tmp_path), str(tmp_path / "m"))
    return str(tmp_path / "m")


def variable(tf, value, name):
    return tf.Variable(np.float32(value), name=name, use_resource=False)


def values(tf, *variables):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return [session.run(v).tolist() for v in variables]


def test_a_variable_takes_a_tensor_of_another_name(tf, path, tmp_path):
    a, b, other = variable(tf, [0, 0], "x"), variable(tf, [0], "y"), variable(tf, [5], "z")
    tf.train.init_from_checkpoint(path, {"old/a": a})
    tf.train.init_from_checkpoint(str(tmp_path), {"old/b/c": b})
    assert values(tf, a, b, other) == [[1, 2], [3], [5]]


def test_what_does_not_fit_is_refused(tf, path):
    v = variable(tf, [0, 0, 0], "v")
    with pytest.raises(ValueError, match=r"Shape of variable v:0 \(\(3,\)\) doesn't match with shape of tensor old/a"):
        tf.train.init_from_checkpoint(path, {"old/a": v})
    with pytest.raises(ValueError, match="nosuch is not found in"):
        tf.train.init_from_checkpoint(path, {"nosuch": v})
    with pytest.raises(ValueError, match="scope only"):
        tf.train.init_from_checkpoint(path, {"old": "new/"})


def test_a_scope_takes_the_tensors_of_another(path):
    # TensorFlow finds only what `get_variable` made by name, which is not here.
    import mgjax.compat.v1 as tf

    with tf.Graph().as_default():
        a, c = variable(tf, [0, 0], "new/a"), variable(tf, [0], "new/b/c")
        tf.train.init_from_checkpoint(path, {"old/": "new/"})
        assert values(tf, a, c) == [[1, 2], [3]]
        tf.train.init_from_checkpoint(path, {"old/b/c": "new/b/c"})
        with pytest.raises(ValueError, match="is not found in the graph"):
            tf.train.init_from_checkpoint(path, {"old/a": "new/nosuch"})


def test_parts_take_their_parts(path):
    import mgjax.compat.v1 as tf
    from mgjax.compat.v1.variables import SaveSliceInfo

    with tf.Graph().as_default():
        parts = [variable(tf, np.zeros((2, 2)), f"t/part_{i}") for i in range(2)]
        for i, part in enumerate(parts):
            part._set_save_slice_info(SaveSliceInfo("t", [4, 2], [2 * i, 0], [2, 2]))
        tf.train.init_from_checkpoint(path, {"table": parts})
        assert values(tf, *parts) == [ROWS[:2].tolist(), ROWS[2:].tolist()]
        tf.train.init_from_checkpoint(path, {"table": "t"})
        assert values(tf, *parts) == [ROWS[:2].tolist(), ROWS[2:].tolist()]
