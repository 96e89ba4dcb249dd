"""`tf.train.QueueRunner`: threads that fill a graph's queues."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from mgjax.compat.v1 import errors
from mgjax.compat.v1.coordination import Coordinator
from mgjax.compat.v1.framework import GraphKeys, get_default_graph
from mgjax.compat.v1.session import Session, get_default_session
from mgjax.metagraph import split_tensor_name
from mgjax.proto import queue_runner_pb2

_log = logging.getLogger(__name__)


class QueueRunner:
    """The operations that put elements into a queue, each run again and again by a thread of its own.

    Args:
        queue: the queue's handle.
        enqueue_ops: operations; one thread each.
        close_op: is run once the input has come to its end.
        cancel_op: is run when a coordinator asks to stop.
        queue_closed_exception_types: errors that mean that the input has come to its end: `OutOfRangeError` if None.
        queue_runner_def: a QueueRunnerDef that says all this.
        import_scope: the scope in which that one's names stand.
    """

    def __init__(
        self,
        queue: Any = None,
        enqueue_ops: Sequence[Any] | None = None,
        close_op: Any = None,
        cancel_op: Any = None,
        queue_closed_exception_types: Any = None,
        queue_runner_def: Any = None,
        import_scope: str | None = None,
    ):
        if queue_runner_def is not None:
            if queue is not None or enqueue_ops is not None:
                raise ValueError("queue_runner_def and queue are mutually exclusive.")
            self._read(queue_runner_def, import_scope)
        else:
            if queue is None or not enqueue_ops:
                raise ValueError("Must provide queue and enqueue_ops.")
            self.queue = queue
            self.enqueue_ops = list(enqueue_ops)
            self.close_op = close_op
            self.cancel_op = cancel_op
            self.queue_closed_exception_types = tuple(queue_closed_exception_types or (errors.OutOfRangeError,))
        self.exceptions_raised: list[BaseException] = []
        self._lock = threading.Lock()
        self._running: weakref.WeakKeyDictionary[Session, int] = weakref.WeakKeyDictionary()

    def _read(self, message: Any, import_scope: str | None) -> None:
        graph = get_default_graph()

        def element(name: str) -> Any:
            return graph.as_graph_element(f"{import_scope}/{name}" if import_scope else name)

        self.queue = element(message.queue_name)
        self.enqueue_ops = [element(name) for name in message.enqueue_op_name]
        self.close_op = element(message.close_op_name) if message.close_op_name else None
        self.cancel_op = element(message.cancel_op_name) if message.cancel_op_name else None
        codes = message.queue_closed_exception_types or [errors.OUT_OF_RANGE]
        self.queue_closed_exception_types = tuple(errors.exception_type_from_error_code(code) for code in codes)

    @property
    def name(self) -> str:
        """The name of the queue's node."""
        queue = getattr(self.queue, "queue_ref", self.queue)
        return split_tensor_name(queue.name)[0]

    @staticmethod
    def from_proto(queue_runner_def: Any, import_scope: str | None = None) -> QueueRunner:
        """The runner of a QueueRunnerDef whose names stand in a scope of the default graph."""
        return QueueRunner(queue_runner_def=queue_runner_def, import_scope=import_scope)

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Its QueueRunnerDef, without the scope `export_scope`; None where it does not stand in that scope."""
        prefix = f"{export_scope}/" if export_scope else ""
        if not self.name.startswith(prefix):
            return None

        def name(element: Any) -> str:
            return "" if element is None else element.name.removeprefix(prefix)

        message = queue_runner_pb2.QueueRunnerDef(
            queue_name=name(getattr(self.queue, "queue_ref", self.queue)),
            enqueue_op_name=[name(op) for op in self.enqueue_ops],
            close_op_name=name(self.close_op),
            cancel_op_name=name(self.cancel_op),
        )
        message.queue_closed_exception_types.extend(
            errors.error_code_from_exception_type(kind) for kind in self.queue_closed_exception_types
        )
        return message

    def create_threads(
        self, sess: Session, coord: Coordinator | None = None, daemon: bool = False, start: bool = False
    ) -> list[threading.Thread]:
        """The threads for a session; none if it has them already.

        With a coordinator there is one more, which closes the queue when a stop is asked for.
        """
        with self._lock:
            if self._running.get(sess, 0) > 0:
                return []
            self._running[sess] = len(self.enqueue_ops)
            self.exceptions_raised = []
        threads = [
            threading.Thread(target=self._run, args=(sess, op, coord), name=f"QueueRunnerThread-{self.name}-{op.name}")
            for op in self.enqueue_ops
        ]
        if coord is not None:
            name = f"QueueRunnerThread-{self.name}-close_on_stop"
            threads.append(threading.Thread(target=self._close_on_stop, args=(sess, coord), name=name))
        for thread in threads:
            if coord is not None:
                coord.register_thread(thread)
            thread.daemon = daemon
            if start:
                thread.start()
        return threads

    def _run(self, sess: Session, enqueue_op: Any, coord: Coordinator | None) -> None:
        is_counted = True
        try:
            while coord is None or not coord.should_stop():
                try:
                    sess.run(enqueue_op)
                except self.queue_closed_exception_types:
                    with self._lock:
                        self._running[sess] -= 1
                        is_counted = False
                        is_last = self._running[sess] == 0
                    if is_last:
                        self._run_quietly(sess, self.close_op)
                    return
        except Exception as error:  # whatever it is, it must not be lost with its thread
            if coord is None:
                _log.error("Exception in QueueRunner: %s", error)
                with self._lock:
                    self.exceptions_raised.append(error)
                raise
            coord.request_stop(error)
        finally:
            if is_counted:
                with self._lock:
                    self._running[sess] -= 1

    def _close_on_stop(self, sess: Session, coord: Coordinator) -> None:
        coord.wait_for_stop()
        self._run_quietly(sess, self.cancel_op)

    @staticmethod
    def _run_quietly(sess: Session, op: Any) -> None:
        """Runs what ends the work: that the queue was closed already, or the session, is no matter."""
        if op is None:
            return
        try:
            sess.run(op)
        except (errors.OpError, RuntimeError) as error:
            _log.info("Ignored exception: %s", error)


def add_queue_runner(qr: QueueRunner, collection: str = GraphKeys.QUEUE_RUNNERS) -> None:
    """Adds a runner to a collection of the default graph."""
    get_default_graph().add_to_collection(collection, qr)


def start_queue_runners(
    sess: Session | None = None,
    coord: Coordinator | None = None,
    daemon: bool = True,
    start: bool = True,
    collection: str = GraphKeys.QUEUE_RUNNERS,
) -> list[threading.Thread]:
    """Starts the threads of all of the graph's queue runners, in a session, the default one if None."""
    if sess is None:
        sess = get_default_session()
        if sess is None:
            raise ValueError(
                "Cannot start queue runners: No default session is registered. Use `with sess.as_default()` or pass an "
                "explicit session to tf.start_queue_runners(sess=sess)"
            )
    if not isinstance(sess, Session):
        raise TypeError(f"sess must be a `tf.Session` object. Given class: {type(sess)}")
    with sess.graph.as_default():
        runners = [qr for qr in sess.graph.get_collection(collection) if isinstance(qr, QueueRunner)]
        return [thread for qr in runners for thread in qr.create_threads(sess, coord=coord, daemon=daemon, start=start)]
