"""Reading graphs from files, bytes and messages, and what is said of everything else."""

import gzip
import io
import os
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from mgjax.errors import MissingFileError, ReadError
from mgjax.metagraph.files import read_graph_def, read_meta_graph, read_saved_model
from mgjax.proto import graph_pb2, meta_graph_pb2, variable_pb2
from mgjax.proto.values import encode_tensor

CORPUS = Path(os.environ.get("MGJAX_SHARED", Path(__file__).parents[3] / "shared")) / "corpus"


@pytest.fixture
def meta_graph():
    """A small MetaGraphDef with a constant, a variable, collections and an Any."""
    message = meta_graph_pb2.MetaGraphDef()
    message.meta_info_def.tensorflow_version = "1.15.5"
    message.meta_info_def.tags.append("serve")
    message.graph_def.versions.producer = 134
    node = message.graph_def.node.add(name="a", op="Const")
    node.attr["value"].tensor.CopyFrom(encode_tensor(np.arange(6, dtype=np.float32)))
    message.graph_def.node.add(name="w", op="VariableV2")
    variable = variable_pb2.VariableDef(variable_name="w:0", trainable=True)
    message.collection_def["variables"].bytes_list.value.append(variable.SerializeToString())
    asset = meta_graph_pb2.AssetFileDef(filename="vocab.txt")
    packed = message.collection_def["saved_model_assets"].any_list.value.add()
    packed.type_url, packed.value = "type.googleapis.com/tensorflow.AssetFileDef", asset.SerializeToString()
    return message


def saved_model(*graphs):
    model = meta_graph_pb2.SavedModel(saved_model_schema_version=1)
    for graph in graphs:
        model.meta_graphs.add().CopyFrom(graph)
    return model


def tagged(meta_graph, *tags):
    copy = meta_graph_pb2.MetaGraphDef()
    copy.CopyFrom(meta_graph)
    del copy.meta_info_def.tags[:]
    copy.meta_info_def.tags.extend(tags)
    return copy


def as_text(message):
    return text_format.MessageToString(message).encode()


# What can be read


def test_a_file_is_read_whether_binary_or_text(meta_graph, tmp_path):
    for name, data in [("binary.meta", meta_graph.SerializeToString()), ("text.meta", as_text(meta_graph))]:
        path = tmp_path / name
        path.write_bytes(data)
        assert read_meta_graph(path) == meta_graph
        assert read_meta_graph(str(path)) == meta_graph


def test_bytes_are_read_whether_binary_or_text(meta_graph):
    data = meta_graph.SerializeToString()
    assert read_meta_graph(data) == read_meta_graph(memoryview(data)) == meta_graph
    assert read_meta_graph(as_text(meta_graph)) == meta_graph
    assert read_meta_graph(b"\xef\xbb\xbf# a comment\r\n" + as_text(meta_graph)) == meta_graph


def test_a_message_of_this_package_is_itself(meta_graph):
    assert read_meta_graph(meta_graph) is meta_graph
    assert read_graph_def(meta_graph.graph_def) is not None


def test_a_graph_def_is_read_whether_binary_or_text(meta_graph, tmp_path):
    graph_def = meta_graph.graph_def
    path = tmp_path / "frozen.pb"
    path.write_bytes(graph_def.SerializeToString())
    assert read_graph_def(path) == read_graph_def(as_text(graph_def)) == graph_def


def test_an_empty_graph_is_a_graph():
    message = meta_graph_pb2.MetaGraphDef()
    message.graph_def.versions.producer = 134
    assert read_meta_graph(message.SerializeToString()) == message
    assert read_graph_def(message.graph_def.SerializeToString()) == message.graph_def


