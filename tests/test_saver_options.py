"""What a saver may be asked for: other names, parts of a checkpoint, other dtypes, both formats, what is kept, the background."""

import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
from mgjax import checkpoint
from mgjax.errors import MissingFileError, ReadError, RestoreError, UnknownNameError
from tests.checkpoint.test_live import restore
from tests.live import meta_graph_of, saved_by, session_of, tf
from tests.test_saver import KERNEL, model, prefix  # noqa: F401  `prefix` is a fixture


@pytest.fixture
def imported(prefix):  # noqa: F811
    """(the function, its saver, the state of the checkpoint, the folder it is in)"""
    fn, saver = mgjax.import_meta_graph(prefix + ".meta")
    return fn, saver, saver.restore(prefix), Path(prefix).parent


def names(folder, ending=""):
    return sorted(path.name for path in Path(folder).iterdir() if path.is_file() and path.name.endswith(ending))


# ---- restoring


def test_some_variables_are_restored_by_name_or_object(imported, prefix):  # noqa: F811
    fn, saver, _, _ = imported
    assert list(saver.restore(prefix, var_list=["bias"])) == ["bias"]
    assert list(saver.restore(prefix, var_list=[fn.variables["kernel"], "global_step:0"])) == ["kernel", "global_step"]
    with pytest.raises(UnknownNameError, match="'kernels' is no variable of the graph; the nearest names are 'kernel'"):
        saver.restore(prefix, var_list=["kernels"])


def test_a_mapping_restores_from_other_names(imported, tmp_path):
    fn, saver, _, _ = imported
    checkpoint.write(tmp_path / "old", {"old/w": KERNEL * 2, "bias": np.float32([1, 1, 1])})
    state = saver.restore(tmp_path / "old", var_list={"old/w": "kernel", "bias": fn.variables["bias"]})
    assert_array_equal(state["kernel"], KERNEL * 2)
    assert list(mgjax.Saver(fn, {"old/w": "kernel"}).restore(tmp_path / "old")) == ["kernel"]
    with pytest.raises(ValueError, match="will be restored with two names"):
        mgjax.Saver(fn, {"a": "kernel", "b": "kernel"})
    with pytest.raises(ValueError, match="At least two variables have the same name"):
        mgjax.Saver(fn, ["kernel", "kernel"])


def test_what_is_missing_may_be_left_out_and_is_told(imported, tmp_path):
    fn, saver, _, _ = imported
    checkpoint.write(tmp_path / "part", {"kernel": KERNEL, "bias": np.float64([1, 2, 3]), "more": np.zeros(2)})
    fit = saver.fit(tmp_path / "part")
    assert (fit.restored, fit.missing, fit.unused) == (("kernel",), {"global_step": "global_step"}, ("more",))
    assert list(fit.mismatched) == ["bias"]
    assert "'bias' is float32[3] in the graph and float64[3] in the checkpoint" in str(fit)
    assert "1 tensors of the checkpoint are not used: more" in str(fit)
    with pytest.raises(RestoreError, match=r"'global_step' is not in the checkpoint.*'bias' is float32"):
        saver.restore(tmp_path / "part")
    assert list(saver.restore(tmp_path / "part", allow_missing=True)) == ["kernel"]
    # What is left out keeps the values of a state that it is put into.
    assert sorted(fn.init().replace(saver.restore(tmp_path / "part", allow_missing=True))) == sorted(fn.variables)


def test_dtypes_are_converted_and_shapes_changed_when_asked(imported, tmp_path):
    _, saver, _, _ = imported
    tensors = {"kernel": KERNEL.reshape(3, 2), "bias": np.float64([1, 2, 3]), "global_step": np.int32(7)}
    checkpoint.write(tmp_path / "other", tensors)
    state = saver.restore(tmp_path / "other", cast=True, reshape=True)
    assert_array_equal(state["kernel"], KERNEL)
    assert (state["bias"].dtype, state["global_step"].dtype) == (np.float32, np.int64)
    checkpoint.write(tmp_path / "other", tensors | {"bias": np.complex64([1, 2, 3])})
    with pytest.raises(RestoreError, match="complex64"):
        saver.restore(tmp_path / "other", cast=True, reshape=True)


