"""`tf.train.Saver`: what TensorFlow does, checked of it too, and that each reads what the other wrote."""

from __future__ import annotations

import os

import numpy as np
import pytest

import mgjax.compat.v1

live = pytest.importorskip("tests.live")


def variable(tf, value, name):
    return tf.Variable(value, name=name, use_resource=False)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(ending=""):
    return sorted(name for name in os.listdir() if name.endswith(ending))


def state(path="checkpoint"):
    with open(path) as lines:
        return [line.split('"')[1] for line in lines]


@pytest.fixture
def trained(tf, session, here):
    """A variable `v` with a value, and the working directory to save it in."""
    v = variable(tf, [1.0, 2.0], "v")
    session.run(v.initializer)
    return v


# ---- construction


def test_there_must_be_variables(tf):
    for arguments in ({}, {"var_list": []}):
        with pytest.raises(ValueError, match="No variables to save"):
            tf.train.Saver(**arguments)


def test_an_empty_saver_may_be_allowed_and_does_nothing(tf, here):
    saver = tf.train.Saver(allow_empty=True)
    with tf.Session() as session:
        assert saver.save(session, "e") is None
        assert saver.restore(session, "e") is None


def test_a_deferred_saver_must_be_built(tf, session, trained):
    saver = tf.train.Saver(defer_build=True)
    with pytest.raises(RuntimeError, match="should be called before save"):
        saver.save(session, "a")
    saver.build()
    assert saver.save(session, "a") == "a"


@pytest.mark.parametrize(
    "var_list, error, message",
    [
        (lambda v: [v, v], ValueError, "At least two variables have the same name: v"),
        (lambda v: {"a": v, "b": v}, ValueError, "The same saveable will be restored with two names"),
        (lambda v: v, TypeError, "should be passed in a dict or a list"),
        (lambda v: {5: v}, TypeError, "Name is not a string"),
        (lambda v: [v + 1.0], TypeError, "Variable to save is not a Variable"),
    ],
)
def test_a_list_that_cannot_be_saved_is_refused(tf, var_list, error, message):
    v = variable(tf, [1.0], "v")
    with pytest.raises(error, match=message):
        tf.train.Saver(var_list(v))


def test_the_nodes_are_those_that_tensorflow_adds(tf):
    variable(tf, [1.0, 2.0], "v"), variable(tf, 3, "w")
    saver_def = tf.train.Saver(max_to_keep=None, keep_checkpoint_every_n_hours=2.5, name="mine").saver_def
    operations = tf.get_default_graph().get_operations()
    made = {op.name.removeprefix("mine/"): op for op in operations if op.name.startswith("mine/")}
    assert {name: op.type for name, op in made.items()} == {
        "filename/input": "Const", "filename": "PlaceholderWithDefault", "Const": "PlaceholderWithDefault",
        "SaveV2/tensor_names": "Const", "SaveV2/shape_and_slices": "Const", "SaveV2": "SaveV2",
        "control_dependency": "Identity", "RestoreV2/tensor_names": "Const", "RestoreV2/shape_and_slices": "Const",
        "RestoreV2": "RestoreV2", "Assign": "Assign", "Assign_1": "Assign", "restore_all": "NoOp",
    }  # fmt: skip
    assert [op.name for op in made["control_dependency"].control_inputs] == ["mine/SaveV2"]
    assert made["Assign"].get_attr("_class") == [b"loc:@v"]
    assert (saver_def.filename_tensor_name, saver_def.save_tensor_name, saver_def.restore_op_name) == (
        "mine/Const:0", "mine/control_dependency:0", "mine/restore_all",
    )  # fmt: skip
    assert (saver_def.max_to_keep, saver_def.keep_checkpoint_every_n_hours, saver_def.version) == (0, 2.5, 2)


def test_a_saver_def_comes_and_goes_with_its_scope(tf):
    variable(tf, [1.0], "v")
    saver = tf.train.Saver(name="mine")
    inside = saver.to_proto("mine")
    assert (inside.restore_op_name, saver.to_proto("other")) == ("restore_all", None)
    assert tf.train.Saver.from_proto(inside, "mine").saver_def == saver.saver_def


# ---- saving


def test_a_checkpoint_is_three_files_and_the_state(tf, session, trained):
    assert tf.train.Saver().save(session, "a", global_step=3) == "a-3"
    assert files() == ["a-3.data-00000-of-00001", "a-3.index", "a-3.meta", "checkpoint"]
    assert state() == ["a-3", "a-3"]


