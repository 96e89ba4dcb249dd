"""The messages beside TensorFlow's own, in one process."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from mgjax.proto import graph_pb2, meta_graph_pb2

TENSORFLOW = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import summary_pb2, variable_pb2
from tensorflow.core.protobuf import control_flow_pb2, meta_graph_pb2, queue_runner_pb2, saved_model_pb2
from tensorflow.core.protobuf import struct_pb2, tensor_bundle_pb2
from tensorflow.core.util import event_pb2
"""
MGJAX = """
import mgjax.proto.checkpoint_pb2, mgjax.proto.control_flow_pb2, mgjax.proto.debug_pb2, mgjax.proto.example_pb2
import mgjax.proto.meta_graph_pb2, mgjax.proto.queue_runner_pb2, mgjax.proto.struct_pb2, mgjax.proto.summary_pb2
import mgjax.proto.variable_pb2
"""
# Every message of this package that TensorFlow has too must have TensorFlow's fields, or fewer, under the same numbers.
COMPARE = """
from google.protobuf import descriptor_pool
pool = descriptor_pool.Default()
compared = 0

def bare(name):
    return name.removeprefix("tensorflow.error.").removeprefix("tensorflow.").removeprefix("mgjax.proto.")

def described(field):
    kind = field.message_type or field.enum_type
    is_repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    is_choice = field.containing_oneof is not None  # Oneofs have other names in newer versions; no file holds them.
    return field.number, field.type, is_repeated, kind and bare(kind.full_name), is_choice

def compare(ours):
    global compared
    try:
        theirs = pool.FindMessageTypeByName("tensorflow." + bare(ours.full_name))
    except KeyError:
        return
    compared += 1
    for field in ours.fields:
        if field.name not in theirs.fields_by_name:
            # A field that newer versions dropped: its number must be free.
            assert field.number not in theirs.fields_by_number, (ours.full_name, field.name)
            continue
        expected = described(theirs.fields_by_name[field.name])
        assert described(field) == expected, (ours.full_name, field.name, described(field), expected)
    for enum in ours.enum_types:
        for name, value in enum.values_by_name.items():
            assert theirs.enum_types_by_name[enum.name].values_by_name[name].number == value.number
    for nested in ours.nested_types:
        compare(nested)

import mgjax.proto, sys
for name, module in list(sys.modules.items()):
    if name.startswith("mgjax.proto.") and name.endswith("_pb2"):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            compare(message)
assert compared > 100, compared

graph = tensorflow.Graph()
with graph.as_default():
    tensorflow.constant([1.0, 2.0], name="a")
    theirs = tensorflow.compat.v1.train.export_meta_graph()
ours = mgjax.proto.meta_graph_pb2.MetaGraphDef.FromString(theirs.SerializeToString())
assert ours.graph_def.node[0].name == "a"
assert type(theirs).FromString(ours.SerializeToString()) == theirs
print("both")
"""


@pytest.mark.parametrize("first, second", [(TENSORFLOW, MGJAX), (MGJAX, TENSORFLOW)], ids=["tensorflow", "mgjax"])
def test_messages_live_beside_tensorflows_whichever_is_imported_first(first, second):
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", first + second + COMPARE], capture_output=True, text=True, cwd=root, timeout=300
    )
    assert found.stdout.strip() == "both", found.stderr[-3000:]


def test_unknown_fields_survive_reading_and_writing():
    # Field 100, a string, in a NodeDef, a GraphDef and a MetaGraphDef.
    unknown = b"\xa2\x06\x05newer"
    node = b"\x0a\x01a\x12\x04NoOp" + unknown
    graph = b"\x0a" + bytes([len(node)]) + node + unknown
    data = b"\x12" + bytes([len(graph)]) + graph + unknown
    message = meta_graph_pb2.MetaGraphDef.FromString(data)
    assert message.graph_def.node[0].op == "NoOp"
    assert message.SerializeToString() == data


def test_values_of_enumerations_that_are_not_known_survive():
    data = b"\x30\xb6\x01"
    message = graph_pb2.AttrValue.FromString(data)
    assert message.type == 182
    assert message.SerializeToString() == data


def test_the_generated_code_is_that_of_the_proto_files(tmp_path):
    """Whatever the compiler's version, the descriptors that it makes are the same; `protos/generate` makes the code."""
    if importlib.util.find_spec("grpc_tools") is None:
        pytest.skip("grpcio-tools, which has a compiler, is not installed")
    root = Path(__file__).parents[2]
    sources = sorted((root / "protos").glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path=mgjax/proto={root / 'protos'}"]
    output = tmp_path / "descriptors"
    subprocess.run([*command, f"--descriptor_set_out={output}", *map(str, sources)], check=True)
    compiled = {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file}
    assert len(compiled) == len(sources)
    for name, file in compiled.items():
        module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
        generated = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        assert without_json_names(generated) == without_json_names(file), name


def without_json_names(file):
    messages = list(file.message_type)
    while messages:
        message = messages.pop()
        messages.extend(message.nested_type)
        for field in message.field:
            field.ClearField("json_name")
    return file
