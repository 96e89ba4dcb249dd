"""Variables from checkpoints and back: what TensorFlow's savers leave, and what they make of what is left here."""

import random
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mgjax
from mgjax import checkpoint, sample
from mgjax.errors import MissingFileError, ReadError, RestoreError
from tests.live import meta_graph_of, saved_by, session_of, tf

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


def model():
    tf.get_variable("kernel", initializer=KERNEL, use_resource=False)
    tf.get_variable("bias", initializer=np.float32([7, 8, 9]), use_resource=True)
    tf.train.get_or_create_global_step()


@pytest.fixture
def prefix(tmp_path):
    """A checkpoint with its .meta, in a folder of its own."""
    path = tmp_path / "run" / "model-3"
    path.parent.mkdir()
    saved_by(model, path)
    return str(path)


# Restoring


@pytest.mark.parametrize("form", ["", ".index", ".meta", ".data-00000-of-00001", "folder", "checkpoint", "Path"])
def test_every_path_that_people_try_leads_to_the_checkpoint(prefix, form):
    _, saver = mgjax.import_meta_graph(prefix + ".meta")
    folder = Path(prefix).parent
    path = {"folder": folder, "checkpoint": folder / "checkpoint", "Path": Path(prefix)}.get(form, prefix + form)
    variables = saver.restore(path)
    assert_array_equal(variables["kernel"], KERNEL)
    assert variables["global_step"].dtype == np.int64


def remove(prefix, ending):
    Path(prefix + ending).unlink()


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
def test_a_missing_file_is_named(prefix, ending):
    _, saver = mgjax.import_meta_graph(prefix + ".meta")
    remove(prefix, ending)
    with pytest.raises(MissingFileError, match=f"model-3{ending}"):
        saver.restore(prefix)


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
def test_a_truncated_file_is_a_read_error(prefix, ending):
    _, saver = mgjax.import_meta_graph(prefix + ".meta")
    path = Path(prefix + ending)
    data = path.read_bytes()
    for size in (0, 1, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ReadError, match="model-3"):
            saver.restore(prefix)


def test_a_flipped_bit_is_found_wherever_it_is(prefix):
    _, saver = mgjax.import_meta_graph(prefix + ".meta")
    chosen = random.Random(0)
    for ending in (".index", ".data-00000-of-00001"):
        path = Path(prefix + ending)
        data = bytearray(path.read_bytes())
        for _ in range(40):
            place, bit = chosen.randrange(len(data)), 1 << chosen.randrange(8)
            data[place] ^= bit
            path.write_bytes(data)
            try:
                variables = saver.restore(prefix)
            except (ReadError, RestoreError):
                pass
            else:  # the bit says nothing, such as one in the padding of the index's footer
                assert ending == ".index"
                assert_array_equal(variables["kernel"], KERNEL)
            data[place] ^= bit
        path.write_bytes(data)


def test_a_file_of_another_kind_is_said_to_be_one(tmp_path):
    _, saver = mgjax.import_meta_graph(sample.META)
    path = tmp_path / "weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ReadError, match="HDF5"):
        saver.restore(path)


def test_all_variables_that_do_not_fit_are_listed_and_nothing_is_restored(prefix):
    def other():
        tf.get_variable("kernel", [2, 4], use_resource=False)
        tf.get_variable("bias", [3], tf.float64, use_resource=False)
        tf.get_variable("gain", [3], use_resource=True)

    fn, saver = mgjax.import_meta_graph(meta_graph_of(other))
    with pytest.raises(RestoreError) as caught:
        saver.restore(prefix)
    text = str(caught.value)
    assert "'kernel' is float32[2,4] in the graph and float32[2,3] in the checkpoint" in text
    assert "'bias' is float64[3] in the graph and float32[3] in the checkpoint" in text
    assert "'gain' is not in the checkpoint" in text
    assert saver.problems(checkpoint.open(prefix)) and list(fn.variables) == ["kernel", "bias", "gain"]


def test_tensors_that_the_graph_does_not_know_are_left_alone(prefix):
    _, saver = mgjax.import_meta_graph(meta_graph_of(lambda: tf.get_variable("bias", [3])))
    assert list(saver.restore(prefix)) == ["bias"]


