"""The doors by which graphs come in."""

import random
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mgjax
from mgjax import sample
from mgjax.errors import MissingFileError, ReadError
from mgjax.proto import meta_graph_pb2
from tests.live import meta_graph_of, saved_by, session_of, tf

X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
W = np.array([[1.0], [10.0]], np.float32)
Y = np.array([[21.0], [43.0]], np.float32)


def linear(use_resource=False):
    with tf.device("/device:GPU:3"):
        x = tf.placeholder(tf.float32, [None, 2], name="x")
    with tf.variable_scope("layer", use_resource=use_resource):
        w = tf.get_variable("w", [2, 1], initializer=tf.constant_initializer(W))
    y = tf.matmul(x, w, name="y")
    tf.add_to_collection("outputs", y)
    tf.add_to_collection("notes", "a note")


@pytest.fixture(scope="module", params=[False, True], ids=["reference", "resource"])
def saved(request, tmp_path_factory):
    """The prefix of a graph with one variable and its checkpoint."""
    prefix = str(tmp_path_factory.mktemp("linear") / "model")
    saved_by(lambda: linear(request.param), prefix)
    return prefix


@pytest.fixture(scope="module")
def message():
    return meta_graph_of(linear)


def as_given(message, form, folder):
    binary = message.SerializeToString()
    if form == "message of TensorFlow":
        return message
    if form == "message of mgjax":
        return meta_graph_pb2.MetaGraphDef.FromString(binary)
    if form == "bytes":
        return binary
    path = folder / "graph.meta"
    path.write_bytes(binary if form == "binary file" else str(message).encode())
    return str(path) if form == "binary file" else path


@pytest.mark.parametrize("form", ["binary file", "text file", "bytes", "message of mgjax", "message of TensorFlow"])
def test_a_graph_comes_in_every_form(message, form, tmp_path):
    fn, saver = mgjax.import_meta_graph(as_given(message, form, tmp_path))
    state, y = fn({"layer/w": W}, {"x:0": X}, "y:0")
    assert_array_equal(y, Y)
    assert list(state) == ["layer/w"] and [entry.key for entry in saver.saved] == ["layer/w"]


def test_a_scope_stands_before_all_names_but_those_in_the_checkpoint(saved):
    fn, saver = mgjax.import_meta_graph(saved + ".meta", import_scope="outer/inner")
    variables = saver.restore(saved)
    assert list(fn.variables) == list(variables) == ["outer/inner/layer/w"]
    _, y = fn(variables, {"outer/inner/x:0": X}, "outer/inner/y:0")
    assert_array_equal(y, Y)
    assert [tensor.name for tensor in fn.collections["outputs"]] == ["outer/inner/y:0"]
    assert fn.collections["notes"] == [b"outer/inner/a note"]  # as in TensorFlow (framework/meta_graph.py)


def test_variables_in_a_scope_are_initialized_and_saved_under_their_own_keys(saved, tmp_path):
    fn, saver = mgjax.import_meta_graph(saved + ".meta", import_scope="outer")
    prefix = saver.save(fn.init(), tmp_path / "again")
    assert_array_equal(mgjax.checkpoint.open(prefix).read("layer/w"), W)


@pytest.mark.parametrize("value", [X * 2, "doubled:0"], ids=["array", "name"])
def test_inputs_are_mapped_to_arrays_and_to_tensors(value):
    def build():
        linear()
        tf.multiply(tf.placeholder(tf.float32, [None, 2], name="other"), 2.0, name="doubled")

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build), input_map={"x:0": value})
    feeds = {} if isinstance(value, np.ndarray) else {"other:0": X}
    assert_array_equal(fn({"layer/w": W}, feeds, "y:0")[1], 2 * Y)


def test_a_mapped_input_that_the_graph_does_not_have_is_an_error(message):
    with pytest.raises(ValueError, match=r"not found in graph_def: \[nowhere:0\]"):
        mgjax.import_meta_graph(message, input_map={"nowhere:0": X})


def test_devices_are_cleared_in_the_import_alone(message):
    kept, _ = mgjax.import_meta_graph(message)
    cleared, _ = mgjax.import_meta_graph(message, clear_devices=True)
    assert kept.operations["x"].device == "/device:GPU:3" and cleared.operations["x"].device == ""
    assert [node.device for node in message.graph_def.node if node.name == "x"] == ["/device:GPU:3"]


def unbound(message):
    changed = meta_graph_pb2.MetaGraphDef.FromString(message.SerializeToString())
    changed.collection_def["unbound_inputs"].bytes_list.value.append(b"x:0")
    return changed


def test_unbound_inputs_must_be_mapped(message):
    with pytest.raises(ValueError, match="Graph contains unbound inputs: x:0"):
        mgjax.import_meta_graph(unbound(message))
    fn, _ = mgjax.import_meta_graph(unbound(message), input_map={"x:0": X})
    assert_array_equal(fn({"layer/w": W}, {}, "y:0")[1], Y)


def test_unbound_inputs_may_be_named_in_another_collection(message):
    mgjax.import_meta_graph(unbound(message), unbound_inputs_col_name="others")


def test_the_predicate_says_which_collections_are_kept(message):
    fn, _ = mgjax.import_meta_graph(message, restore_collections_predicate=lambda key: key != "notes")
    assert "outputs" in fn.collections and "notes" not in fn.collections


def test_elements_are_returned_in_the_order_of_their_names(message):
    fn, _, elements = mgjax.import_meta_graph(message, import_scope="s", return_elements=["y:0", "x"])
    assert [element.name for element in elements] == ["s/y:0", "s/x"]
    assert elements == [fn.tensor("s/y:0"), fn.operations["s/x"]]