def test_text_may_spell_out_what_an_any_holds(meta_graph):
    text = """
        graph_def { versions { producer: 27 } node { name: "n" op: "NoOp" } }
        collection_def { key: "saved_model_assets" value { any_list { value {
          [type.googleapis.com/tensorflow.AssetFileDef] { filename: "vocab.txt" tensor_info { dtype: DT_STRING } }
        } } } }"""
    packed = read_meta_graph(text.encode()).collection_def["saved_model_assets"].any_list.value[0]
    assert packed.type_url == "type.googleapis.com/tensorflow.AssetFileDef"
    assert meta_graph_pb2.AssetFileDef.FromString(packed.value).filename == "vocab.txt"


def test_text_of_a_newer_writer_may_have_fields_that_are_not_known():
    text = b'graph_def { versions { producer: 1087 } node { name: "n" op: "NoOp" experimental_type { type_id: TFT_ANY } } }'
    assert read_meta_graph(text).graph_def.node[0].name == "n"
    with pytest.raises(ReadError, match=r'no field named "experimental_type"'):
        read_meta_graph(text.replace(b"1087", b"134"))


# What cannot


def wrong_files():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", b"")
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    return {
        "a Python pickle": pickle.dumps({"weights": [1, 2]}),
        "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "a zip archive": buffer.getvalue(),
        "a gzip file; unpack it first": gzip.compress(b"graph"),
        "an array saved by NumPy": array.getvalue(),
        "a table of TensorFlow: the .index file": b"\0\x08\0w" + bytes(40) + bytes.fromhex("57fb808b247547db"),
        "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        "a web page": b"\n<!DOCTYPE html><html></html>",
        "a checkpoint state file": b'model_checkpoint_path: "model-3"\n',
        "a TensorFlow Lite model": b"\x1c\0\0\0TFL3" + bytes(50),
        "40 bytes of zeros": bytes(40),
    }


@pytest.mark.parametrize("kind", wrong_files())
def test_files_of_other_kinds_are_named(kind, tmp_path):
    path = tmp_path / "model.meta"
    path.write_bytes(wrong_files()[kind])
    for read in (read_meta_graph, read_graph_def):
        with pytest.raises(ReadError) as caught:
            read(path)
        assert f"it is {kind}" in str(caught.value) and str(path) in str(caught.value)


def test_the_right_door_is_named(meta_graph):
    graph, model = meta_graph.graph_def.SerializeToString(), saved_model(meta_graph).SerializeToString()
    for read, data, advice in [
        (read_meta_graph, graph, "it is a GraphDef; read it with mgjax.import_graph_def"),
        (read_meta_graph, model, "it is a SavedModel; read its folder with mgjax.load_saved_model"),
        (read_graph_def, meta_graph.SerializeToString(), "it is a MetaGraphDef; read it with mgjax.import_meta_graph"),
        (read_graph_def, model, "it is a SavedModel"),
    ]:
        with pytest.raises(ReadError, match=advice):
            read(data)


def test_empty_input_is_an_error(tmp_path):
    (tmp_path / "model.meta").touch()
    with pytest.raises(ReadError, match=r"model.meta' is empty; wanted: a MetaGraphDef"):
        read_meta_graph(tmp_path / "model.meta")
    with pytest.raises(ReadError, match="is empty"):
        read_graph_def(b"")


@pytest.mark.parametrize(
    "text, where",
    [
        (b"hello world\n", r'line 1, column 1: .*no field named "hello"'),
        (b"import numpy as np\n\nprint(np.pi)\n", "line 1, column 1"),
        (b'{"format": "layers-model"}', "line 1, column 1"),
        (b"graph_def {\n  node { name: 3 }\n}", "line 2, column 16"),
        (b'graph_def { node { name: "a" op: "B" ', 'Expected "}"'),
        (b"meta_info_def { tensorflow_version: '1.15' }", "text that holds no graph"),
        (b"# nothing\n", "text that holds no graph"),
        ('graph_def { versions { } node { name: "é'.encode("latin-1"), "as text, byte 39 of 40 is not UTF-8"),
        (b"graph_def { versions { producer: 99999999999 } }", "line 1, column 34"),
    ],
)
def test_text_that_is_no_graph_says_where(text, where):
    with pytest.raises(ReadError, match=where):
        read_meta_graph(text)


