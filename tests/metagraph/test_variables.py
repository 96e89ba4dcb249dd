"""Under which name a variable's value is held."""

from __future__ import annotations

import pytest

import mgjax
from mgjax.proto import meta_graph_pb2
from mgjax.proto.values import encode_attr


def resource_graph(*nodes):
    """Resource variables, of (name, `shared_name`), each with an assignment and a read."""
    meta_graph = meta_graph_pb2.MetaGraphDef()
    add = meta_graph.graph_def.node.add
    value = add(name="value", op="Placeholder")
    value.attr["dtype"].CopyFrom(encode_attr(mgjax.dtypes.float32, "type"))
    for name, shared_name in nodes:
        handle = add(name=name, op="VarHandleOp")
        handle.attr["shared_name"].s = shared_name.encode()
        handle.attr["shape"].CopyFrom(encode_attr((), "shape"))
        write = add(name=f"{name}/Assign", op="AssignVariableOp", input=[name, "value"])
        read = add(name=f"{name}/Read", op="ReadVariableOp", input=[name])
        for node in (handle, write, read):
            node.attr["dtype"].CopyFrom(encode_attr(mgjax.dtypes.float32, "type"))
    return meta_graph


def test_a_variable_is_held_under_its_nodes_name_whatever_its_shared_name():
    fn, _ = mgjax.import_meta_graph(resource_graph(("v", "other")), import_scope="A")
    state, _ = fn({}, {"A/value:0": 3.0}, fn.operations["A/v/Assign"])
    assert dict(state) == {"A/v": 3.0}
    assert fn(state, {}, "A/v/Read:0")[1] == 3.0


@pytest.mark.parametrize("reader", ["v", "w"])
def test_variables_of_one_shared_name_are_one(reader):
    fn, _ = mgjax.import_meta_graph(resource_graph(("v", "same"), ("w", "same")))
    state, _ = fn({}, {"value:0": 3.0}, fn.operations["w/Assign"])
    assert dict(state) == {"v": 3.0}
    assert fn(state, {}, f"{reader}/Read:0")[1] == 3.0