@pytest.mark.parametrize("name", ["nothing:0", "nothing", "y:7"])
def test_an_element_that_the_graph_does_not_have_is_an_error(message, name):
    with pytest.raises(ValueError, match="not found in graph def"):
        mgjax.import_meta_graph(message, return_elements=[name])


def test_a_graph_without_variables_has_no_saver():
    fn, saver = mgjax.import_meta_graph(
        meta_graph_of(lambda: tf.square(tf.placeholder(tf.float32, name="x"), name="y"))
    )
    assert saver is None
    state, y = fn({}, {"x:0": 3.0}, "y:0")
    assert y == 9.0 and dict(state) == {}


def test_nothing_is_imported_while_jax_traces():
    def inside(x):
        mgjax.import_meta_graph(sample.META)
        return x

    with pytest.raises(RuntimeError, match="cannot be called while JAX traces"):
        jax.jit(inside)(1.0)


# Frozen graphs and SavedModels


@pytest.fixture(scope="module")
def frozen():
    with tf.Graph().as_default() as graph, session_of() as session:
        linear()
        session.run(tf.global_variables_initializer())
        return tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])


@pytest.mark.parametrize("form", ["binary file", "text file", "bytes", "message"])
def test_a_frozen_graph_comes_in_every_form(frozen, form, tmp_path):
    given = frozen if form == "message" else frozen.SerializeToString()
    if form.endswith("file"):
        given = tmp_path / "frozen.pb"
        given.write_bytes(str(frozen).encode() if form == "text file" else frozen.SerializeToString())
    fn = mgjax.import_graph_def(given)
    assert_array_equal(fn({}, {"x:0": X}, "y:0")[1], Y)
    assert fn.variables == {}


def test_a_frozen_graph_takes_a_scope_a_map_and_gives_elements(frozen):
    fn, (y,) = mgjax.import_graph_def(frozen, {"x:0": X}, ["y:0"], name="scope")
    assert y.name == "scope/y:0"
    assert_array_equal(fn({}, {}, y)[1], Y)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("models") / "linear")
    builder = tf.saved_model.builder.SavedModelBuilder(folder)
    with tf.Graph().as_default() as graph, session_of() as session:
        linear()
        session.run(tf.global_variables_initializer())
        signature = tf.saved_model.signature_def_utils.predict_signature_def(
            {"points": graph.get_tensor_by_name("x:0")}, {"heights": graph.get_tensor_by_name("y:0")}
        )
        builder.add_meta_graph_and_variables(session, ["serve", "cpu"], {"serving_default": signature})
        builder.add_meta_graph(["train"])
        builder.save()
    return folder


def test_a_saved_model_comes_with_its_variables_and_signatures(saved_model):
    fn, variables = mgjax.load_saved_model(saved_model, ["cpu", "serve"])
    signature = fn.signatures["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert signature.inputs == {"points": fn.tensor("x:0")} and signature.outputs == {"heights": fn.tensor("y:0")}
    _, results = fn(variables, {signature.inputs["points"]: X}, signature.outputs)
    assert list(results) == ["heights"]
    assert_allclose(results["heights"], Y)


def test_the_tags_choose_the_graph_of_a_saved_model(saved_model):
    fn, _ = mgjax.load_saved_model(saved_model, ["train"])
    assert fn.signatures == {}
    with pytest.raises(ReadError, match=r"no MetaGraphDef with the tags \['serve'\]; give tags=\['cpu', 'serve'\] or"):
        mgjax.load_saved_model(saved_model)


# Bad input

DOORS = {
    "import_meta_graph": mgjax.import_meta_graph,
    "import_graph_def": mgjax.import_graph_def,
    "load_saved_model": mgjax.load_saved_model,
}


@pytest.mark.parametrize("door", DOORS)
def test_a_missing_file_is_named(door, tmp_path):
    with pytest.raises(MissingFileError, match="nowhere"):
        DOORS[door](tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\x89PNG\r\n\x1a\n", b"node { name: 3 }", b"\xff" * 50])
@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_graph_is_a_read_error(door, content, tmp_path):
    path = tmp_path / "saved_model.pb"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=r"saved_model\.pb"):
        DOORS[door](path)


def test_a_truncated_graph_is_a_read_error_at_every_length():
    data = Path(sample.META).read_bytes()
    for size in random.Random(0).sample(range(len(data)), 60):
        with pytest.raises(ReadError):
            mgjax.import_meta_graph(data[:size])


def test_a_flipped_bit_is_a_read_error_or_harmless():
    data = bytearray(Path(sample.META).read_bytes())
    chosen = random.Random(1)
    refused = 0
    for _ in range(120):
        place, bit = chosen.randrange(len(data)), 1 << chosen.randrange(8)
        data[place] ^= bit
        try:
            fn, _ = mgjax.import_meta_graph(bytes(data))
            assert fn.collections is not None and fn.signatures == {}
        except ReadError:
            refused += 1
        data[place] ^= bit
    assert refused > 10


@pytest.mark.parametrize("given, door, advice", [
    (lambda: meta_graph_of(linear), mgjax.import_graph_def, "import_meta_graph"),
    (lambda: meta_graph_of(linear).graph_def, mgjax.import_meta_graph, "import_graph_def"),
], ids=["MetaGraphDef", "GraphDef"])  # fmt: skip
def test_the_right_door_is_pointed_out(given, door, advice):
    with pytest.raises(ReadError, match=advice):
        door(given().SerializeToString())
