"""`tf.train`: savers, checkpoints, coordination."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

from mgjax import checkpoint
from mgjax.compat.v1.framework import GraphKeys, get_default_graph
from mgjax.compat.v1.importer import export_meta_graph, import_meta_graph
from mgjax.compat.v1.saver import Saver
from mgjax.errors import UnsupportedError


def latest_checkpoint(checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None) -> str | None:
    """The prefix of the newest checkpoint that a folder's `checkpoint` file names, or None."""
    return checkpoint.latest_checkpoint(os.fspath(checkpoint_dir), latest_filename or "checkpoint")


def get_global_step(graph: Any = None) -> Any:
    """The variable or tensor of the collection `global_step`, or of the name `global_step`; None if there is none."""
    graph = graph or get_default_graph()
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if found:
        return found[0]
    return graph.as_graph_element("global_step:0") if "global_step" in graph.index.nodes else None


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
            f"the graph's {len(runners)} queue runners cannot be started: queues are not supported; "
            "feed the tensors that the queues would give"
        )
    return []


__all__ = [
    "Coordinator",
    "Saver",
    "export_meta_graph",
    "get_global_step",
    "import_meta_graph",
    "latest_checkpoint",
    "start_queue_runners",
]
