"""Lookup tables, run after run beside a live TensorFlow; what tables that no TensorFlow of today has refuse, by hand."""

import numpy as np
import pytest

import mgjax
from mgjax import errors
from mgjax.proto import meta_graph_pb2
from tests.host.live_state import check_runs, check_session
from tests.live import meta_graph_of, tf

raw = tf.raw_ops

DTYPES = [
    (tf.string, tf.int64), (tf.int64, tf.string), (tf.string, tf.string), (tf.int64, tf.float32), (tf.string, tf.bool),
    (tf.int32, tf.int32), (tf.int64, tf.int64), (tf.string, tf.float64),
]  # fmt: skip

KEYS = {tf.string: [b"a", b"b\0", b""], tf.int64: [1, -2, 2**40], tf.int32: [5, 6, -7]}
VALUES = {
    tf.string: [b"x", b"", b"z"], tf.int64: [10, 20, -30], tf.int32: [1, 2, 3], tf.float32: [0.5, -1.0, 2.0],
    tf.float64: [1.0, 2.0, np.inf], tf.bool: [True, False, True],
}  # fmt: skip


def static_tables():
    for i, (key, value) in enumerate(DTYPES):
        table = raw.HashTableV2(key_dtype=key, value_dtype=value, name=f"t{i}")
        keys, values = tf.constant(KEYS[key], key), tf.constant(VALUES[value], value)
        raw.LookupTableImportV2(table_handle=table, keys=keys, values=values, name=f"fill{i}")
        asked = tf.constant([[KEYS[key][1], KEYS[key][0]], [KEYS[key][2], KEYS[key][1] * 3]], key)
        raw.LookupTableFindV2(
            table_handle=table, keys=asked, default_value=tf.constant(VALUES[value][1], value), name=f"find{i}"
        )
        raw.LookupTableSizeV2(table_handle=table, name=f"size{i}")


def test_static_tables_of_all_dtypes():
    finds = [f"find{i}:0" for i in range(len(DTYPES))] + [f"size{i}:0" for i in range(len(DTYPES))]
    fills = [f"fill{i}" for i in range(len(DTYPES))]
    check_runs(static_tables, [("find0:0", {}), ("size0:0", {}), (fills, {}), (finds, {}), (fills, {})])


def mutable_tables():
    x, y = tf.placeholder(tf.string, name="x"), tf.placeholder(tf.int64, name="y")
    rows = tf.placeholder(tf.float32, name="rows")
    scalars = raw.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64, name="scalars")
    vectors = raw.MutableHashTableOfTensorsV2(key_dtype=tf.string, value_dtype=tf.float32, value_shape=[2])
    dense = raw.MutableDenseHashTableV2(
        empty_key=tf.constant(-1, tf.int64), deleted_key=tf.constant(-2, tf.int64), value_dtype=tf.float32, value_shape=[2],
        initial_num_buckets=4,
    )  # fmt: skip
    wide = raw.MutableDenseHashTableV2(
        empty_key=tf.constant([0, 0], tf.int64), deleted_key=tf.constant([-1, 0], tf.int64), value_dtype=tf.int64,
        initial_num_buckets=4,
    )  # fmt: skip
    pairs = tf.stack([y, y + 1], axis=1)
    for name, table, keys, values, default in [
        ("scalars", scalars, x, y, tf.constant(-7, tf.int64)),
        ("vectors", vectors, x, rows, tf.constant([0.5, 1.5])),
        ("dense", dense, y, rows, tf.constant([9.0, 8.0])),
        ("wide", wide, pairs, y, tf.constant(-7, tf.int64)),
    ]:
        raw.LookupTableInsertV2(table_handle=table, keys=keys, values=values, name=f"{name}_insert")
        if name in ("scalars", "vectors"):
            raw.LookupTableImportV2(table_handle=table, keys=keys, values=values, name=f"{name}_import")
        raw.LookupTableRemoveV2(table_handle=table, keys=keys, name=f"{name}_remove")
        raw.LookupTableFindV2(table_handle=table, keys=keys, default_value=default, name=f"{name}_find")
        raw.LookupTableSizeV2(table_handle=table, name=f"{name}_size")
        found = raw.LookupTableExportV2(table_handle=table, Tkeys=keys.dtype, Tvalues=values.dtype)
        # The dense tables export their buckets, which must lie where TensorFlow's lie.
        is_dense = name in ("dense", "wide")
        order = (
            tf.range(tf.shape(found[0])[0]) if is_dense else tf.argsort(tf.strings.to_hash_bucket_fast(found[0], 1000))
        )
        tf.gather(found[0], order, name=f"{name}_keys")
        tf.gather(found[1], order, name=f"{name}_values")
        if is_dense:
            raw.LookupTableImportV2(
                table_handle=table, keys=found[0][::-1], values=found[1][::-1], name=f"{name}_turned"
            )


