"""`import_meta_graph` and `import_graph_def` of graphs that TensorFlow wrote: what TensorFlow does, checked of it too."""

from __future__ import annotations

import numpy as np
import pytest

import mgjax.compat.v1
from mgjax.proto import variable_pb2

live = pytest.importorskip("tests.live")


def build():
    tf = live.tf
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.Variable(np.full((2, 3), 2.0, np.float32), name="w", use_resource=False)
    r = tf.Variable([1.0, 1.0, 1.0], name="r", use_resource=True)
    n = tf.Variable(0, trainable=False, name="n", use_resource=False)
    y = tf.add(tf.matmul(x, w), r, name="y")
    tf.add_to_collection("outputs", y)
    tf.add_to_collection("operations", y.op)
    tf.add_to_collection("model_variables", w)
    for value in ("text", 5, 1.5):
        tf.add_to_collection(type(value).__name__, value)
    tf.add_to_collection("global_step", n)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `model` and its checkpoint, and variants of its graph."""
    folder = tmp_path_factory.mktemp("graphs")
    live.saved_by(build, folder / "model")
    message = live.tf.MetaGraphDef.FromString((folder / "model.meta").read_bytes())
    message.ClearField("saver_def")
    (folder / "no_saver.meta").write_bytes(message.SerializeToString())
    message.saver_def.SetInParent()
    (folder / "empty_saver.meta").write_bytes(message.SerializeToString())
    return folder


def names(tf, key):
    return [element.name for element in tf.get_collection(key)]


def load(tf, folder, name="model", **arguments):
    return tf.train.import_meta_graph(str(folder / f"{name}.meta"), **arguments)


# ---- names


def test_a_graph_keeps_its_names_and_runs(tf, session, folder):
    saver = load(tf, folder)
    saver.restore(session, str(folder / "model"))
    np.testing.assert_array_equal(session.run("y:0", {"x:0": [[1, 1]]}), [[5, 5, 5]])


def test_a_second_import_gets_new_names_and_the_collections_name_the_first_copy(tf, session, folder):
    load(tf, folder)
    saver = load(tf, folder)
    assert names(tf, "trainable_variables") == ["w:0", "r:0", "w:0", "r:0"]
    assert names(tf, "outputs") == ["y:0", "y:0"]
    assert saver.saver_def.restore_op_name == "save/restore_all"
    saver.restore(session, str(folder / "model"))
    graph = tf.get_default_graph()
    assert graph.get_operation_by_name("y_1").inputs[0].name == "MatMul_1:0"
    with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value w_1"):
        session.run("MatMul_1:0", {"x_1:0": [[1, 1]]})


@pytest.mark.parametrize(
    "outer, scopes, expected",
    [
        (None, ["A"], "A"),
        (None, ["A", "A"], "A_1"),
        ("outer", [None], "outer"),
        ("outer", ["A"], "outer/A"),
    ],
)
def test_a_scope_stands_before_all_names(tf, session, folder, outer, scopes, expected):
    for scope in scopes:
        with tf.name_scope(outer) if outer else tf.name_scope(""):
            saver = load(tf, folder, import_scope=scope)
    assert names(tf, "outputs")[-1] == f"{expected}/y:0"
    assert names(tf, "operations")[-1] == f"{expected}/y"
    assert names(tf, "variables")[-3:] == [f"{expected}/{name}:0" for name in ("w", "r", "n")]
    assert saver.saver_def.restore_op_name == f"{expected}/save/restore_all"
    assert tf.get_collection("str")[-1] == f"{expected}/text"
    assert tf.get_default_graph().get_operation_by_name(f"{expected}/w/Assign").get_attr("_class") == [
        f"loc:@{expected}/w".encode()
    ]
    saver.restore(session, str(folder / "model"))
    np.testing.assert_array_equal(session.run(f"{expected}/y:0", {f"{expected}/x:0": [[1, 1]]}), [[5, 5, 5]])


# ---- collections


def test_a_variable_is_one_object_in_all_collections(tf, folder):
    load(tf, folder)
    w, r, n = tf.global_variables()
    assert tf.trainable_variables()[0] is w
    assert tf.trainable_variables()[1] is r
    assert tf.get_collection("model_variables") == [w]
    assert (w.trainable, r.trainable, n.trainable) == (True, True, False)
    assert tf.train.get_global_step() is tf.get_collection("global_step")[0]


def test_plain_collections_keep_their_values(tf, folder):
    load(tf, folder)
    assert tf.get_collection("str") == [b"text"]
    assert tf.get_collection("int") == [5]
    assert tf.get_collection("float") == [1.5]


def test_collections_may_be_left_out(tf, folder):
    load(tf, folder, restore_collections_predicate=lambda key: key != "variables")
    assert tf.global_variables() == []
    assert len(tf.trainable_variables()) == 2


def test_a_variables_parts_are_those_of_the_file(tf, folder):
    load(tf, folder)
    w, r, _ = tf.global_variables()
    assert (w.initializer.name, w.value().name, w.initial_value.name) == ("w/Assign", "w/read:0", "w/initial_value:0")
    assert (r.op.type, r.handle.name, r.shape.as_list()) == ("VarHandleOp", "r:0", [3])


@pytest.mark.parametrize("version, trainable", [("1.8.0", [True, True, False]), ("1.9.0", [False, False, False])])
def test_files_before_1_9_say_by_the_collection_what_is_trainable(tf, folder, tmp_path, version, trainable):
    message = live.tf.MetaGraphDef.FromString((folder / "model.meta").read_bytes())
    message.meta_info_def.tensorflow_version = version
    for key in ("variables", "trainable_variables"):
        values = message.collection_def[key].bytes_list.value
        for i, value in enumerate(values):
            definition = variable_pb2.VariableDef.FromString(value)
            definition.ClearField("trainable")
            definition.ClearField("initial_value_name")
            values[i] = definition.SerializeToString()
    (tmp_path / "old.meta").write_bytes(message.SerializeToString())
    load(tf, tmp_path, "old")
    assert [variable.trainable for variable in tf.global_variables()] == trainable
    assert tf.global_variables()[0].initial_value is None


def test_broken_entries_of_a_collection_disturb_nobody(folder, tmp_path):
    tf = mgjax.compat.v1  # TensorFlow raises KeyError or DecodeError here
    message = live.tf.MetaGraphDef.FromString((folder / "model.meta").read_bytes())
    message.collection_def["outputs"].node_list.value.append("missing:0")
    message.collection_def["variables"].bytes_list.value.append(b"\xff\xff")
    message.collection_def["without"].SetInParent()
    (tmp_path / "broken.meta").write_bytes(message.SerializeToString())
    with tf.Graph().as_default():
        assert load(tf, tmp_path, "broken") is not None
        assert names(tf, "outputs") == ["y:0"]
        assert tf.get_collection("variables")[-1] == b"\xff\xff"
        assert tf.get_collection("without") == []


def test_a_variables_definition_is_told_without_its_scope(tf, folder):
    load(tf, folder, import_scope="A")
    for variable, name in zip(tf.global_variables(), ("w", "r", "n"), strict=True):
        inside, whole = variable.to_proto("A"), variable.to_proto()
        assert (inside.variable_name, whole.variable_name) == (f"{name}:0", f"A/{name}:0")
        assert inside.initializer_name == f"{name}/Assign"
        assert inside.is_resource == (name == "r")
        assert variable.to_proto("other") is None


def test_parts_of_a_partitioned_variable_come_back_whole(tf, session, tmp_path):
    def build_parts():
        partitioner = live.tf.fixed_size_partitioner(2)
        for name, use_resource in (("p", False), ("q", True)):
            whole = live.tf.get_variable(name, [4, 2], partitioner=partitioner, use_resource=use_resource)
            live.tf.identity(live.tf.convert_to_tensor(whole), name=f"{name}_whole")

    fetches = ["p_whole:0", "q_whole:0"]
    expected = live.saved_by(build_parts, tmp_path / "parts", fetches=fetches)
    load(tf, tmp_path, "parts").restore(session, str(tmp_path / "parts"))
    np.testing.assert_array_equal(session.run(fetches), expected)
    written = tf.train.Saver(tf.global_variables()).save(session, str(tmp_path / "again"))
    assert tf.train.list_variables(written) == [("p", [4, 2]), ("q", [4, 2])]
    np.testing.assert_array_equal(tf.train.load_variable(written, "p"), expected[0])


# ---- the saver


def test_without_a_saver_def_a_saver_is_made_for_the_variables(tf, session, folder):
    saver = load(tf, folder, "no_saver")
    assert saver.saver_def.restore_op_name == "save/restore_all_1"
    saver.restore(session, str(folder / "model"))
    assert session.run(tf.global_variables()[0])[0, 0] == 2


def test_without_variables_there_is_no_saver(tf, tmp_path):
    message = live.meta_graph_of(lambda: live.tf.placeholder(live.tf.float32, name="a"))
    (tmp_path / "plain.meta").write_bytes(message.SerializeToString())
    assert load(tf, tmp_path, "plain") is None


def test_an_empty_saver_def_is_refused(tf, folder):
    with pytest.raises(ValueError, match="saver_def must specify the save_tensor_name"):
        load(tf, folder, "empty_saver")


# ---- mapped inputs


@pytest.mark.parametrize("key", ["x:0", "x"])
def test_a_mapped_input_takes_another_tensor_and_its_node_stays(tf, session, folder, key):
    value = tf.constant([[3.0, 3.0]])
    load(tf, folder, input_map={key: value}).restore(session, str(folder / "model"))
    np.testing.assert_array_equal(session.run("y:0"), [[13, 13, 13]])
    assert tf.get_default_graph().get_operation_by_name("x").type == "Placeholder"


def test_a_value_for_an_input_needs_a_scope(tf, session, folder):
    value = np.array([[3.0, 3.0]], np.float32)
    with pytest.raises(ValueError, match="requires a non-empty `name`"):
        load(tf, folder, input_map={"x:0": value})
    load(tf, folder, import_scope="S", input_map={"x:0": value}).restore(session, str(folder / "model"))
    np.testing.assert_array_equal(session.run("S/y:0"), [[13, 13, 13]])


def test_a_mapped_input_that_the_file_lacks_is_refused(tf, folder):
    with pytest.raises(ValueError, match=r"Attempted to map inputs that were not found in graph_def: \[zzz:0\]"):
        load(tf, folder, input_map={"zzz:0": tf.constant(1.0)})


def test_a_mapped_input_of_another_dtype_is_refused(tf, folder):
    with pytest.raises(ValueError, match=r"was passed int32 from .* incompatible with expected float"):
        load(tf, folder, input_map={"x:0": tf.constant([[1, 2]])})


@pytest.mark.parametrize("scope", [None, "S"])
def test_unbound_inputs_must_be_given(tf, session, tmp_path, scope):
    live_tf = live.tf
    with live_tf.Graph().as_default():
        a = live_tf.placeholder(live_tf.float32, [2], name="a")
        with live_tf.name_scope("part"):
            live_tf.add(a, 1.0, name="b")
        live_tf.train.export_meta_graph(str(tmp_path / "part.meta"), export_scope="part")
    with pytest.raises(ValueError, match="Graph contains unbound inputs"):
        load(tf, tmp_path, "part", import_scope=scope)
    load(tf, tmp_path, "part", import_scope=scope, input_map={"$unbound_inputs_a": tf.constant([1.0, 2.0])})
    name = [op.name for op in tf.get_default_graph().get_operations() if op.name.endswith("b")][-1]
    np.testing.assert_array_equal(session.run(f"{name}:0"), [2, 3])


# ---- GraphDefs


def test_a_graph_def_comes_in_under_import(tf):
    with live.tf.Graph().as_default() as graph:
        live.tf.add(live.tf.placeholder(live.tf.float32, name="a"), 1.0, name="b")
    graph_def = graph.as_graph_def()

    def imported(**arguments):
        return [element.name for element in tf.import_graph_def(graph_def, return_elements=["b:0", "a"], **arguments)]

    assert imported() == ["import/b:0", "import/a"]
    assert imported() == ["import_1/b:0", "import_1/a"]
    assert imported(name="n") == ["n/b:0", "n/a"]
    assert imported(name="") == ["b:0", "a"]
    assert imported(name="") == ["b_1:0", "a_1"]
    with pytest.raises(ValueError, match=r"Requested return .*'q:0' not found in graph def"):
        tf.import_graph_def(graph_def, return_elements=["q:0"])
    with pytest.raises(TypeError, match=r"`?input_map`? must be a dictionary"):
        tf.import_graph_def(graph_def, 5)
