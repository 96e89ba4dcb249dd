"""Where bytes stop being a message; the bytes are written out by hand."""

import pytest

from mgjax.metagraph.wire import find_damage
from mgjax.proto import graph_pb2

GRAPH = graph_pb2.GraphDef.DESCRIPTOR
NODE = b"\x0a\x0b\x0a\x03abc\x12\x04NoOp"  # node { name: "abc" op: "NoOp" }


@pytest.mark.parametrize(
    "data, offset, path, truncated",
    [
        (NODE + NODE[:-1], 13, "node", True),
        (NODE + b"\x0a", 14, "", True),
        (NODE + b"\x22\x02\x08\x80", 16, "versions", False),
        (NODE[:7] + b"\x13\x04NoOp", 7, "node[0]", False),
        (NODE + b"\x0a\x0b\x0a\x0cabc\x12\x04NoOp", 15, "node[1].name", False),
        (NODE + b"\x02\x00", 13, "", False),
        (b"\x0a\x05\x0a\x03a\xffc", 5, "node[0]", False),
        (b"\xff" * 11, 0, "", False),
    ],
)
def test_the_first_impossible_byte_is_found(data, offset, path, truncated):
    damage = find_damage(data, GRAPH)
    assert (damage.offset, damage.path, damage.truncated) == (offset, path, truncated)


def test_whole_messages_have_no_damage():
    assert find_damage(b"", GRAPH) is None
    assert find_damage(NODE + NODE, GRAPH) is None
    # Fields that are not known: a number, eight bytes, a string, four bytes.
    assert find_damage(b"\x98\x06\x01\x99\x06" + bytes(8) + b"\x9a\x06\x01a\x9d\x06" + bytes(4), GRAPH) is None
