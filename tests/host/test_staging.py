"""Staging areas and the sparse tensors, tensors and locks that a session keeps, beside a live TensorFlow."""

import time

import numpy as np
import pytest

import mgjax
import mgjax.compat.v1 as mg
from mgjax import errors
from tests.host.live_state import check_runs
from tests.live import meta_graph_of, tf

raw = tf.raw_ops
TYPES = [tf.float32, tf.string]


def in_order():
    x, words = tf.placeholder(tf.float32, name="x"), tf.placeholder(tf.string, name="w")
    area = {"shared_name": "area", "capacity": 3, "memory_limit": 1000}
    raw.Stage(values=[x, words], name="put", **area)
    raw.Unstage(dtypes=TYPES, name="take", **area)
    raw.StagePeek(index=1, dtypes=TYPES, name="peek", **area)
    raw.StageSize(dtypes=TYPES, name="size", **area)
    raw.StageClear(dtypes=TYPES, name="clear", **area)
    raw.StageSize(dtypes=TYPES, name="other_size")


def test_elements_are_staged_in_order():
    def feed(number):
        return {"x:0": [float(number)], "w:0": str(number).encode()}

    runs = [
        ("size:0", {}), ("put", feed(1)), ("put", feed(2)), ("put", feed(3)), ("size:0", {}),
        (["peek:0", "peek:1"], {}), (["take:0", "take:1"], {}), (["peek:0", "peek:1"], {}), ("other_size:0", {}),
        ("clear", {}), ("size:0", {}), ("put", {"x:0": np.zeros(1000), "w:0": b""}),
    ]  # fmt: skip
    check_runs(in_order, runs)
    fn, _ = mgjax.import_meta_graph(meta_graph_of(in_order))
    with pytest.raises(errors.OutOfRangeError, match=r"Unstage 'take'.*the staging area is empty"):
        fn({}, {}, "take:0")


def by_key(prefix):
    def build():
        key, places = tf.placeholder(tf.int64, name="key"), tf.placeholder(tf.int32, name="places")
        x, words = tf.placeholder(tf.float32, name="x"), tf.placeholder(tf.string, name="w")
        ops = {name: getattr(raw, f"{prefix}{name}") for name in ("Stage", "Unstage", "UnstageNoKey", "Peek", "Size")}
        area = {"shared_name": "area", "dtypes": TYPES}
        ops["Stage"](key=key, indices=places, values=[x, words], name="put", **area)
        ops["Stage"](key=key, indices=[0], values=[x], name="put_first", **area)
        ops["Stage"](key=key, indices=[1], values=[words], name="put_second", **area)
        ops["Peek"](key=key, indices=[0, 1], name="peek", **area)
        ops["Unstage"](key=key, indices=[0, 1], name="take", **area)
        ops["Unstage"](key=key, indices=[1], shared_name="area", dtypes=[tf.string], name="take_second")
        ops["UnstageNoKey"](indices=[0, 1], name="any", **area)
        ops["Size"](name="size", **area)
        getattr(raw, f"{prefix}IncompleteSize")(name="incomplete", **area)
        getattr(raw, f"{prefix}Clear")(name="clear", **area)

    return build


@pytest.mark.parametrize("prefix", ["Map", "OrderedMap"])
def test_elements_are_staged_by_key(prefix):
    def feed(key, places=(0, 1)):
        return {"key:0": key, "places:0": list(places), "x:0": [float(key)], "w:0": str(key).encode()}

    def asks(key):
        return {"key:0": key}

    sizes = (["size:0", "incomplete:0"], {})
    runs = [
        ("put", feed(7)), sizes, ("put_first", feed(3)), sizes, (["peek:0", "peek:1"], asks(7)), ("put_first", feed(3)),
        ("put_second", feed(3)), sizes, (["take:0", "take:1"], asks(3)), ("take_second:0", asks(7)),
        ("take_second:0", asks(7)), sizes, ("put", feed(9, (1, 0))), ("put", feed(9, (0, 2))), ("clear", {}), sizes,
    ]  # fmt: skip
    check_runs(by_key(prefix), runs)
    if prefix == "OrderedMap":
        every = ["any:0", "any:1", "any:2"]
        runs = [("put", feed(key)) for key in (5, -2, 3)]
        check_runs(by_key(prefix), [*runs, (every, {}), (every, {}), sizes])


def sparse():
    indices, values = tf.placeholder(tf.int64, name="i"), tf.placeholder(tf.string, name="v")
    shape, numbers = tf.placeholder(tf.int64, name="s"), tf.placeholder(tf.int64, name="n")
    parts = {"sparse_indices": indices, "sparse_values": values, "sparse_shape": shape, "shared_name": "map"}
    raw.AddSparseToTensorsMap(name="add", **parts)
    raw.AddManySparseToTensorsMap(name="add_many", **parts)
    raw.TakeManySparseFromTensorsMap(sparse_handles=numbers, dtype=tf.string, shared_name="map", name="take")


def test_sparse_tensors_are_kept_by_number():
    one = {"i:0": [[0, 1], [2, 0]], "v:0": [b"a", b"b"], "s:0": [3, 4]}
    taken = ["take:0", "take:1", "take:2"]
    runs = [
        ("add:0", one), ("add_many:0", one), ("add:0", {**one, "s:0": [5, 2]}), (taken, {"n:0": [4, 0]}),
        (taken, {"n:0": [3, 2, 1]}), (taken, {"n:0": [0]}), ("add:0", {**one, "v:0": [b"a"]}),
        ("add_many:0", {"i:0": [[0]], "v:0": [b"a"], "s:0": [3]}), ("add:0", one),
        ("add:0", {**one, "i:0": np.zeros((2, 3), np.int64), "s:0": [1, 1, 1]}),
        (taken, {"n:0": [5, 6]}),
    ]  # fmt: skip
    check_runs(sparse, runs)


def handles():
    x = tf.placeholder(tf.float32, name="x")
    raw.GetSessionHandle(value=x * 2, name="keep")
    handle = tf.placeholder(tf.string, name="handle")
    raw.GetSessionTensor(handle=handle, dtype=tf.float32, name="get")
    raw.DeleteSessionTensor(handle=handle, name="drop")
    mutex = raw.MutexV2(name="mutex")
    lock = raw.MutexLock(mutex=mutex, name="lock")
    with tf.control_dependencies([lock]):
        inside = tf.identity(x, name="inside")
    with tf.control_dependencies([inside]):
        raw.ConsumeMutexLock(mutex_lock=lock, name="unlock")
    raw.Timestamp(name="time")


def test_tensors_stay_in_a_session_until_they_are_deleted():
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(meta_graph_of(handles))
        first, second = (session.run("keep:0", {"x:0": [value]}) for value in (1.0, 2.0))
        assert isinstance(first, bytes) and first != second
        assert session.run("get:0", {"handle:0": first}).tolist() == [2.0]
        session.run("drop", {"handle:0": first})
        with pytest.raises(mg.errors.InvalidArgumentError):
            session.run("get:0", {"handle:0": first})
        assert session.run("get:0", {"handle:0": second}).tolist() == [4.0]


def test_a_mutex_is_free_again_after_the_run():
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(meta_graph_of(handles))
        for fetch in ("unlock", "inside:0", "inside:0", "unlock"):
            session.run(fetch, {"x:0": [1.0]}, options=mg.RunOptions(timeout_in_ms=2000))
        before = time.time()
        assert before <= session.run("time:0") <= time.time()
