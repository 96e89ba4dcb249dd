"""What is said of an unknown graph."""

from pathlib import Path

import numpy as np
import pytest

import mgjax
from mgjax import sample
from mgjax.errors import MissingFileError, ReadError
from mgjax.proto import meta_graph_pb2
from tests.live import meta_graph_of, saved_by, session_of, tf


@pytest.fixture(scope="module")
def report():
    return mgjax.inspect(sample.META)


def test_the_head_says_who_wrote_it(report):
    assert report.kind == "MetaGraphDef" and report.tensorflow == "1.15.5" and report.producer == 134
    assert report.nodes == 244 and sum(report.ops.values()) == 244
    assert next(iter(report.ops)) == "Const"


def test_inputs_are_the_placeholders_but_for_those_of_the_saver(report):
    assert [str(feed.tensor) for feed in report.inputs] == ["Tensor('x:0', float32[?,8,8])", "Tensor('y:0', int64[?])"]


def test_outputs_say_what_they_need(report):
    found = {output.tensor.name: output for output in report.outputs}
    assert found["probs:0"].needs == ("x:0",) and found["probs:0"].tensor.shape == (None, 10)
    assert found["loss:0"].needs == found["accuracy:0"].needs == ("x:0", "y:0")
    assert found["ArgMax:0"].reason == "last before y"
    assert set(found) == {"probs:0", "loss:0", "accuracy:0", "ArgMax:0"}


def test_variables_have_roles_and_sizes(report):
    roles = {held.variable.name: (held.role, held.size) for held in report.variables}
    assert roles["conv1/kernel"] == ("trainable", 3 * 3 * 1 * 8 * 4)
    assert roles["conv1/kernel/Adam_1"] == ("optimizer", 3 * 3 * 1 * 8 * 4)
    assert roles["beta1_power"] == ("optimizer", 4) and roles["global_step"] == ("other", 8)
    # 72 + 8 + 1152 + 16 + 640 + 10 weights of 4 bytes, twice more for Adam, two powers and a counter.
    assert report.size("trainable") == 1898 * 4 and report.size() == 3 * 1898 * 4 + 2 * 4 + 8


def test_train_ops_say_what_they_update(report):
    assert [(op.name, op.updates) for op in report.train_ops] == [("train_op", {"ApplyAdam": 6})]
    assert report.initializers == ("init",)


def test_collections_devices_and_the_checkpoint_are_counted(report):
    assert report.collections == {"trainable_variables": 6, "global_step": 1, "train_op": 2, "variables": 21}
    assert report.devices == {"/device:CPU:0": 3}
    assert report.checkpoint.tensors == 21 and report.checkpoint.problems == ()


def test_the_sample_can_be_run_as_a_whole(report):
    assert report.unsupported == () and report.races == () and report.notes == ()


def test_the_text_holds_what_a_newcomer_wants_to_know(report):
    lines = str(report).splitlines()
    assert lines[0].endswith("MetaGraphDef written by TensorFlow 1.15.5 (GraphDef version 134), 244 nodes")
    for line in (
        "  x:0  float32[?,8,8]",
        "  probs:0     float32[?,10]  needs x",
        "  train_op  ApplyAdam of 6",
        "variables: 21, 22.8 kB: 6 trainable (7.59 kB), 14 of optimizers (15.2 kB), 1 other (8 B)",
        "checkpoint beside it: digits-1500, 21 tensors; it fits the graph",
        "ops that cannot be run: none",
    ):
        assert line in lines
    assert max(map(len, lines)) < 200


PREFIX = Path(sample.PREFIX)


@pytest.mark.parametrize("source", [
    sample.META, PREFIX, f"{sample.PREFIX}.index", f"{sample.PREFIX}.data-00000-of-00001", PREFIX.parent,
    Path(sample.META).read_bytes(), meta_graph_pb2.MetaGraphDef.FromString(Path(sample.META).read_bytes()),
], ids=["meta", "prefix", "index", "data", "folder", "bytes", "message"])  # fmt: skip
def test_the_graph_is_found_from_wherever_one_starts(source):
    assert mgjax.inspect(source).nodes == 244


def frozen():
    return tf.square(tf.placeholder(tf.float32, [3], name="x") + 1.0, name="y")


