"""Importing costs time in proportion to the graph, and little of it."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest

import mgjax
from mgjax import sample
from mgjax.proto import meta_graph_pb2

#: CPU seconds that importing 60,000 nodes may take, and how much more a machine that is busy with other tests may need.
SECONDS, ROOM = 1.0, 2.0


def copies(count: int) -> bytes:
    """The sample, `count` times over in scopes of their own, with the saver of the first: 244 nodes each."""
    original = meta_graph_pb2.MetaGraphDef.FromString(Path(sample.META).read_bytes())
    whole = meta_graph_pb2.MetaGraphDef()
    whole.CopyFrom(original)
    for number in range(1, count):
        for node in original.graph_def.node:
            copy = whole.graph_def.node.add()
            copy.CopyFrom(node)
            copy.name = f"copy_{number}/{node.name}"
            inputs = [
                f"^copy_{number}/{text[1:]}" if text.startswith("^") else f"copy_{number}/{text}" for text in node.input
            ]
            copy.input[:] = inputs
    return whole.SerializeToString()


def import_time(content: bytes) -> float:
    """CPU seconds, the least of three."""
    times = []
    for _ in range(3):
        gc.collect()
        start = time.process_time()
        mgjax.import_meta_graph(content)
        times.append(time.process_time() - start)
    return min(times)


@pytest.fixture(scope="module")
def times() -> dict[int, float]:
    return {count: import_time(copies(count)) for count in (62, 246)}


def test_sixty_thousand_nodes_import_in_a_second(times):
    assert times[246] < SECONDS * ROOM


def test_import_grows_with_the_number_of_nodes_alone(times):
    assert times[246] < 4 * times[62] * ROOM
