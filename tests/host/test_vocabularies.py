"""Tables from files, beside a live TensorFlow, and which files a graph may read."""

import numpy as np
import pytest

import mgjax
import mgjax.compat.v1 as mg
from mgjax import errors
from tests.host.live_state import check_runs
from tests.live import meta_graph_of, saved_by, tf

raw = tf.raw_ops
S, L, N, F, D = tf.string, tf.int64, tf.int32, tf.float32, tf.float64

FILES = {
    "plain": b"a\nb\nc", "crlf": b"a\r\nb\r\nc\r\n", "empty": b"", "emptyline": b"a\n\nb\n", "inner_cr": b"a\rb\nc\n",
    "spaces": b"brain 1\nsalad 2\n", "tabs": b"a\t1\t2.5\nb\t3\t-4\n", "short": b"a\t1\nb\n", "numbers": b"1\n2\n3\n",
    "bad": b"a\tx\n", "twice": b"a\na\n", "padded": b"a\t 1 \n", "commas": b"a, b,c\n", "large": b"a\t99999999999\n",
}  # fmt: skip

FORMS = [
    ("plain", S, L, -2, -1), ("crlf", S, L, -2, -1), ("emptyline", S, L, -2, -1), ("inner_cr", S, L, -2, -1),
    ("spaces", S, L, 0, 1, -1, " "), ("tabs", S, L, 0, 1), ("tabs", S, F, 0, 2), ("tabs", L, S, 1, 0), ("tabs", S, D, 0, 2),
    ("tabs", N, F, 1, 2), ("tabs", S, S, -2, 0), ("tabs", S, L, 0, 5), ("short", S, L, 0, 1), ("numbers", L, L, -2, -1),
    ("numbers", L, S, -1, -2), ("bad", S, L, 0, 1), ("twice", S, L, -2, -1),
    ("padded", S, L, 0, 1), ("commas", S, S, 0, 1, -1, ","), ("plain", S, L, -2, -1, 2), ("plain", S, L, -2, -1, 5),
    ("plain", S, N, -2, -1), ("plain", S, S, -1, -2), ("plain", S, S, 0, 0), ("missing", S, L, -2, -1),
    ("large", S, N, 0, 1), ("plain", S, L, -2, -1, -1, ""), ("tabs", S, L, -1, 0), ("plain", L, L, -2, -1),
]  # fmt: skip


def test_every_form_of_a_vocabulary_file(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)

    def build():
        for i, (name, key, value, key_index, value_index, *rest) in enumerate(FORMS):
            table = raw.HashTableV2(key_dtype=key, value_dtype=value, name=f"t{i}")
            raw.InitializeTableFromTextFileV2(
                table_handle=table, filename=str(tmp_path / name), key_index=key_index, value_index=value_index,
                vocab_size=rest[0] if rest else -1, delimiter=rest[1] if rest[1:] else "\t", name=f"fill{i}",
            )  # fmt: skip
            keys, values = raw.LookupTableExportV2(table_handle=table, Tkeys=key, Tvalues=value)
            order = tf.argsort(tf.strings.to_hash_bucket_fast(keys if key == S else tf.as_string(keys), 10**6))
            tf.gather(keys, order, name=f"keys{i}")
            tf.gather(values, order, name=f"values{i}")

    runs = [([f"fill{i}"], {}) for i in range(len(FORMS))]
    contents = [([f"keys{i}:0", f"values{i}:0"], {}) for i in range(len(FORMS))]
    check_runs(build, runs + contents, allow_files=tmp_path)


def reading(path):
    def build():
        table = raw.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        raw.InitializeTableFromTextFileV2(
            table_handle=table, filename=str(path), key_index=-2, value_index=-1, name="fill"
        )  # fmt: skip
        raw.LookupTableSizeV2(table_handle=table, name="size")

    return meta_graph_of(build)


def test_a_file_is_read_only_where_it_is_allowed(tmp_path):
    inside, outside = tmp_path / "in" / "words", tmp_path / "in_too" / "words"
    for path in (inside, outside):
        path.parent.mkdir()
        path.write_bytes(b"a\nb\n")
    (inside.parent / "link").symlink_to(outside)
    fn, _ = mgjax.import_meta_graph(reading(inside))
    with pytest.raises(errors.PermissionDeniedError, match=rf"{inside}.*allow_files"):
        fn({}, {}, "fill")
    for allowed in (inside, [inside], inside.parent, str(tmp_path)):
        fn, _ = mgjax.import_meta_graph(reading(inside), allow_files=allowed)
        assert int(fn(fn({}, {}, "fill")[0], {}, "size:0")[1]) == 2
    for path in (outside, inside.parent / "link", inside.parent / ".." / "in_too" / "words"):
        fn, _ = mgjax.import_meta_graph(reading(path), allow_files=inside.parent)
        with pytest.raises(errors.PermissionDeniedError):
            fn({}, {}, "fill")