@pytest.mark.parametrize("form", ["one", "mapping", "function"])
def test_values_come_onto_devices_as_they_are_to_lie(imported, prefix, form):  # noqa: F811
    _, saver, _, _ = imported
    sharding = jax.sharding.NamedSharding(jax.sharding.Mesh(jax.devices(), ("x",)), jax.sharding.PartitionSpec())
    given = {"one": sharding, "mapping": {"kernel": sharding}, "function": lambda variable: sharding}[form]
    state = saver.restore(prefix, shardings=given)
    assert state["kernel"].sharding == sharding
    assert_array_equal(state["kernel"], KERNEL)
    assert state["global_step"].dtype == np.int64


def test_checksums_may_be_left_unverified(imported, prefix):  # noqa: F811
    _, saver, _, folder = imported
    path = folder / "model-3.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(ReadError, match="Checksum does not match"):
        saver.restore(prefix)
    assert len(saver.restore(prefix, verify=False)) == 3


# ---- saving


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("sharded", [False, True])
def test_both_formats_are_written_in_shards_or_not(tmp_path, version, sharded):
    def on_two_devices():
        with tf.device("/cpu:0"):
            tf.get_variable("kernel", initializer=KERNEL, use_resource=False)
        with tf.device("/job:ps/task:1"):
            tf.get_variable("part", [4, 2], partitioner=tf.fixed_size_partitioner(2), use_resource=False)

    fn, _ = mgjax.import_meta_graph(meta_graph_of(on_two_devices))
    saver = mgjax.Saver(fn, sharded=sharded, write_version=version)
    state = {"kernel": KERNEL, "part/part_0": np.float32([[1, 2], [3, 4]]), "part/part_1": np.float32([[5, 6], [7, 8]])}
    written = saver.save(state, tmp_path / "m", global_step=3, write_meta_graph=False)
    files = names(tmp_path)
    assert (
        files
        == {
            (1, False): ["checkpoint", "m-3"],
            (1, True): ["checkpoint", "m-3-00000-of-00002", "m-3-00001-of-00002"],
            (2, False): ["checkpoint", "m-3.data-00000-of-00001", "m-3.index"],
            (2, True): ["checkpoint", "m-3.data-00000-of-00002", "m-3.data-00001-of-00002", "m-3.index"],
        }[version, sharded]
    )
    assert written == tf.train.latest_checkpoint(str(tmp_path)) == checkpoint.latest_checkpoint(tmp_path)
    assert_array_equal(restore(written, [("part", tf.float32)])[0], [[1, 2], [3, 4], [5, 6], [7, 8]])
    for path in (written, tmp_path):
        again = saver.restore(path)
        assert_array_equal(again["part/part_1"], state["part/part_1"])
    with tf.Graph().as_default(), session_of() as session:
        kernel = tf.get_variable("kernel", [2, 3])
        tf.train.Saver().restore(session, written)
        assert_array_equal(session.run(kernel), KERNEL)


def test_a_saver_of_the_first_format_goes_on_writing_it(tmp_path):
    saved_by(model, tmp_path / "old", write_version=tf.train.SaverDef.V1)
    _, saver = mgjax.import_meta_graph(str(tmp_path / "old.meta"))
    saver.save(saver.restore(tmp_path / "old"), tmp_path / "new")
    assert names(tmp_path) == ["checkpoint", "new", "new.meta", "old", "old.meta"]
    assert saver.as_saver_def().version == 1


@pytest.mark.parametrize("keep, kept", [(0, [0, 1, 2, 3]), (1, [3]), (2, [2, 3])])
def test_older_checkpoints_are_deleted_with_their_graphs(imported, tmp_path, keep, kept):
    fn, _, state, _ = imported
    saver = mgjax.Saver(fn, max_to_keep=keep)
    for step in range(4):
        saver.save(state, tmp_path / "m", step, generators=True)
    assert names(tmp_path, ".index") == [f"m-{step}.index" for step in kept]
    assert names(tmp_path, ".meta") == [f"m-{step}.meta" for step in kept]
    assert saver.last_checkpoints == ([str(tmp_path / f"m-{step}") for step in kept] if keep else [])
    listed = tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths
    assert list(listed) == [str(tmp_path / f"m-{step}") for step in (kept if keep else [3])]


