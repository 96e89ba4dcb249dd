"""`tf.train`: savers, checkpoints, coordination."""

from __future__ import annotations

from typing import Any

from mgjax.compat.v1.coordination import Coordinator, LooperThread
from mgjax.compat.v1.framework import GraphKeys, get_default_graph
from mgjax.compat.v1.importer import export_meta_graph, import_meta_graph
from mgjax.compat.v1.initializing import init_from_checkpoint
from mgjax.compat.v1.queue_runners import QueueRunner, add_queue_runner, start_queue_runners
from mgjax.compat.v1.readers import (
    CheckpointReader,
    NewCheckpointReader,
    list_variables,
    load_checkpoint,
    load_variable,
)
from mgjax.compat.v1.saver import Saver
from mgjax.compat.v1.states import (
    checkpoint_exists,
    get_checkpoint_mtimes,
    get_checkpoint_state,
    latest_checkpoint,
    remove_checkpoint,
    update_checkpoint_state,
)
from mgjax.proto import meta_graph_pb2

SaverDef = meta_graph_pb2.SaverDef


def get_global_step(graph: Any = None) -> Any:
    """The variable or tensor of the collection `global_step`, or of the name `global_step`; None if there is none."""
    graph = graph or get_default_graph()
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if found:
        return found[0]
    return graph.as_graph_element("global_step:0") if "global_step" in graph.index.nodes else None


def global_step(sess: Any, global_step_tensor: Any) -> int:
    """The value of a global step in a session."""
    return int(sess.run(global_step_tensor))


__all__ = [
    "CheckpointReader",
    "Coordinator",
    "LooperThread",
    "NewCheckpointReader",
    "QueueRunner",
    "Saver",
    "SaverDef",
    "add_queue_runner",
    "checkpoint_exists",
    "export_meta_graph",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "get_global_step",
    "global_step",
    "import_meta_graph",
    "init_from_checkpoint",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "remove_checkpoint",
    "start_queue_runners",
    "update_checkpoint_state",
]