@pytest.mark.parametrize(
    "text",
    [
        b'graph_def { node { name: "a" op: "B" attr { key: "x" value ' + b'{ func { attr { key: "x" value ' * 5000,
        b"object_graph_def { nodes { function { function_spec { fullargspec " + b"{ list_value { values " * 5000,
    ],
)
def test_text_nested_without_end_is_refused(text):
    with pytest.raises(ReadError, match=r"nested too deep|nested deeper|recursion"):
        read_meta_graph(text)


def test_binary_nested_without_end_is_refused():
    value = graph_pb2.AttrValue()
    for _ in range(90):
        outer = graph_pb2.AttrValue()
        outer.func.attr["x"].CopyFrom(value)
        value = outer
    message = meta_graph_pb2.MetaGraphDef()
    message.graph_def.node.add(name="n", op="NoOp").attr["x"].CopyFrom(value)
    with pytest.raises(ReadError, match="nested more than 100 deep"):
        read_meta_graph(message.SerializeToString())


def test_a_truncated_file_says_where_it_ends(meta_graph):
    data = meta_graph.SerializeToString()
    start = len(meta_graph.meta_info_def.SerializeToString()) + 2
    with pytest.raises(ReadError, match=f"a truncated MetaGraphDef, or none at all: byte {start}, in graph_def"):
        read_meta_graph(data[: start + 30])


def test_damage_inside_of_a_node_names_the_node(meta_graph):
    data = bytearray(meta_graph.SerializeToString())
    data[data.index(b"\x12\nVariableV2")] ^= 1
    with pytest.raises(ReadError, match=r"a damaged MetaGraphDef.*in graph_def\.node\[1\].*wire type"):
        read_meta_graph(bytes(data))


def test_every_prefix_and_every_flipped_bit_is_read_or_refused(meta_graph):
    for form in (meta_graph.SerializeToString(), as_text(meta_graph)):
        draw = random.Random(0)
        damaged = [form[:size] for size in range(0, len(form), 7)]
        for _ in range(300):
            position = draw.randrange(len(form))
            flipped = bytearray(form)
            flipped[position] ^= 1 << draw.randrange(8)
            damaged.append(bytes(flipped))
        damaged += [draw.randbytes(size) for size in range(1, 200)]
        for data in damaged:
            try:
                assert read_meta_graph(data).HasField("graph_def")
            except ReadError as error:
                assert len(str(error)) < 600


def test_missing_files_are_file_not_found_errors(meta_graph, tmp_path):
    (tmp_path / "model-3.meta").write_bytes(meta_graph.SerializeToString())
    with pytest.raises(FileNotFoundError, match=r"did you mean '.*model-3\.meta'") as caught:
        read_meta_graph(tmp_path / "model-3")
    assert isinstance(caught.value, MissingFileError)
    with pytest.raises(MissingFileError, match=r"holds model-3\.meta"):
        read_meta_graph(tmp_path / "model-4.meta")
    with pytest.raises(MissingFileError, match="there is no folder"):
        read_meta_graph(tmp_path / "nowhere" / "model.meta")
    with pytest.raises(MissingFileError):
        read_meta_graph("a\0b")