def test_how_many_are_kept_comes_from_the_file(tmp_path):
    saved_by(model, tmp_path / "m", max_to_keep=1, keep_checkpoint_every_n_hours=1e-9)
    fn, saver = mgjax.import_meta_graph(str(tmp_path / "m.meta"))
    for step in range(3):
        saver.save(saver.restore(tmp_path / "m"), tmp_path / "n", step)
    assert saver.last_checkpoints == [str(tmp_path / "n-2")]
    assert len(names(tmp_path, ".index")) == 4  # each was due to be one in so many hours
    assert (saver.as_saver_def().max_to_keep, saver.to_proto("nosuch")) == (1, None)
    scoped = mgjax.Saver.from_proto(mgjax.import_meta_graph(str(tmp_path / "m.meta"), import_scope="s")[0],
                                    saver.as_saver_def(), "s")  # fmt: skip
    assert [saved.variable for saved in scoped.saved] == [f"s/{saved.variable}" for saved in saver.saved]
    assert mgjax.Saver(fn, max_to_keep=7).as_saver_def().max_to_keep == 7


def test_the_list_of_checkpoints_is_set_and_recovered(imported, tmp_path):
    fn, saver, state, _ = imported
    paths = [saver.save(state, tmp_path / "m", step) for step in range(2)]
    later = mgjax.Saver(fn, max_to_keep=2)
    later.recover_last_checkpoints([str(tmp_path / "gone"), *paths])
    assert later.last_checkpoints == paths
    later.save(state, tmp_path / "m", 2)
    assert names(tmp_path, ".index") == ["m-1.index", "m-2.index"]
    later.set_last_checkpoints(paths[1:])
    assert later.last_checkpoints == paths[1:]
    later.set_last_checkpoints_with_time([(paths[1], time.time())])


def test_a_deleted_checkpoint_is_never_listed(imported, tmp_path, monkeypatch):
    fn, _, state, _ = imported
    saver = mgjax.Saver(fn, max_to_keep=1)
    saver.save(state, tmp_path / "m", 0)
    listed = []
    remove = checkpoint.keeping.remove
    monkeypatch.setattr(
        checkpoint.keeping,
        "remove",
        lambda path: (listed.append(checkpoint.read_state(str(tmp_path)).paths), remove(path)),
    )
    saver.save(state, tmp_path / "m", 1)
    assert listed == [(str(tmp_path / "m-1"),)]


def test_names_of_files_and_steps(imported, tmp_path):
    fn, saver, state, _ = imported
    padded = mgjax.Saver(fn, pad_step_number=True, save_relative_paths=True)
    assert padded.save(state, tmp_path / "m", np.int32(7)) == str(tmp_path / "m-00000007")
    assert 'model_checkpoint_path: "m-00000007"' in (tmp_path / "checkpoint").read_text()
    for step in (fn.variables["global_step"], "global_step:0", state["global_step"], np.array([0])):
        assert saver.save(state, tmp_path / "n", step) == str(tmp_path / "n-0")
    with pytest.raises(TypeError, match="global_step is an integer"):
        saver.save(state, tmp_path / "n", 1.5)
    saver.save(state, tmp_path / "o", latest_filename="latest", meta_graph_suffix="graph")
    assert names(tmp_path, ".graph") == ["o.graph"]
    assert tf.train.latest_checkpoint(str(tmp_path), "latest") == str(tmp_path / "o")
    saver.save(state, tmp_path / "p", write_meta_graph=False, write_state=False)
    assert names(tmp_path, "p.meta") == [] and saver.last_checkpoints[-1] == str(tmp_path / "o")
    for path, options in (("q", {"latest_filename": "x/y"}), ("checkpoint", {}), ("", {})):
        with pytest.raises(ValueError, match=r"path components|collides with 'save_path'|no path specified"):
            saver.save(state, str(tmp_path / path) if path else "", **options)


def test_the_graph_is_written_as_imported_or_as_scoped(prefix, tmp_path):  # noqa: F811
    fn, saver = mgjax.import_meta_graph(prefix + ".meta", import_scope="there")
    state = saver.restore(prefix)
    with pytest.raises(RestoreError):
        mgjax.Saver(fn).restore(prefix)  # by the variables' names in the scope
    written = saver.save(state, tmp_path / "m", strip_default_attrs=True)
    with tf.Graph().as_default(), session_of() as session:
        tf.train.import_meta_graph(written + ".meta").restore(session, written)
        assert_array_equal(session.run("there/kernel:0"), KERNEL)
    again, _ = mgjax.import_meta_graph(written + ".meta")
    assert again.meta_graph.meta_info_def.stripped_default_attrs
    assert list(again.variables) == list(fn.variables)


def test_a_saver_of_some_variables_writes_a_graph_that_tensorflow_makes_a_saver_for(imported, tmp_path):
    fn, _, state, _ = imported
    written = mgjax.Saver(fn).save(state, tmp_path / "m")
    with tf.Graph().as_default(), session_of() as session:
        tf.train.import_meta_graph(written + ".meta").restore(session, written)
        assert_array_equal(session.run("kernel:0"), KERNEL)


