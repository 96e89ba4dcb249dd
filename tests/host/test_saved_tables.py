"""Mutable tables in checkpoints, to and from a live TensorFlow."""

import numpy as np
import pytest

import mgjax
import mgjax.compat.v1 as mg
from mgjax import errors
from tests.live import tf

KEYS = [b"a", b"b", b"zz"]


def build(with_variable=True):
    words = tf.placeholder(tf.string, name="x")
    numbers = tf.placeholder(tf.int64, name="n")
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, [0.5, 0.5], name="words")
    dense = tf.lookup.experimental.DenseHashTable(
        tf.int64, tf.int64, default_value=-1, empty_key=-1, deleted_key=-2, name="dense", initial_num_buckets=8
    )
    rows = tf.stack([tf.cast(numbers, tf.float32), -tf.cast(numbers, tf.float32)], axis=1)
    tf.group(table.insert(words, rows), dense.insert(numbers, numbers * 10), name="insert")
    tf.identity(table.lookup(words), name="found")
    tf.identity(dense.lookup(numbers), name="found_too")
    if with_variable:
        tf.get_variable("w", initializer=2.0, use_resource=False)


@pytest.mark.parametrize("with_variable", [True, False])
def test_tables_go_to_tensorflow_and_back(tmp_path, with_variable):
    feeds = {"x:0": np.array(KEYS, object), "n:0": np.array([1, 9, 17])}
    fetches = ["found:0", "found_too:0"]
    with tf.Graph().as_default(), tf.Session() as session:
        build(with_variable)
        session.run(tf.global_variables_initializer())
        session.run("insert", feeds)
        expected = session.run(fetches, feeds)
        tf.train.Saver().save(session, str(tmp_path / "theirs"))
    fn, saver = mgjax.import_meta_graph(str(tmp_path / "theirs.meta"))
    state = saver.restore(str(tmp_path / "theirs"))
    for found, wanted in zip(fn(state, feeds, fetches)[1], expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    more = {"x:0": np.array([b"new"], object), "n:0": np.array([5])}
    state, _ = fn(state, more, "insert")
    saver.save(state, str(tmp_path / "ours"))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(str(tmp_path / "ours.meta")).restore(session, str(tmp_path / "ours"))
        assert session.run(fetches, more)[0].tolist() == [[5.0, -5.0]]
        for found, wanted in zip(session.run(fetches, feeds), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    with mg.Graph().as_default(), mg.Session() as session:
        saver = mg.train.import_meta_graph(str(tmp_path / "ours.meta"))
        saver.restore(session, str(tmp_path / "ours"))
        assert session.run("found_too:0", more).tolist() == [50]
        session.run("insert", {"x:0": np.array([b"b"], object), "n:0": np.array([6])})
        saver.save(session, str(tmp_path / "again"))
        assert session.run("found_too:0", {"n:0": [6]}).tolist() == [60]
        saver.restore(session, str(tmp_path / "ours"))
        assert session.run("found_too:0", {"n:0": [6]}).tolist() == [-1]
        saver.restore(session, str(tmp_path / "again"))
        assert session.run("found:0", {"x:0": np.array([b"b"], object)}).tolist() == [[6.0, -6.0]]


def test_a_table_that_the_checkpoint_lacks_is_named(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        build()
        session.run(tf.global_variables_initializer())
        tf.train.Saver(tf.global_variables()).save(session, str(tmp_path / "model"), write_meta_graph=False)
        tf.train.Saver()
        tf.train.export_meta_graph(str(tmp_path / "model.meta"), saver_def=tf.train.Saver().saver_def)
    fn, saver = mgjax.import_meta_graph(str(tmp_path / "model.meta"))
    with pytest.raises(errors.RestoreError, match="for the table 'words"):
        saver.restore(str(tmp_path / "model"))
    state = saver.restore(str(tmp_path / "model"), allow_missing=True)
    assert float(state["w"]) == 2.0
    assert np.asarray(fn(state, {"x:0": np.array([b"a"], object)}, "found:0")[1]).tolist() == [[0.5, 0.5]]
