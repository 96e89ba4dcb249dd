"""Collections as plain values."""

import pytest

from mgjax.metagraph.collections import (
    Asset,
    Packed,
    QueueRunner,
    Slice,
    decode_collection,
    decode_collections,
    variables_of,
)
from mgjax.proto import control_flow_pb2, meta_graph_pb2, queue_runner_pb2, variable_pb2


def variable(name, **fields):
    return variable_pb2.VariableDef(variable_name=name, **fields).SerializeToString()


def meta_graph(version="1.15.5", **collections):
    message = meta_graph_pb2.MetaGraphDef()
    message.meta_info_def.tensorflow_version = version
    for key, (kind, values) in collections.items():
        getattr(message.collection_def[key], kind).value.extend(values)
    return message


def test_names_numbers_and_bytes_are_values():
    found = decode_collections(
        meta_graph(
            losses=("node_list", ["a:0", "b"]),
            steps=("int64_list", [3, -(2**63)]),
            rates=("float_list", [0.5]),
            blobs=("bytes_list", [b"\xff", b"text"]),
        )
    )
    assert found["losses"].values == ("a:0", "b") and found["losses"].kind == "node_list"
    assert found["steps"].values == (3, -(2**63))
    assert found["rates"].values == (0.5,)
    assert found["blobs"].values == (b"\xff", b"text")
    assert not any(collection.notes for collection in found.values())


def test_variables_are_described():
    part = variable_pb2.SaveSliceInfoDef(full_name="w", full_shape=[4, 2], var_offset=[2, 0], var_shape=[2, 2])
    data = variable(
        "w/part_1:0",
        initializer_name="w/part_1/Assign",
        snapshot_name="w/part_1/read:0",
        is_resource=True,
        trainable=True,
        aggregation=variable_pb2.VARIABLE_AGGREGATION_MEAN,
        save_slice_info_def=part,
    )
    (found,) = decode_collections(meta_graph(variables=("bytes_list", [data])))["variables"].values
    assert found.name == "w/part_1:0" and found.initializer == "w/part_1/Assign" and found.snapshot == "w/part_1/read:0"
    assert found.initial_value == "" and found.is_resource and found.trainable and found.aggregation == 2
    assert found.slice == Slice("w", (4, 2), (2, 0), (2, 2))


@pytest.mark.parametrize(
    "version, expected", [("1.8.0", True), ("1.9.0", False), ("2.3.1", False), ("", False), ("0.12.1", True)]
)
def test_writers_before_1_9_say_by_the_collection_what_is_trained(version, expected):
    data = variable("w:0")
    collections = decode_collections(
        meta_graph(version, variables=("bytes_list", [data]), trainable_variables=("bytes_list", [data]))
    )
    assert next(iter(collections)) == "trainable_variables"
    assert collections["trainable_variables"].values[0].trainable is expected
    assert collections["variables"].values[0].trainable is False
    assert variables_of(collections)["w:0"].trainable is expected


def test_all_variables_are_found_once():
    collections = decode_collections(
        meta_graph(
            variables=("bytes_list", [variable("a:0"), variable("b:0", trainable=True)]),
            local_variables=("bytes_list", [variable("c:0"), variable("a:0")]),
            losses=("node_list", ["d:0"]),
        )
    )
    assert list(variables_of(collections)) == ["a:0", "b:0", "c:0"]


def test_queue_runners_and_contexts_are_described():
    runner = queue_runner_pb2.QueueRunnerDef(
        queue_name="q", enqueue_op_name=["q_enqueue"], close_op_name="q_Close", cancel_op_name="q_Close_1",
        queue_closed_exception_types=[11, 1],
    )  # fmt: skip
    loop = control_flow_pb2.WhileContextDef(context_name="while/while_context", parallel_iterations=10)
    found = decode_collections(
        meta_graph(
            queue_runners=("bytes_list", [runner.SerializeToString()]),
            while_context=("bytes_list", [loop.SerializeToString()]),
        )
    )
    assert found["queue_runners"].values == (QueueRunner("q", ("q_enqueue",), "q_Close", "q_Close_1", (11, 1)),)
    assert found["while_context"].values == (loop,)


def test_assets_are_unpacked_and_other_packed_messages_kept():
    message = meta_graph()
    asset = meta_graph_pb2.AssetFileDef(filename="vocab.txt")
    asset.tensor_info.name = "path:0"
    values = message.collection_def["saved_model_assets"].any_list.value
    values.add(type_url="type.googleapis.com/tensorflow.AssetFileDef", value=asset.SerializeToString())
    values.add(type_url="type.googleapis.com/tensorflow.serving.Signatures", value=b"\x0a\0")
    values.add(type_url="type.googleapis.com/tensorflow.AssetFileDef", value=b"\xff")
    collection = decode_collections(message)["saved_model_assets"]
    assert collection.values[0] == Asset("path:0", "vocab.txt")
    assert collection.values[1] == Packed("type.googleapis.com/tensorflow.serving.Signatures", b"\x0a\0")
    assert collection.values[2].value == b"\xff"
    assert len(collection.notes) == 1


@pytest.mark.parametrize("key", ["variables", "queue_runners", "while_context", "cond_context", "savers"])
@pytest.mark.parametrize("data", [b"\xff\xff", b"hello", b""])
def test_entries_that_are_not_what_the_key_promises_stay_as_they_are(key, data):
    collection = decode_collections(meta_graph(**{key: ("bytes_list", [data])}))[key]
    assert collection.values == (data,)
    (note,) = collection.notes
    assert f"entry 0 of collection '{key}'" in note and f"its {len(data)} bytes are kept" in note


def test_very_old_files_list_the_names_of_variables():
    collection = decode_collections(meta_graph(variables=("node_list", ["w:0"])))["variables"]
    assert collection.values == ("w:0",)
    assert "holds a node_list" in collection.notes[0]
    assert variables_of({"variables": collection}) == {}


def test_a_collection_of_nothing_is_empty_with_a_note():
    collection = decode_collection("stray", meta_graph_pb2.CollectionDef())
    assert collection.kind == "" and collection.values == () and "says nothing" in collection.notes[0]