def test_a_folder_is_no_file_and_says_what_it_holds(meta_graph, tmp_path):
    (tmp_path / "model-3.meta").write_bytes(meta_graph.SerializeToString())
    with pytest.raises(ReadError, match=r"is a folder.*holds model-3\.meta"):
        read_meta_graph(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(saved_model(meta_graph).SerializeToString())
    with pytest.raises(ReadError, match=r"holds a SavedModel, which mgjax\.load_saved_model reads"):
        read_meta_graph(tmp_path)


@pytest.mark.parametrize("name", ["model-3.index", "model-3.data-00000-of-00001"])
def test_a_file_of_the_checkpoint_leads_to_the_meta_file(name, meta_graph, tmp_path):
    (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(500))
    with pytest.raises(ReadError, match=r"'model-3\.meta' beside it would hold the graph"):
        read_meta_graph(tmp_path / name)
    (tmp_path / "model-3.meta").write_bytes(meta_graph.SerializeToString())
    with pytest.raises(ReadError, match=r"belongs to a checkpoint; the graph is in '.*model-3\.meta'"):
        read_meta_graph(tmp_path / name)


def test_values_of_another_type_are_type_errors(meta_graph):
    with pytest.raises(TypeError, match=r"wanted a path, bytes or a MetaGraphDef message, not builtins\.int"):
        read_meta_graph(3)
    with pytest.raises(TypeError, match=r"not a GraphDef; read it with mgjax\.import_graph_def"):
        read_meta_graph(meta_graph.graph_def)


# SavedModels


def test_a_saved_model_gives_the_graph_of_its_tags_and_the_prefix_of_its_variables(meta_graph, tmp_path):
    model = saved_model(tagged(meta_graph, "serve"), tagged(meta_graph, "train", "gpu"))
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    found, prefix = read_saved_model(tmp_path, ["gpu", "train"])
    assert found == model.meta_graphs[1] and prefix is None
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").touch()
    found, prefix = read_saved_model(str(tmp_path))
    assert found == model.meta_graphs[0] and prefix == str(tmp_path / "variables" / "variables")
    assert read_saved_model(tmp_path / "saved_model.pb", "serve")[0] == found


def test_a_saved_model_may_be_text(meta_graph, tmp_path):
    (tmp_path / "saved_model.pbtxt").write_bytes(as_text(saved_model(meta_graph)))
    assert read_saved_model(tmp_path)[0] == meta_graph


def test_tags_that_no_graph_has_are_answered_with_those_that_are_there(meta_graph, tmp_path):
    model = saved_model(tagged(meta_graph, "serve"), tagged(meta_graph, "train", "gpu"))
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(ReadError, match=r"tags \['gpu'\]; give tags=\['serve'\] or \['gpu', 'train'\]"):
        read_saved_model(tmp_path, "gpu")


def test_what_is_no_saved_model_says_so(meta_graph, tmp_path):
    with pytest.raises(MissingFileError, match=r"neither saved_model\.pb nor saved_model\.pbtxt"):
        read_saved_model(tmp_path)
    with pytest.raises(MissingFileError, match="does not exist"):
        read_saved_model(tmp_path / "export")
    (tmp_path / "saved_model.pb").write_bytes(meta_graph.SerializeToString())
    with pytest.raises(ReadError, match="is no SavedModel: it is a MetaGraphDef"):
        read_saved_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ReadError, match="is empty"):
        read_saved_model(tmp_path)


# Real files


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_every_graph_of_the_corpus_is_read_and_written_back():
    paths = [path for part in ("zoo", "wild") for path in (CORPUS / part).rglob("*.meta*")]
    for path in paths:
        message = read_meta_graph(path)
        assert len(message.graph_def.node) > 0, path
        assert meta_graph_pb2.MetaGraphDef.FromString(message.SerializeToString()) == message, path
    assert len(paths) > 240
    for path in CORPUS.glob("zoo/*/saved_model"):
        assert len(read_saved_model(path, ["serve"])[0].graph_def.node) > 0


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_a_sample_of_the_recorded_tests_graphs_is_read():
    count = 0
    for path in sorted((CORPUS / "tfops").glob("*/*.zip"))[::7]:
        with zipfile.ZipFile(path) as archive:
            for name in [name for name in archive.namelist() if name.endswith(".meta")][::9]:
                read_meta_graph(archive.read(name))
                count += 1
    assert count > 50
