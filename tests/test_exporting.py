"""Graphs that go out: as TensorFlow itself exports them, and what TensorFlow makes of them when they come back in."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
import mgjax.compat.v1 as compat
from mgjax.metagraph import files
from mgjax.metagraph.transform import NAMING_MESSAGES
from mgjax.proto import meta_graph_pb2
from tests.exported_graphs import OPTIONS, build, cond_and_while_v1
from tests.live import meta_graph_of, saved_by, session_of, tf
from tests.tf1 import needs_tf1, run_in_tf1

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorFlow calls queue runners deprecated


@pytest.fixture(scope="module")
def exported():
    """(the graph in TensorFlow, its saver, what TensorFlow exports of it, what comes of that here)"""
    cond_and_while_v1(tf)
    try:
        with tf.Graph().as_default() as graph:
            asset = tf.MetaGraphDef().asset_file_def.add(filename="words.txt")
            packed = meta_graph_pb2.CollectionDef().any_list.value.add()
            packed.Pack(asset)
            saver = build(tf, _tensorflows_any(packed))
            whole = tf.train.export_meta_graph(saver_def=saver.saver_def)
    finally:
        tf.enable_control_flow_v2()
    return graph, saver, whole, mgjax.import_meta_graph(whole)[0]


def _tensorflows_any(packed):
    from google.protobuf import any_pb2

    return any_pb2.Any.FromString(packed.SerializeToString())


def canonical(meta_graph, *, version=False):
    """A message in the one form that equal graphs have."""
    meta_graph = meta_graph_pb2.MetaGraphDef.FromString(meta_graph.SerializeToString())
    meta_graph.DiscardUnknownFields()  # the type hints of newer writers, for which the text form here has no names
    if not version:
        meta_graph.meta_info_def.tensorflow_version = meta_graph.meta_info_def.tensorflow_git_version = ""
    for node in meta_graph.graph_def.node:
        # Of these TensorFlow's own two ways of writing a node write one or the other.
        data = [text.removesuffix(":0") for text in node.input if not text.startswith("^")]
        node.input[:] = data + sorted(text for text in node.input if text.startswith("^"))
    meta_graph.graph_def.library.function.sort(key=lambda function: function.signature.name)
    for function in meta_graph.graph_def.library.function:
        # One of TensorFlow's ways notes the shapes in functions too.
        function.attr.pop("_input_shapes", None)
        for node in function.node_def:
            node.attr.pop("_output_shapes", None)
    for key in list(meta_graph.collection_def):
        collection = meta_graph.collection_def[key]
        if collection.WhichOneof("kind") is None:
            # What TensorFlow leaves of a collection of which nothing stands in the scope.
            del meta_graph.collection_def[key]
        elif key in NAMING_MESSAGES and collection.WhichOneof("kind") == "bytes_list":
            # The messages in it have maps, whose order is arbitrary.
            messages = map(NAMING_MESSAGES[key].FromString, collection.bytes_list.value)
            collection.bytes_list.value[:] = [message.SerializeToString(deterministic=True) for message in messages]
    return meta_graph


def assert_same(ours, theirs, **version):
    """Part by part, so that a difference is shown and not two whole graphs."""
    ours, theirs = canonical(ours, **version), canonical(theirs, **version)
    assert [node.name for node in ours.graph_def.node] == [node.name for node in theirs.graph_def.node]
    for one, other in zip(ours.graph_def.node, theirs.graph_def.node, strict=True):
        assert one == other
    assert ours.collection_def.keys() == theirs.collection_def.keys()
    for key in ours.collection_def:
        assert ours.collection_def[key] == theirs.collection_def[key], key
    for field in ("meta_info_def", "saver_def", "signature_def", "asset_file_def"):
        assert getattr(ours, field) == getattr(theirs, field)
    assert ours.graph_def.library == theirs.graph_def.library
    assert ours.graph_def.versions == theirs.graph_def.versions
    ours.graph_def.ClearField("library"), theirs.graph_def.ClearField("library")
    assert ours == theirs


@pytest.mark.parametrize("name", OPTIONS)
def test_an_export_is_the_message_that_tensorflow_exports(exported, name, tmp_path):
    graph, saver, _, fn = exported
    options = OPTIONS[name]
    with graph.as_default():
        saver_def = saver.to_proto(options.get("export_scope"))
        theirs = tf.train.export_meta_graph(saver_def=saver_def, **options)
    ours = mgjax.export_meta_graph(tmp_path / "out.meta", graph=fn, **options)
    assert_same(ours, theirs)
    assert_same(files.read_meta_graph(tmp_path / "out.meta"), ours)


def graph_in_tensorflow(meta_graph, **options):
    """What a live TensorFlow holds after an import: nodes with their shapes, the library, collections as messages."""
    if not isinstance(meta_graph, str):  # a copy: TensorFlow changes what it is given
        meta_graph = tf.MetaGraphDef.FromString(meta_graph.SerializeToString())
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(meta_graph, **options)
        return tf.train.export_meta_graph(graph=graph)


def test_what_comes_back_into_tensorflow_is_the_graph_that_went_out(exported, tmp_path):
    _, _, whole, fn = exported
    first = graph_in_tensorflow(whole)
    mgjax.export_meta_graph(tmp_path / "binary.meta", graph=fn)
    mgjax.export_meta_graph(tmp_path / "text.meta", graph=fn, as_text=True)
    for path in ("binary.meta", "text.meta"):
        assert_same(graph_in_tensorflow(str(tmp_path / path)), first, version=True)


def test_a_graph_in_a_scope_goes_out_as_it_stands(exported):
    _, _, whole, _ = exported
    fn, _ = mgjax.import_meta_graph(whole, import_scope="there")
    ours = mgjax.export_meta_graph(graph=fn)
    theirs = graph_in_tensorflow(whole, import_scope="there")
    for node in theirs.graph_def.node:
        # TensorFlow forgets the loops of gradients, so that those of two imports would be one.
        frame = node.attr["frame_name"].s if "frame_name" in node.attr else b"there/"
        if not frame.startswith(b"there/"):
            node.attr["frame_name"].s = b"there/" + frame
    assert_same(graph_in_tensorflow(ours), theirs)
    # And without the scope it is what it was, the texts excepted, which an import into a scope changes for good.
    back = mgjax.export_meta_graph(graph=fn, export_scope="there", collection_list=["variables", "tensors", "savers"])
    plain = mgjax.export_meta_graph(graph=mgjax.import_meta_graph(whole)[0], collection_list=list(back.collection_def))
    assert_same(back, plain)


def test_a_scope_names_its_inputs_from_outside_and_takes_others_for_them(exported):
    _, _, _, fn = exported
    part = mgjax.export_meta_graph(graph=fn, export_scope="part")
    wanted = {value.decode() for value in part.collection_def["unbound_inputs"].bytes_list.value}
    assert wanted == {"$unbound_inputs_x", "$unbound_inputs_w/read"}
    inputs = {name: np.ones((3, 2) if "w" in name else (1, 3), np.float32) for name in wanted}
    inner, _ = mgjax.import_meta_graph(part, input_map=inputs)
    state = {"b": np.float32([1, 2]), "inner": np.float32([3, 4])}
    assert_array_equal(inner(state, {}, "scaled:0")[1], [[12, 20]])


def test_attributes_that_were_stripped_are_filled_in_again(exported):
    _, _, whole, fn = exported
    stripped = mgjax.export_meta_graph(graph=fn, strip_default_attrs=True)
    assert stripped.meta_info_def.stripped_default_attrs
    assert len(stripped.SerializeToString()) < len(whole.SerializeToString())
    again = mgjax.export_meta_graph(graph=mgjax.import_meta_graph(stripped)[0])
    assert not again.meta_info_def.stripped_default_attrs
    assert_same(again, mgjax.export_meta_graph(graph=fn))


def test_functions_signatures_and_assets_go_out_too(tmp_path):
    @tf.function
    def double(x):
        return x * 2.0

    with tf.Graph().as_default(), session_of() as session:
        x = tf.placeholder(tf.float32, [None], name="x")
        y = tf.identity(double(x), name="y")
        words = tf.constant(str(tmp_path / "words.txt"), name="words")
        (tmp_path / "words.txt").write_text("a")
        tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, words)
        builder = tf.saved_model.Builder(str(tmp_path / "model"))
        infos = [tf.saved_model.build_tensor_info(tensor) for tensor in (x, y)]
        signature = tf.saved_model.build_signature_def({"x": infos[0]}, {"y": infos[1]}, "predict")
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, assets_collection=[words]
        )
        builder.save()
    fn, _ = mgjax.load_saved_model(tmp_path / "model")
    ours = mgjax.export_meta_graph(graph=fn)
    assert_same(ours, fn.meta_graph)
    assert b"words.txt" in ours.collection_def["saved_model_assets"].any_list.value[0].value
    again, _ = mgjax.import_meta_graph(ours)
    assert_array_equal(
        again({}, {"x:0": np.float32([1, 2])}, again.signatures["serving_default"].outputs["y"])[1], [2, 4]
    )


def test_info_and_saver_are_those_given_also_as_tensorflow_s_own_messages(exported):
    _, saver, _, fn = exported
    info = tf.MetaGraphDef.MetaInfoDef(meta_graph_version="v7", tags=["serve"])
    ours = mgjax.export_meta_graph(graph=fn, meta_info_def=info, saver_def=saver.saver_def)
    assert (ours.meta_info_def.meta_graph_version, list(ours.meta_info_def.tags)) == ("v7", ["serve"])
    assert ours.meta_info_def.tensorflow_version == "1.15.5"
    assert ours.saver_def.SerializeToString() == saver.saver_def.SerializeToString()
    graph_def = tf.GraphDef(node=[tf.NodeDef(name="n", op="NoOp")])
    only = mgjax.export_meta_graph(graph_def=graph_def)
    assert [node.name for node in only.graph_def.node] == ["n"]
    assert [op.name for op in only.meta_info_def.stripped_op_list.op] == ["NoOp"]


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({}, ValueError),
        ({"graph_def": 3}, TypeError),
        ({"graph": compat.Graph()}, TypeError),
        ({"saver_def": tf.GraphDef()}, TypeError),
        ({"meta_info_def": b""}, TypeError),
        ({"nosuch": 1}, TypeError),
    ],
)
def test_what_cannot_be_exported_is_refused(exported, arguments, error):
    given = {"graph": exported[3], **arguments} if arguments and "graph_def" not in arguments else arguments
    with pytest.raises(error):
        mgjax.export_meta_graph(**given)


def test_debug_info_names_the_nodes(tmp_path):
    fn, _ = mgjax.import_meta_graph(meta_graph_of(lambda: tf.constant(1.0, name="c")))
    mgjax.export_meta_graph(tmp_path / "g.meta", graph=fn, save_debug_info=True)
    assert b"c@" in (tmp_path / "g.debug").read_bytes()


def test_training_goes_on_in_tensorflow_from_an_exported_graph(tmp_path):
    def model():
        w = tf.get_variable("w", initializer=np.float32([1, 2]), use_resource=False)
        tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(w * w), name="train_op")

    saved_by(model, tmp_path / "m")
    fn, saver = mgjax.import_meta_graph(str(tmp_path / "m.meta"))
    state, _ = fn(saver.restore(tmp_path / "m"), {}, fn.operations["train_op"])
    mgjax.export_meta_graph(tmp_path / "n.meta", graph=fn)
    prefix = saver.save(state, tmp_path / "n")
    with tf.Graph().as_default(), session_of() as session:
        tf.train.import_meta_graph(str(tmp_path / "n.meta")).restore(session, prefix)
        session.run("train_op")
        assert_array_equal(session.run("w:0"), [0, 0])


# Of compat.v1


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_imported_there_is_exported_as_tensorflow_exports_it(exported, name):
    whole, options, found = exported[2].SerializeToString(), OPTIONS[name], []
    for module, message in ((compat, whole), (tf, tf.MetaGraphDef.FromString(whole))):
        with module.Graph().as_default():
            saver = module.train.import_meta_graph(message)
            saver_def = saver.to_proto(options.get("export_scope"))
            found.append(canonical(module.train.export_meta_graph(saver_def=saver_def, **options)))
            for node in found[-1].graph_def.node:
                node.device = ""  # TensorFlow's import puts a node where those are that it is to be with
            found[-1].graph_def.node.sort(key=lambda node: node.name)  # and sorts them by what they wait for
    ours, theirs = found
    ours.collection_def.pop("any", None), theirs.collection_def.pop("any", None)  # which TensorFlow takes for text
    assert_same(ours, theirs)


def test_a_graph_built_there_is_exported_whole():
    with compat.Graph().as_default() as graph, compat.device("/cpu:0"):
        v = compat.Variable([1.0], name="v")
        compat.add_to_collection("mine", v), compat.add_to_collection("truths", True)
        with compat.name_scope("inner"):
            compat.negative(v, name="out")
        saver = compat.train.Saver()
        part = compat.train.export_meta_graph(export_scope="inner", graph=graph)
        assert compat.get_collection("unbound_inputs") == ["$unbound_inputs_v/read"]
        whole = saver.export_meta_graph(clear_devices=True)
    assert [node.name for node in part.graph_def.node] == ["out"]
    assert list(whole.collection_def["mine"].node_list.value) == ["v:0"]
    assert list(whole.collection_def["truths"].int64_list.value) == [1]
    assert whole.saver_def == saver.saver_def
    assert {node.device for node in whole.graph_def.node} == {""}


# TensorFlow 1.15

EXPORT_IN_TF1 = """
from exported_graphs import OPTIONS, build
import os
folder, flow = sys.argv[1:]
tf.enable_control_flow_v2() if flow == "functions" else tf.disable_control_flow_v2()
with tf.Graph().as_default():
    saver = build(tf)
    for name, options in OPTIONS.items():
        saver_def = saver.to_proto(options.get("export_scope"))
        tf.train.export_meta_graph(os.path.join(folder, name + ".meta"), saver_def=saver_def, **options)
