"""`tf.train`: savers, checkpoints, coordination."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from mgjax.compat.v1.errors import UnsupportedError
from mgjax.compat.v1.framework import GraphKeys, get_default_graph
from mgjax.compat.v1.importer import export_meta_graph, import_meta_graph
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


class Coordinator:
    """Lets threads agree to stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._error: BaseException | None = None

    def should_stop(self) -> bool:
        return self._stop.is_set()

    def request_stop(self, ex: Any = None) -> None:
        """Asks all threads to stop; an exception that is given is raised by `join`."""
        if ex is not None and self._error is None and not self._stop.is_set():
            self._error = ex if isinstance(ex, BaseException) else ex[1]
        self._stop.set()

    def join(self, threads: Sequence[Any] | None = None, stop_grace_period_secs: float = 120) -> None:
        """Waits until the threads have ended."""
        for thread in threads or ():
            thread.join(stop_grace_period_secs)
        if self._error is not None:
            raise self._error


def start_queue_runners(sess: Any = None, coord: Any = None, daemon: bool = True, start: bool = True) -> list[Any]:
    """Starts the graph's queue runners: there are none, or it is refused."""
    graph = sess.graph if sess is not None else get_default_graph()
    runners = graph.get_collection(GraphKeys.QUEUE_RUNNERS)
    if runners:
        raise UnsupportedError(
            None,
            None,
            f"the graph's {len(runners)} queue runners cannot be started: queues are not supported; "
            "feed the tensors that the queues would give",
        )
    return []


__all__ = [
    "CheckpointReader",
    "Coordinator",
    "NewCheckpointReader",
    "Saver",
    "checkpoint_exists",
    "export_meta_graph",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "get_global_step",
    "global_step",
    "import_meta_graph",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "remove_checkpoint",
    "start_queue_runners",
    "update_checkpoint_state",
]