VALUES = {
    "half": np.float16([0.5, -2]),
    "brain": np.array([1, -3], ml_dtypes.bfloat16),
    "double": np.float64([1e300]),
    "byte": np.uint8([0, 255]),
    "short": np.int16([-(2**15)]),
    "long": np.int64([2**62, -1]),
    "truth": np.array([True, False]),
    "wave": np.complex64([1 + 2j]),
    "text": np.array([b"a\0", b"", "ü".encode()], object),
    "none": np.zeros((0, 3), np.float32),
    "one": np.int32(5),
}


def test_every_dtype_is_restored_as_it_was_saved(tmp_path):
    def build():
        for name, value in VALUES.items():
            dtype = tf.string if value.dtype == object else value.dtype
            tf.get_variable(name, initializer=tf.constant(value, dtype), use_resource=name < "m", trainable=False)

    saved_by(build, tmp_path / "all")
    _, saver = mgjax.import_meta_graph(str(tmp_path / "all.meta"))
    variables = saver.restore(tmp_path / "all")
    again = checkpoint.open(saver.save(variables, tmp_path / "again"))
    for name, value in VALUES.items():
        assert variables[name].dtype == again.read(name).dtype == value.dtype
        assert_array_equal(np.asarray(variables[name]), value)
        assert_array_equal(again.read(name), value)


def test_variables_are_restored_from_the_names_that_their_saver_gave_them(tmp_path):
    with tf.Graph().as_default(), session_of() as session:
        model()
        session.run(tf.global_variables_initializer())
        kernel, bias = tf.trainable_variables()
        tf.train.Saver({"old/kernel": kernel, "b": bias}).save(session, str(tmp_path / "renamed"))
    _, saver = mgjax.import_meta_graph(str(tmp_path / "renamed.meta"))
    variables = saver.restore(tmp_path / "renamed")
    assert sorted(variables) == ["bias", "kernel"]
    assert_array_equal(variables["kernel"], KERNEL)
    assert set(checkpoint.open(saver.save(variables, tmp_path / "again"))) == {"old/kernel", "b"}


@pytest.mark.parametrize(
    "options", [{"sharded": True}, {"write_version": tf.train.SaverDef.V1}, {"reshape": True}], ids=str
)
def test_checkpoints_of_every_kind_of_saver(tmp_path, options):
    saved_by(model, tmp_path / "model", **options)
    _, saver = mgjax.import_meta_graph(str(tmp_path / "model.meta"))
    variables = saver.restore(tmp_path / "model")
    assert_array_equal(variables["kernel"], KERNEL)
    assert_array_equal(variables["bias"], [7, 8, 9])


# Partitioned variables

WHOLE = np.arange(15, dtype=np.float32).reshape(5, 3)


def rows_of_whole(shape, dtype=None, partition_info=None):
    start = partition_info.var_offset[0]
    return tf.constant(WHOLE[start : start + shape[0]])


def partitioned():
    with tf.variable_scope("table", partitioner=tf.fixed_size_partitioner(2)):
        parts = tf.get_variable("w", [5, 3], initializer=rows_of_whole, use_resource=False)
    tf.identity(tf.convert_to_tensor(parts), name="whole")


def test_the_parts_of_a_partitioned_variable_are_put_together_and_taken_apart(tmp_path):
    saved_by(partitioned, tmp_path / "parts")
    fn, saver = mgjax.import_meta_graph(str(tmp_path / "parts.meta"))
    variables = saver.restore(tmp_path / "parts")
    assert_array_equal(variables["table/w/part_0"], WHOLE[:3])
    assert_array_equal(variables["table/w/part_1"], WHOLE[3:])
    assert_array_equal(fn(variables, {}, "whole:0")[1], WHOLE)
    assert fn.variables["table/w/part_1"].slice == ((3, 2), (0, 3))
    prefix = saver.save({name: np.asarray(part) * 2 for name, part in variables.items()}, tmp_path / "doubled")
    assert_array_equal(checkpoint.open(prefix).read("table/w"), WHOLE * 2)
    assert_array_equal(tf.train.load_variable(prefix, "table/w"), WHOLE * 2)


def test_a_graph_partitioned_otherwise_restores_the_same_values(tmp_path):
    saved_by(lambda: tf.get_variable("table/w", initializer=WHOLE), tmp_path / "whole")
    fn, saver = mgjax.import_meta_graph(meta_graph_of(partitioned))
    assert_array_equal(fn(saver.restore(tmp_path / "whole"), {}, "whole:0")[1], WHOLE)


# Saving