@pytest.mark.parametrize("name", ["scalars", "vectors", "dense", "wide"])
def test_mutable_tables(name):
    def feeds(words, numbers):
        rows = np.outer(np.asarray(numbers), [1, 10]).astype(np.float32)
        return {"x:0": np.array(words, object), "y:0": np.array(numbers, np.int64), "rows:0": rows}

    one, two = feeds([b"a", b"b", b"c"], [1, 2, 3]), feeds([b"c", b"d", b"c"], [7, 5, 3])
    parts = [f"{name}_find:0", f"{name}_size:0"]
    contents = [f"{name}_keys:0", f"{name}_values:0"]
    runs = [
        (parts, one), (f"{name}_insert", one), (parts, one), (f"{name}_insert", two), (parts, two), (contents, {}),
        (f"{name}_remove", one), (parts, two), (f"{name}_insert", feeds([b"a", b"b"], [1, 2, 3])),
    ]  # fmt: skip
    if name in ("scalars", "vectors"):
        runs += [(f"{name}_import", one), (contents, {}), (parts, one)]
    else:
        many = feeds([b""] * 9, [1, 17, 33, 5, 9, 49, 100, 2**40, 3])
        runs += [(contents, {}), (f"{name}_insert", many), (contents, {}), (f"{name}_remove", two), (contents, {})]
        runs += [(f"{name}_turned", {}), (contents, {}), (parts, feeds([b""], [2**40]))]
    check_runs(mutable_tables, runs)


def failures():
    text = {"key_dtype": tf.string, "value_dtype": tf.int64}
    static, other = raw.HashTableV2(**text, name="static"), raw.HashTableV2(**text, name="other")
    key, number = tf.constant(["a"]), tf.constant([1], tf.int64)
    raw.LookupTableFindV2(table_handle=static, keys=key, default_value=tf.constant(1, tf.int64), name="find")
    raw.LookupTableExportV2(table_handle=static, Tkeys=tf.string, Tvalues=tf.int64, name="export")
    raw.InitializeTableV2(table_handle=static, keys=key, values=number, name="fill")
    raw.InitializeTableV2(
        table_handle=static, keys=tf.constant(["a", "b"]), values=tf.constant([1, 2], tf.int64), name="two"
    )
    raw.InitializeTableV2(table_handle=static, keys=tf.constant(["b"]), values=number, name="same_size")
    raw.InitializeTableV2(
        table_handle=other, keys=tf.constant(["a", "a"]), values=tf.constant([1, 2], tf.int64), name="torn"
    )
    raw.LookupTableInsertV2(table_handle=static, keys=key, values=number, name="insert")
    raw.LookupTableFindV2(table_handle=static, keys=number, default_value=tf.constant(1, tf.int64), name="other_dtype")
    mixed = raw.MutableHashTableV2(**text, shared_name="static_1")
    again = raw.HashTableV2(**text, shared_name="static_1")
    with tf.control_dependencies([raw.LookupTableSizeV2(table_handle=mixed)]):
        raw.LookupTableSizeV2(table_handle=tf.identity(again), name="mixed")
    dense = raw.MutableDenseHashTableV2(
        empty_key=tf.constant(0, tf.int64), deleted_key=tf.constant(-1, tf.int64), value_dtype=tf.int64
    )
    words = raw.MutableDenseHashTableV2(
        empty_key=tf.constant(""), deleted_key=tf.constant("-"), value_dtype=tf.int64, initial_num_buckets=8
    )
    with tf.control_dependencies(
        [
            raw.LookupTableInsertV2(
                table_handle=words, keys=tf.constant(["a", "b", "hello"]), values=tf.constant([1, 2, 3], tf.int64)
            )
        ]
    ):
        raw.LookupTableExportV2(table_handle=words, Tkeys=tf.string, Tvalues=tf.int64, name="words")
    for name, reserved in (("empty", 0), ("deleted", -1)):
        keys = tf.constant([3, reserved], tf.int64)
        raw.LookupTableInsertV2(table_handle=dense, keys=keys, values=keys, name=f"insert_{name}")
        raw.LookupTableRemoveV2(table_handle=dense, keys=keys, name=f"remove_{name}")