@pytest.mark.parametrize("step", [7, np.int64(7), "step", "step:0"], ids=str)
def test_a_step_may_be_a_number_a_variable_or_a_name(tf, session, trained, step):
    variable_step = variable(tf, np.int64(7), "step")
    session.run(variable_step.initializer)
    step = variable_step if step == "step" else step
    assert tf.train.Saver().save(session, "a", step) == "a-7"
    assert tf.train.Saver(pad_step_number=True).save(session, "a", step) == "a-00000007"


def test_files_may_be_left_out_and_named_otherwise(tf, session, trained):
    saver = tf.train.Saver()
    saver.save(session, "a", write_meta_graph=False, write_state=False)
    assert files() == ["a.data-00000-of-00001", "a.index"]
    saver.save(session, "b", meta_graph_suffix="graph", latest_filename="latest")
    assert files()[2:] == ["b.data-00000-of-00001", "b.graph", "b.index", "latest"]
    assert tf.train.latest_checkpoint(".", "latest") == "./b"


def test_paths_in_the_state_are_as_they_were_passed_or_from_its_folder(tf, session, trained, here):
    saver = tf.train.Saver()
    (here / "sub").mkdir()
    saver.save(session, "a")
    saver.save(session, "sub/b")
    assert state("sub/checkpoint") == ["b", "../a", "b"]
    saver.save(session, str(here / "c"))
    assert state() == [str(here / "c"), "a", "sub/b", str(here / "c")]
    tf.train.Saver(save_relative_paths=True).save(session, str(here / "d"))
    assert state() == ["d", "d"]


def test_refusals_of_save(tf, session, trained):
    saver = tf.train.Saver()
    with pytest.raises(TypeError, match="'sess' must be a Session"):
        saver.save(None, "a")
    with pytest.raises(ValueError, match="must not contain path components"):
        saver.save(session, "a", latest_filename="x/y")
    with pytest.raises(ValueError, match="collides with 'save_path'"):
        saver.save(session, "checkpoint")
    with pytest.raises(TypeError):
        saver.save(session, "a", global_step=1.7)


def test_a_variable_without_a_value_is_not_saved(tf, session, here):
    variable(tf, 1.0, "v")
    with pytest.raises(tf.errors.FailedPreconditionError, match="Attempting to use uninitialized value"):
        tf.train.Saver().save(session, str(here / "a"))
    assert files("index") == []


def test_a_closed_session_saves_and_restores_nothing(tf, here):
    v = variable(tf, [1.0], "v")
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(v.initializer)
        saver.save(session, "a")
    for use in (saver.save, saver.restore):
        with pytest.raises(RuntimeError, match="closed Session"):
            use(session, "a")


# ---- what is kept


@pytest.mark.parametrize("keep, kept", [(0, [0, 1, 2, 3]), (None, [0, 1, 2, 3]), (1, [3]), (2, [2, 3])])
def test_older_checkpoints_are_deleted(tf, session, trained, keep, kept):
    saver = tf.train.Saver(max_to_keep=keep)
    for step in range(4):
        saver.save(session, "a", step)
    assert files("index") == [f"a-{step}.index" for step in kept]
    assert files("meta") == [f"a-{step}.meta" for step in kept]
    assert saver.last_checkpoints == ([f"a-{step}" for step in kept] if keep else [])


def test_a_path_that_is_saved_again_is_the_latest(tf, session, trained):
    saver = tf.train.Saver(max_to_keep=2)
    for step in (0, 1, 0, 2):
        saver.save(session, "a", step)
    assert saver.last_checkpoints == ["a-0", "a-2"]
    assert state() == ["a-2", "a-0", "a-2"]


def test_one_in_so_many_hours_stays(tf, session, trained):
    saver = tf.train.Saver(max_to_keep=1, keep_checkpoint_every_n_hours=1e-9)
    for step in range(3):
        saver.save(session, "a", step)
    assert (len(files("index")), saver.last_checkpoints) == (3, ["a-2"])


def test_the_list_can_be_set_and_recovered(tf, session, trained):
    saver = tf.train.Saver(max_to_keep=2)
    for step in range(2):
        saver.save(session, "a", step)
    later = tf.train.Saver(max_to_keep=2)
    later.recover_last_checkpoints(["gone", "a-0", "a-1"])
    assert later.last_checkpoints == ["a-0", "a-1"]
    later.save(session, "a", 2)
    assert (later.last_checkpoints, files("index")) == (["a-1", "a-2"], ["a-1.index", "a-2.index"])
    later.set_last_checkpoints(["a-1"])
    assert later.last_checkpoints == ["a-1"]


# ---- restoring


