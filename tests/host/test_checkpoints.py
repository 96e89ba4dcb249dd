"""The graph's own save and restore ops, run with TensorFlow's, which then reads the files too."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
import mgjax.compat.v1 as mg
from mgjax import checkpoint, errors
from tests.host.live_state import check_runs
from tests.live import meta_graph_of, session_of, tf

raw = tf.raw_ops
W, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.float64([1, 2])
VALUES = {"w": W, "b": B, "s": np.array([b"x", b""], object)}


def test_every_save_op_writes_what_every_restore_op_reads(tmp_path):
    def build():
        prefix = tf.placeholder(tf.string, [], name="prefix")
        tensors = [tf.constant(W), tf.constant(B), tf.constant(VALUES["s"], tf.string)]
        names, whole = ["w", "b", "s"], ["", "", ""]
        raw.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=whole, tensors=tensors, name="v2")
        raw.SaveSlices(filename=prefix, tensor_names=names, shapes_and_slices=whole, data=tensors, name="v1")
        raw.Save(filename=prefix, tensor_names=names, data=tensors, name="v0")
        read = raw.RestoreV2(
            prefix=prefix, tensor_names=["s", "w"], shape_and_slices=["", "2 3 1,1:0,2"], dtypes=[tf.string, tf.float32]
        )
        for i, tensor in enumerate(read):
            tf.identity(tensor, name=f"read{i}")
        raw.RestoreSlice(file_pattern=prefix, tensor_name="w", shape_and_slice="2 3 -:2,1", dt=tf.float32, name="slice")
        raw.Restore(file_pattern=prefix, tensor_name="b", dt=tf.float64, name="whole")
        for name, (key, spec, dtype) in BAD.items():
            raw.RestoreV2(prefix=prefix, tensor_names=[key], shape_and_slices=[spec], dtypes=[dtype], name=name)

    reads = ["read0:0", "read1:0", "slice:0", "whole:0"]
    runs = []
    for op in ("v2", "v1", "v0"):
        feeds = {"prefix:0": np.array(str(tmp_path / op).encode(), object)}
        # The older restore ops of TensorFlow know V1 alone; here they read either.
        runs += [([op], feeds), (reads[:2] if op == "v2" else reads, feeds)]
        runs += [([f"{name}:0"], feeds) for name in BAD]
    runs.append((["read0:0"], {"prefix:0": np.array(str(tmp_path / "nosuch").encode(), object)}))
    check_runs(build, runs, allow_writing=tmp_path)


#: What a RestoreV2 asks for that it cannot have.
BAD = {
    "absent": ("nosuch", "", tf.float32),
    "dtype": ("w", "", tf.float64),
    "shape": ("w", "9 9 0,2:0,2", tf.float32),
}


def test_shards_are_saved_and_merged(tmp_path):
    def build():
        prefix = tf.placeholder(tf.string, [], name="prefix")
        destination = tf.placeholder(tf.string, [], name="destination")
        files = [raw.ShardedFilename(basename=prefix, shard=i, num_shards=2) for i in range(2)]
        spec = raw.ShardedFilespec(basename=prefix, num_shards=2)
        tf.stack([*files, spec], name="names")
        rows = [tf.constant(W[:1]), tf.constant(W[1:])]
        saves = [
            raw.SaveV2(
                prefix=file,
                tensor_names=["w", f"b{i}"],
                shape_and_slices=[f"2 3 {i},1:-", ""],
                tensors=[part, tf.constant(B)],
            )
            for i, (file, part) in enumerate(zip(files, rows, strict=True))
        ]
        with tf.control_dependencies(saves):
            raw.MergeV2Checkpoints(checkpoint_prefixes=files, destination_prefix=destination, name="merge")
        raw.RestoreV2(
            prefix=destination, tensor_names=["w"], shape_and_slices=[""], dtypes=[tf.float32], name="read"
        )  # fmt: skip

    feeds = {"prefix:0": str(tmp_path / "m_temp" / "part"), "destination:0": str(tmp_path / "m")}
    check_runs(
        build,
        [(["names:0"], feeds), (["merge"], feeds), (["read:0"], feeds), (["merge"], feeds)],
        allow_writing=tmp_path,
    )
    # Both have run it, one after the other, in the same place.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "m.data-00000-of-00002", "m.data-00001-of-00002", "m.index",
    ]  # fmt: skip
    assert_array_equal(tf.train.load_variable(str(tmp_path / "m"), "w"), W)
    assert checkpoint.open(tmp_path / "m").names() == ["b0", "b1", "w"]


def model():
    tf.get_variable("w", initializer=W, use_resource=False)
    with tf.device("/cpu:0"):
        tf.get_variable("part", [4, 2], partitioner=tf.fixed_size_partitioner(2), use_resource=True)


@pytest.mark.parametrize("options", [{}, {"sharded": True}, {"write_version": 1}, {"sharded": True, "write_version": 1}],
                         ids=str)  # fmt: skip
def test_a_session_runs_the_graph_s_own_saver(tmp_path, options):
    with tf.Graph().as_default():
        model()
        saver = tf.train.Saver(**options)
        meta = tf.train.export_meta_graph(saver_def=saver.saver_def).SerializeToString()
        names = saver.saver_def
    path = str(tmp_path / "m")
    with mg.Graph().as_default(), mg.Session() as session:
        mg.train.import_meta_graph(meta, allow_writing=tmp_path)
        session.run(mg.global_variables_initializer())
        part = session.run("part/part_1/Read/ReadVariableOp:0")
        written = session.run(names.save_tensor_name, {names.filename_tensor_name: path}).decode()
        session.run(mg.variables_initializer(mg.global_variables()))
        session.run(names.restore_op_name, {names.filename_tensor_name: written})
        assert_array_equal(session.run("part/part_1/Read/ReadVariableOp:0"), part)
        assert_array_equal(session.run("w:0"), W)
    with tf.Graph().as_default(), session_of() as session:
        model()
        tf.train.Saver().restore(session, written)
        assert_array_equal(session.run("w:0"), W)


def test_only_what_is_allowed_is_read_or_written(tmp_path):
    def build():
        tf.get_variable("w", initializer=W, use_resource=False)

    (tmp_path / "in").mkdir()
    meta_graph = meta_graph_of(build)
    state = {"w": W}

    def run(path, fetch, **allowed):
        fn, _ = mgjax.import_meta_graph(meta_graph, **allowed)
        return fn(state, {"save/Const:0": str(path)}, fetch)

    inside, outside = tmp_path / "in" / "m", tmp_path / "m"
    for path, allowed in (
        (inside, {}),
        (inside, {"allow_files": tmp_path}),
        (outside, {"allow_writing": tmp_path / "in"}),
    ):
        with pytest.raises(errors.PermissionDeniedError, match="allow_writing"):
            run(path, "save/control_dependency:0", **allowed)
    run(outside, "save/control_dependency:0", allow_writing=outside)  # a prefix allows its files
    run(inside, "save/control_dependency:0", allow_writing=tmp_path / "in")
    assert_array_equal(run(inside, "save/restore_all", allow_files=inside)[0]["w"], W)
    with pytest.raises(errors.PermissionDeniedError, match="allow_files"):
        run(outside, "save/restore_all", allow_files=tmp_path / "in")
    # What a link among the files leads to is not allowed with the prefix.
    for name in ("index", "data-00000-of-00001"):
        (tmp_path / "in" / f"link.{name}").symlink_to(tmp_path / f"m.{name}")
    with pytest.raises(errors.PermissionDeniedError):
        run(tmp_path / "in" / "link", "save/restore_all", allow_files=tmp_path / "in")


def test_a_variable_without_a_value_is_not_saved(tmp_path):
    fn, _ = mgjax.import_meta_graph(
        meta_graph_of(lambda: tf.get_variable("w", initializer=W, use_resource=False)), allow_writing=tmp_path
    )
    with pytest.raises(errors.FailedPreconditionError, match="uninitialized"):
        fn({}, {"save/Const:0": str(tmp_path / "m")}, "save/control_dependency:0")
    assert list(tmp_path.iterdir()) == []