def test_errors_are_tensorflows():
    names = ["find:0", "export:0", "fill", "fill", "find:0", "two", "same_size", "torn", "insert", "other_dtype:0"]
    names += ["words:0", "words:1", "insert_empty", "insert_deleted", "remove_empty", "remove_deleted"]
    check_runs(failures, [(name, {}) for name in names])
    check_session(failures, [(name, {}) for name in names])


def test_the_error_of_an_empty_table_names_node_and_op():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(failures))
    with pytest.raises(errors.FailedPreconditionError, match=r"LookupTableFindV2 'find'.*Table not init") as caught:
        fn({}, {}, "find:0")
    assert (caught.value.node, caught.value.op) == ("find", "LookupTableFindV2")


def test_a_state_keeps_its_tables_when_a_later_one_changes_them():
    fn, _ = mgjax.import_meta_graph(meta_graph_of(mutable_tables))
    before, _ = fn({}, {"x:0": [b"a"], "y:0": [1]}, "scalars_insert")
    after, _ = fn(before, {"x:0": [b"a"], "y:0": [2]}, "scalars_insert")
    assert int(fn(before, {"x:0": [b"a"]}, "scalars_find:0")[1][0]) == 1
    assert int(fn(after, {"x:0": [b"a"]}, "scalars_find:0")[1][0]) == 2


def test_a_graph_initializes_its_tables():
    def build():
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant([b"a", b"b"]), tf.constant([3, 4], tf.int64))
        table = tf.lookup.StaticVocabularyTable(initializer, num_oov_buckets=2)
        tf.identity(table.lookup(tf.placeholder(tf.string, name="x")), name="ids")
        tf.get_variable("w", [2])

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    words = {"x:0": np.array([b"a", b"b", b"zzz"], object)}
    state, ids = fn(fn.init(), words, "ids:0")
    ids = np.asarray(ids).tolist()
    assert ids[:2] == [3, 4] and ids[2] >= 2
    with pytest.raises(errors.FailedPreconditionError, match="not initialized"):
        fn(fn.init(tables=False), words, "ids:0")
    assert np.asarray(fn(fn.init_tables(dict(state)), words, "ids:0")[1]).tolist() == ids


def test_a_graph_whose_table_importer_takes_nothing_is_imported():
    graph = meta_graph_pb2.MetaGraphDef()
    graph.graph_def.node.add(name="save/import", op="LookupTableImportV2")
    graph.graph_def.node.add(name="save/restore_all", op="NoOp", input=["^save/import"])
    graph.graph_def.node.add(name="save/Const", op="Placeholder")
    graph.saver_def.restore_op_name = "save/restore_all"
    graph.saver_def.save_tensor_name, graph.saver_def.filename_tensor_name = "save/c:0", "save/Const:0"
    fn, _ = mgjax.import_meta_graph(graph.SerializeToString())
    assert "save/import" in fn.operations