"""
IMPORT_IN_TF1 = """
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    with tf.Graph().as_default():
        tf.train.import_meta_graph(source)
        tf.train.export_meta_graph(target)
"""


@needs_tf1
@pytest.mark.parametrize("flow", ["switches", "functions"])
def test_tensorflow_1_15_exports_the_same_and_gets_the_same_graph_back(tmp_path, flow):
    run_in_tf1(EXPORT_IN_TF1, tmp_path, flow)
    fn, _ = mgjax.import_meta_graph(str(tmp_path / "all.meta"))
    for name, options in OPTIONS.items():
        ours = mgjax.export_meta_graph(tmp_path / f"{name}.ours.meta", graph=fn, **options)
        theirs = files.read_meta_graph(tmp_path / f"{name}.meta")
        if flow == "functions":
            # It leaves out the ops of functions that are named by attributes alone.
            lists = [message.meta_info_def.stripped_op_list for message in (ours, theirs)]
            assert {op.name for op in lists[1].op} <= {op.name for op in lists[0].op}
            for ops in lists:
                ops.Clear()
        assert_same(ours, theirs)
    paths = [tmp_path / name for name in ("all.meta", "theirs", "all.ours.meta", "ours", "text.ours.meta", "text")]
    run_in_tf1(IMPORT_IN_TF1, *paths)
    theirs, ours, text = (files.read_meta_graph(tmp_path / name) for name in ("theirs", "ours", "text"))
    assert_same(ours, theirs, version=True)
    assert_same(text, theirs, version=True)