# ---- in the background


def test_a_background_save_holds_what_the_state_was_though_its_buffers_are_given_away(imported, tmp_path, monkeypatch):
    _, saver, state, _ = imported
    begun, may_write = threading.Event(), threading.Event()
    write = checkpoint.write

    def late(*arguments, **options):
        begun.set()
        assert may_write.wait(30)
        return write(*arguments, **options)

    monkeypatch.setattr(checkpoint, "write", late)
    kept = {name: np.array(value) for name, value in state.items()}
    overwrite = jax.jit(lambda arrays: {name: array * 0 - 1 for name, array in arrays.items()}, donate_argnums=0)
    host = np.array(state["bias"])
    state = state.replace({"bias": host})  # a caller may also write over a NumPy array
    assert saver.save(state, tmp_path / "m", wait=False) == str(tmp_path / "m")
    begun.wait(30)
    with jax.enable_x64(True):
        jax.block_until_ready(overwrite(dict(state.arrays)))
    host[:] = -1
    assert names(tmp_path) == []
    may_write.set()
    saver.wait()
    assert names(tmp_path) == ["checkpoint", "m.data-00000-of-00001", "m.index", "m.meta"]
    for name, value in checkpoint.open(tmp_path / "m").read_all().items():
        assert_array_equal(value, kept[name])


def test_many_background_saves_race_with_donating_steps(imported, tmp_path):
    _, saver, state, _ = imported
    step = jax.jit(lambda arrays: {name: array + 1 for name, array in arrays.items()}, donate_argnums=0)
    arrays = dict(state.arrays)
    for number in range(20):
        saver.save(arrays, tmp_path / "m", number, wait=False, write_meta_graph=False)
        with jax.enable_x64(True):
            arrays = step(arrays)
    saver.wait()
    assert saver.last_checkpoints == [str(tmp_path / f"m-{number}") for number in range(15, 20)]
    for number in range(15, 20):
        assert_array_equal(checkpoint.open(tmp_path / f"m-{number}")["kernel"], KERNEL + number)


def test_what_goes_wrong_in_the_background_is_raised_once(imported, tmp_path):
    _, saver, state, _ = imported
    saver.save(state, tmp_path / "no" / "folder" / "m", wait=False)
    with pytest.raises(OSError, match="folder"):
        saver.save(state, tmp_path / "m")
    saver.save(state, tmp_path / "m")


# ---- random ops


def drawing():
    tf.get_variable("v", initializer=np.float32(1))
    tf.identity(tf.random_uniform([3], seed=5), name="seeded")
    tf.identity(tf.random_uniform([3]), name="unseeded")


def test_counters_of_random_ops_go_on_where_they_stood_if_asked_for(tmp_path):
    fn, saver = mgjax.import_meta_graph(meta_graph_of(drawing))
    fetches = ["seeded:0", "unseeded:0"]
    state, _ = fn(fn.init(), {}, fetches)
    saver.save(state, tmp_path / "m", generators=True)
    _, expected = fn(state, {}, fetches)
    resumed = saver.restore(tmp_path / "m", generators=True)
    assert resumed.seed == state.seed
    assert_array_equal(fn(resumed, {}, fetches)[1], expected)
    # By default they start anew, as TensorFlow's do.
    fresh = saver.restore(tmp_path / "m")
    assert_array_equal(fn(fresh, {}, "seeded:0")[1], fn(fn.init(), {}, "seeded:0")[1])
    assert checkpoint.find(tmp_path) == str(tmp_path / "m")
    with pytest.raises(ValueError, match="no counters of random ops"):
        saver.save(dict(state), tmp_path / "m", generators=True)


@pytest.mark.parametrize("damage", [lambda text: text.replace('"seed"', '"seat"'), lambda text: text[:-1],
                                    lambda text: text.replace("[", "[1", 1), lambda text: "[]"])  # fmt: skip
def test_a_damaged_file_of_counters_is_a_read_error(tmp_path, damage):
    fn, saver = mgjax.import_meta_graph(meta_graph_of(drawing))
    saver.save(fn.init(), tmp_path / "m", generators=True)
    path = tmp_path / "m.generators"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ReadError, match=r"m\.generators"):
        saver.restore(tmp_path / "m", generators=True)
    path.unlink()
    with pytest.raises(MissingFileError, match="generators=True"):
        saver.restore(tmp_path / "m", generators=True)