@pytest.fixture
def saved(tf, session, trained):
    """The prefix of a checkpoint of `v` and of `n`, which is 5."""
    n = variable(tf, 5.0, "n")
    session.run(n.initializer)
    return tf.train.Saver().save(session, "a")


def fails(tf, error, var_list, path="a", **arguments):
    """What restoring into these variables of a new graph raises."""
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.Saver([variable(tf, value, name) for name, value in var_list.items()], **arguments)
        with pytest.raises(error) as caught:
            saver.restore(session, path)
        return str(caught.value)


def test_a_subset_or_other_names_are_restored(tf, session, trained, saved):
    session.run(trained.assign([0.0, 0.0]))
    tf.train.Saver([trained]).restore(session, saved)
    np.testing.assert_array_equal(session.run(trained), [1, 2])
    with tf.Graph().as_default(), tf.Session() as other:
        w = variable(tf, 0.0, "w")
        tf.train.Saver({"n": w}).restore(other, saved)
        assert other.run(w) == 5


def test_a_key_that_is_missing_is_not_found(tf, saved):
    text = fails(tf, tf.errors.NotFoundError, {"zzz": 1.0})
    assert "Restoring from checkpoint failed" in text
    assert "Key zzz not found in checkpoint" in text


@pytest.mark.parametrize("value", [[1.0, 2.0, 3.0], np.zeros(2, np.float64)], ids=["shape", "dtype"])
def test_another_shape_or_dtype_is_an_invalid_argument(tf, saved, value):
    text = fails(tf, tf.errors.InvalidArgumentError, {"v": value})
    assert "most likely due to a mismatch between the current graph and the graph from the checkpoint" in text


def test_reshape_takes_another_shape_of_as_many_elements(tf, session, saved):
    with tf.Graph().as_default(), tf.Session() as other:
        v = variable(tf, [[0.0], [0.0]], "v")
        tf.train.Saver([v], reshape=True).restore(other, saved)
        np.testing.assert_array_equal(other.run(v), [[1], [2]])
    fails(tf, tf.errors.InvalidArgumentError, {"v": [0.0, 0.0, 0.0]}, reshape=True)


@pytest.mark.parametrize("path, message", [(None, "when it is None"), ("nosuch", "not a valid checkpoint: nosuch")])
def test_what_is_no_checkpoint_is_a_value_error(tf, saved, path, message):
    assert message in fails(tf, ValueError, {"v": [0.0, 0.0]}, path)


def test_damaged_files_are_data_loss(tf, saved, here):
    data = here / "a.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[-3] ^= 1
    data.write_bytes(content)
    fails(tf, tf.errors.DataLossError, {"v": [0.0, 0.0]})
    data.write_bytes(content[:6])
    fails(tf, tf.errors.OutOfRangeError, {"v": [0.0, 0.0]})
    data.unlink()
    fails(tf, tf.errors.NotFoundError, {"v": [0.0, 0.0]})
    (here / "a.index").write_bytes(b"x" * 200)
    fails(tf, tf.errors.DataLossError, {"v": [0.0, 0.0]})


@pytest.mark.parametrize("writer", ["mgjax", "tensorflow"])
def test_a_checkpoint_and_its_graph_pass_between_the_two(here, writer):
    one, other = mgjax.compat.v1, live.tf
    if writer == "tensorflow":
        one, other = other, one
    with one.Graph().as_default(), one.Session() as session:
        v = variable(one, [1.0, 2.0], "v")
        one.add_to_collection("step", v.assign_add([1.0, 1.0]))
        session.run(one.global_variables_initializer())
        one.train.Saver().save(session, "a", 1)
    with other.Graph().as_default(), other.Session() as session:
        saver = other.train.import_meta_graph("a-1.meta")
        saver.restore(session, other.train.latest_checkpoint("."))
        session.run(other.get_collection("step")[0])
        np.testing.assert_array_equal(session.run("v:0"), [2, 3])
        assert saver.save(session, "a", 2) == "a-2"
    assert state() == ["a-2", "a-2"]


def test_an_object_based_checkpoint_is_found_by_the_variables_names(tf, session, here):
    with live.tf.Graph().as_default(), live.tf.Session() as writer:
        v = live.tf.Variable([7.0, 8.0], name="v", use_resource=True)
        writer.run(v.initializer)
        prefix = live.tf.train.Checkpoint(other_name=v).write("./objects", session=writer)
    v = variable(tf, [0.0, 0.0], "v")
    tf.train.Saver().restore(session, prefix)
    np.testing.assert_array_equal(session.run(v), [7, 8])
    variable(tf, 0.0, "zzz")
    with pytest.raises(tf.errors.NotFoundError, match="zzz"):
        tf.train.Saver().restore(session, prefix)
