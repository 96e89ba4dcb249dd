"""Ops that nobody knows, and lowerings that users add."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mgjax
from mgjax.errors import UnsupportedError
from mgjax.ops import REGISTRY, describe
from mgjax.proto import meta_graph_pb2
from tests.live import meta_graph_of, tf


@pytest.fixture(scope="module")
def message():
    """`y = MyOp(x) + OtherOp(x)` and `z = x + 1`; MyOp has a definition in the file, OtherOp has none."""

    def build():
        x = tf.placeholder(tf.float32, [2], name="x")
        tf.add(tf.negative(x, name="mine"), tf.square(x, name="other"), name="y")
        tf.add(x, 1.0, name="z")

    found = meta_graph_pb2.MetaGraphDef.FromString(meta_graph_of(build).SerializeToString())
    for node in found.graph_def.node:
        node.op = {"mine": "MyOp", "other": "OtherOp"}.get(node.name, node.op)
        if node.op == "MyOp":
            node.attr["factor"].f = 3.0
    for op in found.meta_info_def.stripped_op_list.op:
        if op.name == "Neg":
            op.name = "MyOp"
            op.attr.add(name="factor", type="float")
    return found


X = np.float32([1, 2])


def my_op(x, *, factor):
    return x * factor


def test_a_graph_with_unknown_ops_is_imported_and_runs_where_they_are_not_needed(message):
    fn, _ = mgjax.import_meta_graph(message)
    assert_array_equal(fn({}, {"x": X}, "z:0")[1], [2, 3])
    assert fn.operations["mine"].op == "MyOp" and "MyOp(" in fn.ir(["x"], "y:0", after_passes=False)


def test_one_error_lists_all_that_cannot_be_run(message):
    fn, _ = mgjax.import_meta_graph(message)
    with pytest.raises(UnsupportedError) as caught:
        fn({}, {"x": X}, ["y:0", "z:0"])
    text = str(caught.value)
    assert text.startswith("2 operations that the fetches need cannot be run")
    assert "MyOp 'mine'" in text and "OtherOp 'other'" in text and "@mgjax.lower('MyOp')" in text
    assert isinstance(caught.value, NotImplementedError)


def test_what_cannot_be_run_may_be_fed(message):
    fn, _ = mgjax.import_meta_graph(message)
    assert_array_equal(fn({}, {"mine:0": X, "other:0": X}, "y:0")[1], [2, 4])


def test_a_lowering_for_one_import_is_no_other_imports(message):
    lowerings = {
        "MyOp": describe("MyOp", my_op),
        "OtherOp": describe("OtherOp", lambda x: jnp.square(x)),
    }
    fn, _ = mgjax.import_meta_graph(message, lowerings=lowerings)
    assert_array_equal(fn({}, {"x": X}, "y:0")[1], [4, 10])
    assert "MyOp" not in REGISTRY
    with pytest.raises(UnsupportedError):
        mgjax.import_meta_graph(message)[0]({}, {"x": X}, "y:0")


def test_a_registered_lowering_serves_all_imports(message, monkeypatch):
    for op in ("MyOp", "OtherOp"):
        monkeypatch.setitem(REGISTRY, op, None)  # so that what is registered here is gone afterwards
    mgjax.lower("MyOp")(my_op)

    @mgjax.lower("OtherOp")
    def other_op(x):
        return jnp.square(x)

    fn, _ = mgjax.import_meta_graph(message)
    assert_array_equal(fn({}, {"x": X}, "y:0")[1], [4, 10])
    assert fn.supports("MyOp")


def test_a_known_op_may_be_lowered_otherwise_for_one_import(message):
    fn, _ = mgjax.import_meta_graph(message, lowerings={"AddV2": lambda x, y: x - y})
    assert_array_equal(fn({}, {"x": X}, "z:0")[1], [0, 1])


def test_a_broken_node_is_refused_only_where_it_is_needed(message):
    broken = meta_graph_pb2.MetaGraphDef.FromString(message.SerializeToString())
    for node in broken.graph_def.node:
        if node.name == "y":
            node.input[1] = "gone:0"
    fn, _ = mgjax.import_meta_graph(broken)
    assert_array_equal(fn({}, {"x": X}, "z:0")[1], [2, 3])
    with pytest.raises(UnsupportedError, match="the graph has no such node"):
        fn({}, {"x": X}, "y:0")