@pytest.mark.parametrize("form", ["binary", "text", "message"])
def test_a_graph_def_is_inspected_too(form, tmp_path):
    graph_def = meta_graph_of(frozen).graph_def
    path = tmp_path / "graph.pb"
    path.write_bytes(str(graph_def).encode() if form == "text" else graph_def.SerializeToString())
    report = mgjax.inspect(graph_def if form == "message" else path)
    assert report.kind == "GraphDef" and [output.tensor.name for output in report.outputs] == ["y:0"]
    assert "variables: none" in str(report)


def test_a_saved_model_shows_its_signatures(tmp_path):
    folder = str(tmp_path / "model")
    with tf.Graph().as_default(), session_of() as session:
        x = tf.placeholder(tf.float32, [None], name="x")
        y = x * tf.get_variable("w", [], initializer=tf.ones_initializer())
        session.run(tf.global_variables_initializer())
        tf.saved_model.simple_save(session, folder, {"points": x}, {"heights": y})
    report = mgjax.inspect(folder)
    assert report.kind == "SavedModel" and report.tags == ("serve",) and report.checkpoint.tensors == 1
    assert report.outputs[0].reason == "signature 'serving_default'"
    assert "  in  points   Tensor('x:0', float32[?])" in str(report)


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_graph_is_an_error(content, tmp_path):
    path = tmp_path / "thing.meta"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MissingFileError if content is None else ReadError, match=r"thing\.meta"):
        mgjax.inspect(path)


# What is probably meant


def inspected(build):
    return mgjax.inspect(meta_graph_of(build))


def test_the_purpose_of_an_input_is_guessed_from_its_name_and_type():
    def build():
        tf.placeholder(tf.bool, [], name="net/is_training")
        tf.placeholder(tf.float32, name="keep_prob")
        tf.placeholder(tf.float32, [], name="dropout_rate")
        tf.placeholder(tf.int32, [], name="batch_size")
        tf.placeholder_with_default(0.5, [], name="learning_rate")
        tf.placeholder(tf.float32, [None], name="training_data")

    report = inspected(build)
    assert [(feed.purpose, feed.default) for feed in report.inputs] == [
        ("switches between training and inference", ""),
        ("dropout: the share that is kept", ""),
        ("dropout: a rate", ""),
        ("a size that shapes may depend on", ""),
        ("the learning rate", "0.5"),
        ("", ""),
    ]


def test_outputs_are_not_taken_from_gradients_summaries_updates_and_loops():
    def build():
        x = tf.placeholder(tf.float32, [None, 2], name="x")
        w = tf.get_variable("w", [2, 1], use_resource=False)
        h = tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, tf.tanh(h)), (0, tf.matmul(x, w)))[1]
        y = tf.identity(h, name="y")
        loss = tf.reduce_mean(tf.square(y), name="loss")
        tf.summary.scalar("loss_summary", loss)
        tf.get_variable("average", [], use_resource=False, trainable=False).assign(loss * 0.1)
        tf.train.GradientDescentOptimizer(0.1).minimize(loss)

    assert [output.tensor.name for output in inspected(build).outputs] == ["loss:0"]


def test_collections_name_outputs():
    def build():
        x = tf.placeholder(tf.float32, [2], name="x")
        hidden = tf.tanh(x, name="hidden")
        tf.add(hidden, 1.0, name="y")
        tf.add_to_collection("features", hidden)
        tf.add_to_collection("features", x)

    assert [(o.tensor.name, o.reason) for o in inspected(build).outputs] == [
        ("hidden:0", "collection 'features'"), ("y:0", "nothing consumes it")]  # fmt: skip


def test_ops_that_cannot_be_run_are_traced_to_the_outputs_that_need_them():
    message = meta_graph_of(frozen_with_unknown)
    for node in message.graph_def.node:
        node.op = {"strange": "Strange", "unused": "Odd"}.get(node.name, node.op)
    report = mgjax.inspect(message)
    assert [(entry.op, entry.nodes, entry.needed_by) for entry in report.unsupported] == [
        ("Strange", ("strange",), ("y:0",)),
        ("Odd", ("unused",), ()),
    ]
    assert {o.tensor.name: o.unsupported for o in report.outputs} == {"y:0": ("Strange",), "z:0": ()}
    assert "ops that cannot be run: 2, 1 of them needed by likely outputs" in str(report)


