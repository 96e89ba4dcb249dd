"""The `checkpoint` file, readers and SavedModels in `tf.train` and `tf.saved_model`: as in TensorFlow, checked of it too."""

from __future__ import annotations

import numpy as np
import pytest

live = pytest.importorskip("tests.live")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    live.saved_by(build, "./model")
    (tmp_path / "checkpoint").unlink()
    return tmp_path


def build():
    live.tf.Variable([[1.0, 2.0]], name="v", use_resource=False)
    live.tf.Variable(np.int64(3), name="n", use_resource=False)


@pytest.mark.parametrize("text", [None, "garbage {{", 'model_checkpoint_path: "m"\nunknown_field: 3'])
def test_a_state_that_is_absent_or_cannot_be_read_is_none(tf, here, text):
    if text is not None:
        (here / "checkpoint").write_text(text)
    assert tf.train.get_checkpoint_state(".") is None
    assert tf.train.latest_checkpoint(".") is None


def test_a_state_that_names_no_checkpoint_is_refused(tf, here):
    (here / "checkpoint").write_text("")
    for read in (tf.train.get_checkpoint_state, tf.train.latest_checkpoint):
        with pytest.raises(ValueError, match="Invalid checkpoint state loaded from"):
            read(".")


def test_paths_in_a_state_are_joined_with_its_folder(tf, here):
    (here / "checkpoint").write_text('model_checkpoint_path: "model"\nall_model_checkpoint_paths: "/a/b"\n')
    state = tf.train.get_checkpoint_state(str(here))
    assert state.model_checkpoint_path == str(here / "model")
    assert list(state.all_model_checkpoint_paths) == ["/a/b"]
    assert tf.train.latest_checkpoint(".") == "./model"


def test_a_state_whose_checkpoint_is_gone_has_no_latest(tf, here):
    (here / "checkpoint").write_text('model_checkpoint_path: "gone"\n')
    assert tf.train.latest_checkpoint(".") is None


@pytest.mark.filterwarnings("ignore")  # TensorFlow calls these deprecated
def test_checkpoints_exist_by_prefix_or_pattern(tf, here):
    names = ["model", "model.index", "mod*", "nosuch", "."]
    assert [tf.train.checkpoint_exists(name) for name in names] == [True, True, True, False, True]
    assert len(tf.train.get_checkpoint_mtimes(["model", "nosuch"])) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_is_removed_with_its_graph(tf, here):
    tf.train.remove_checkpoint("model")
    assert not list(here.glob("model*"))


def test_what_a_checkpoint_holds_is_listed_and_read(tf, here):
    assert tf.train.list_variables("model") == [("n", []), ("v", [1, 2])]
    np.testing.assert_array_equal(tf.train.load_variable("model", "v:0"), [[1, 2]])
    reader = tf.train.load_checkpoint("model")
    assert reader.get_variable_to_shape_map() == {"n": [], "v": [1, 2]}
    assert reader.get_variable_to_dtype_map()["n"] == tf.int64
    assert (reader.has_tensor("n"), reader.has_tensor("zz")) == (True, False)
    assert reader.get_tensor("n") == 3
    assert b"v (DT_FLOAT) [1,2]\n" in reader.debug_string()
    assert tf.train.NewCheckpointReader("model").get_tensor("n") == 3


@pytest.mark.parametrize("path", ["nosuch", "."])
def test_what_is_no_checkpoint_cannot_be_read(tf, here, path):
    error = ValueError if path == "." else tf.errors.NotFoundError
    with pytest.raises(error):
        tf.train.load_checkpoint(path)


# ---- SavedModels


@pytest.fixture
def saved_model(tmp_path):
    live_tf = live.tf
    with live_tf.Graph().as_default(), live_tf.Session() as session:
        x = live_tf.placeholder(live_tf.float32, [None], name="x")
        w = live_tf.Variable(3.0, name="w", use_resource=False)
        y = live_tf.multiply(x, w, name="y")
        done = live_tf.Variable(0.0, name="done", use_resource=False)
        session.run(live_tf.global_variables_initializer())
        builder = live_tf.saved_model.Builder(str(tmp_path / "export"))
        tensors = [live_tf.saved_model.build_tensor_info(tensor) for tensor in (x, y)]
        signature = live_tf.saved_model.build_signature_def({"x": tensors[0]}, {"y": tensors[1]}, "predict")
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, main_op=live_tf.assign(done, 1.0).op
        )
        builder.save()
    return tmp_path / "export"


@pytest.mark.filterwarnings("ignore")  # TensorFlow calls its loader deprecated
@pytest.mark.parametrize("scope", [None, "S"])
def test_a_saved_model_is_loaded_and_initialized(tf, session, saved_model, scope):
    meta_graph = tf.saved_model.loader.load(session, ["serve"], str(saved_model), import_scope=scope)
    signature = meta_graph.signature_def[tf.saved_model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY]
    before = f"{scope}/" if scope else ""
    fetches = [before + signature.outputs["y"].name, f"{before}done:0"]
    y, done = session.run(fetches, {before + signature.inputs["x"].name: [1.0, 2.0]})
    np.testing.assert_array_equal(y, [3, 6])
    assert done == 1


@pytest.mark.filterwarnings("ignore")
def test_what_is_no_saved_model_is_refused(tf, session, saved_model, tmp_path):
    with pytest.raises(RuntimeError, match="could not be found in SavedModel"):
        tf.saved_model.loader.load(session, ["other"], str(saved_model))
    with pytest.raises(OSError, match="SavedModel file does not exist at"):
        tf.saved_model.loader.load(session, ["serve"], str(tmp_path / "nosuch"))
    assert tf.saved_model.loader.maybe_saved_model_directory(str(saved_model))
    assert not tf.saved_model.loader.maybe_saved_model_directory(str(tmp_path))