def test_scripts_may_read_beside_the_model_but_no_hidden_files(tmp_path):
    for folder, allowed in (("data", True), (".ssh", False)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "words").write_bytes(b"a\nb\n")
        (tmp_path / "model.meta").write_bytes(reading(tmp_path / folder / "words").SerializeToString())
        with mg.Graph().as_default(), mg.Session() as session:
            mg.train.import_meta_graph(str(tmp_path / "model.meta"))
            if allowed:
                session.run("fill")
                assert session.run("size:0") == 2
            else:
                with pytest.raises(mg.errors.PermissionDeniedError):
                    session.run("fill")


def test_a_saved_model_fills_its_tables_from_its_assets(tmp_path):
    (tmp_path / "words").write_bytes(b"x\ny\n")
    with tf.Graph().as_default(), tf.Session() as session:
        asset = tf.constant(str(tmp_path / "words"), name="asset")
        tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, asset)
        table = raw.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
        fill = raw.InitializeTableFromTextFileV2(table_handle=table, filename=asset, key_index=-2, value_index=-1)
        found = raw.LookupTableFindV2(
            table_handle=table, keys=tf.constant(["y", "?"]), default_value=tf.constant(-1, tf.int64), name="found"
        )
        builder = tf.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(
            session, ["serve"], {}, assets_collection=tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS), main_op=fill
        )
        builder.save()
    (tmp_path / "words").unlink()
    fn, state = mgjax.load_saved_model(tmp_path / "model")
    assert np.asarray(fn(state, {}, "found:0")[1]).tolist() == [1, -1]
    with mg.Graph().as_default(), mg.Session() as session:
        mg.saved_model.load(session, ["serve"], str(tmp_path / "model"))
        assert list(session.run(found.name)) == [1, -1]


def test_a_vocabulary_is_remapped(tmp_path):
    (tmp_path / "new").write_bytes(b"not_in_old\nknitting\nflypaper\nmore\n")
    (tmp_path / "old").write_bytes(b"knitting\nmore\nflypaper\n")

    def build():
        for i, (offset, count, old) in enumerate([(0, 4, -1), (1, 2, -1), (0, 3, 1), (0, 0, -1), (2, 5, -1)]):
            raw.GenerateVocabRemapping(
                new_vocab_file=str(tmp_path / "new"), old_vocab_file=str(tmp_path / "old"), new_vocab_offset=offset,
                num_new_vocab=count, old_vocab_size=old, name=f"r{i}",
            )  # fmt: skip

    check_runs(build, [([f"r{i}:0", f"r{i}:1"], {}) for i in range(5)], allow_files=[tmp_path])


def test_a_matrix_is_remapped(tmp_path):
    matrix = np.arange(12, dtype=np.float32).reshape(4, 3)
    saved_by(lambda: (tf.get_variable("w", initializer=matrix), tf.get_variable("v", [3])), tmp_path / "model")
    cases = [
        ("w", [3, 0], [], [], 2, 3), ("w", [-1, 1], [2, -1, 0], [7, 8, 9, 10], 2, 3), ("w", [0, 0], [], [], 2, 3),
        ("w", [0, -1], [], [1], 2, 3), ("w", [0], [], [1], 1, 3), ("x", [0], [], [], 1, 3), ("v", [0], [], [], 1, 3),
        ("w", [2, 1], [1], [], 2, 1), ("w", [9], [], [], 1, 3), ("w", [0], [], [], 1, 2),
    ]  # fmt: skip

    def build():
        for i, (name, rows, columns, values, num_rows, num_cols) in enumerate(cases):
            raw.LoadAndRemapMatrix(
                ckpt_path=str(tmp_path / "model"), old_tensor_name=name, row_remapping=tf.constant(rows, tf.int64),
                col_remapping=tf.constant(columns, tf.int64), initializing_values=tf.constant(values, tf.float32),
                num_rows=num_rows, num_cols=num_cols, name=f"m{i}",
            )  # fmt: skip

    check_runs(build, [(f"m{i}:0", {}) for i in range(len(cases))], allow_files=tmp_path)