def frozen_with_unknown():
    x = tf.placeholder(tf.float32, [2], name="x")
    tf.add(tf.negative(x, name="strange"), 1.0, name="y")
    tf.multiply(x, 2.0, name="z")
    tf.no_op(name="unused")


def test_ops_inside_of_called_functions_count():
    def build():
        @tf.function
        def strange(x):
            return tf.square(x)

        tf.identity(strange(tf.placeholder(tf.float32, [2], name="x")), name="y")

    message = meta_graph_of(build)
    for node in message.graph_def.library.function[0].node_def:
        node.op = {"Square": "Strange"}.get(node.op, node.op)
    (entry,) = mgjax.inspect(message).unsupported
    assert entry.op == "Strange" and entry.needed_by == ("y:0",)


@pytest.mark.parametrize("is_ordered", [False, True])
def test_two_writes_in_no_order_are_a_race(is_ordered):
    def build():
        v = tf.get_variable("v", [], initializer=tf.zeros_initializer(), use_resource=False)
        a = tf.assign_add(v, 1.0, name="a")
        with tf.control_dependencies([a] if is_ordered else []):
            b = tf.assign(v, 5.0, name="b")
        tf.group(a, b, name="both")

    races = [(race.variable, race.first, race.second, race.both_run_by) for race in inspected(build).races]
    assert races == ([] if is_ordered else [("v", "a", "b", "both")])


def test_random_ops_without_a_seed_are_listed_but_for_initializers():
    def build():
        tf.get_variable("w", [2], initializer=tf.random_uniform_initializer())
        tf.random_normal([2], name="noise")
        tf.random_normal([2], seed=3, name="fixed")

    assert inspected(build).unseeded == ("noise/RandomStandardNormal",)


def test_a_checkpoint_that_does_not_fit_is_reported(tmp_path):
    prefix = tmp_path / "model"
    saved_by(lambda: tf.get_variable("w", [2], initializer=tf.zeros_initializer()), prefix)
    other = meta_graph_of(lambda: (tf.get_variable("w", [3]), tf.get_variable("b", [])))
    Path(f"{prefix}.meta").write_bytes(other.SerializeToString())
    found = mgjax.inspect(f"{prefix}.meta").checkpoint
    assert len(found.problems) == 2 and "'b' is not in the checkpoint" in found.problems
    Path(f"{prefix}.index").write_bytes(b"\0" * 100)
    assert "cannot be read" in mgjax.inspect(f"{prefix}.meta").checkpoint.problems[0]


def test_what_is_odd_about_a_file_is_noted():
    message = meta_graph_of(frozen)
    message.graph_def.node.append(message.graph_def.node[0])
    message.collection_def["variables"].bytes_list.value.append(b"\xff")
    notes = " ".join(mgjax.inspect(message).notes)
    assert "1 names stand for more than one node" in notes and "entry 0 of collection 'variables'" in notes


def test_sizes_of_variables_without_a_static_shape_are_unknown():
    report = inspected(
        lambda: tf.Variable(np.zeros((2, 2), np.float32), validate_shape=False, name="v", use_resource=False)
    )
    assert report.variables[0].size is None and "size unknown" in str(report)


def test_the_variables_that_no_checkpoint_holds_are_named(tmp_path):
    with tf.Graph().as_default(), session_of() as session:
        saver = tf.train.Saver([tf.get_variable("kept", [], initializer=tf.zeros_initializer())])
        tf.get_variable("left", [], initializer=tf.zeros_initializer())
        session.run(tf.global_variables_initializer())
        saver.save(session, str(tmp_path / "model"))
    report = mgjax.inspect(tmp_path / "model.meta")
    assert report.unsaved == ("left",) and "not in its checkpoints: left" in str(report)


def test_the_last_line_is_a_command_that_runs_the_first_output(report):
    assert str(report).splitlines()[-1] == (
        f"to run it: mgjax run {sample.META} --restore {sample.PREFIX} --feed x:0=@x.npy --fetch probs:0"
    )
    assert "to run it" not in str(mgjax.inspect(Path(sample.META).read_bytes()))


def test_a_graph_without_placeholders_has_outputs_too():
    def build():
        w = tf.get_variable("w", [2, 2], use_resource=False)
        tf.matmul(w, w, name="squared")

    assert [output.tensor.name for output in inspected(build).outputs] == ["squared:0"]