def test_a_step_stands_behind_the_prefix_and_the_checkpoint_file_names_it(prefix):
    _, saver = mgjax.import_meta_graph(prefix + ".meta")
    variables = saver.restore(prefix)
    folder = Path(prefix).parent
    base = folder / "next"
    assert saver.save(variables, base) == str(base)
    assert saver.save(variables, base, global_step=12) == f"{base}-12"
    assert saver.save(variables, base, global_step=np.int64(13)) == f"{base}-13"
    assert saver.save(variables, base, global_step="global_step") == f"{base}-0"
    assert tf.train.latest_checkpoint(str(folder)) == checkpoint.latest_checkpoint(folder) == f"{base}-0"
    saver.save(variables, base, global_step=14, write_state=False)
    assert tf.train.latest_checkpoint(str(folder)) == f"{base}-0"


def test_a_variable_without_a_value_is_named_and_nothing_is_written(prefix, tmp_path):
    _, saver = mgjax.import_meta_graph(prefix + ".meta")
    with pytest.raises(RestoreError, match="without a value cannot be saved: 'bias', 'global_step'"):
        saver.save({"kernel": KERNEL}, tmp_path / "new" / "model")
    assert not (tmp_path / "new").exists()


def test_a_value_of_another_shape_or_dtype_is_named_and_nothing_is_written(prefix, tmp_path):
    _, saver = mgjax.import_meta_graph(prefix + ".meta")
    variables = dict(saver.restore(prefix))
    (tmp_path / "new").mkdir()
    for wrong in (KERNEL.T, KERNEL.astype(complex)):
        with pytest.raises(ValueError, match=r"variable 'kernel' is of|'kernel' takes float32"):
            saver.save({**variables, "kernel": wrong}, tmp_path / "new" / "model")
    assert list((tmp_path / "new").iterdir()) == []


def training(optimizer):
    def build():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        y = tf.placeholder(tf.float32, [None], name="y")
        w = tf.get_variable("w", [3], initializer=tf.constant_initializer([0.1, -0.2, 0.3]))
        b = tf.get_variable("b", [], initializer=tf.zeros_initializer(), use_resource=False)
        loss = tf.reduce_mean(tf.square(tf.tanh(tf.reduce_sum(x * w, 1) + b) - y), name="loss")
        optimizer().minimize(loss, tf.train.get_or_create_global_step(), name="train_op")

    return build


def batches(count):
    drawn = np.random.default_rng(0)
    return [
        (drawn.normal(size=(8, 3)).astype(np.float32), drawn.normal(size=8).astype(np.float32)) for _ in range(count)
    ]


def train_in_tensorflow(meta, prefix, data):
    """The losses of further steps in a live TensorFlow, and its variables before them."""
    with tf.Graph().as_default(), session_of() as session:
        tf.train.import_meta_graph(meta).restore(session, prefix)
        variables = {v.op.name: session.run(v) for v in tf.global_variables()}
        losses = [session.run(["loss:0", "train_op"], {"x:0": x, "y:0": y})[0] for x, y in data]
    return losses, variables


@pytest.mark.parametrize("optimizer", [
    lambda: tf.train.AdamOptimizer(0.01),
    lambda: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    lambda: tf.train.RMSPropOptimizer(0.01, momentum=0.5, centered=True),
    lambda: tf.train.AdagradOptimizer(0.1),
    lambda: tf.train.FtrlOptimizer(0.1),
], ids=["adam", "momentum", "rmsprop", "adagrad", "ftrl"])  # fmt: skip
def test_training_goes_on_in_tensorflow_where_it_stopped_here(tmp_path, optimizer):
    first = str(tmp_path / "first")
    saved_by(training(optimizer), first)
    fn, saver = mgjax.import_meta_graph(first + ".meta")
    step = jax.jit(fn.bind(["x:0", "y:0"], ["loss:0", "train_op"]))
    data = batches(12)
    state, here = saver.restore(first), []
    for number, batch in enumerate(data):
        if number == 6:
            prefix, kept = saver.save(state, tmp_path / "half", global_step=number), state
        state, (loss, _) = step(state, *batch)
        here.append(float(loss))
    there, _ = train_in_tensorflow(first + ".meta", first, data)
    after, variables = train_in_tensorflow(first + ".meta", prefix, data[6:])
    assert variables.keys() == set(kept)
    for name, value in variables.items():
        assert value.dtype == kept[name].dtype
        assert_array_equal(value, kept[name])
    assert_allclose(here, there, rtol=1e-5)
    assert_allclose(after, here[6:], rtol=1e-5)
