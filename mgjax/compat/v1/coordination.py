"""`tf.train.Coordinator`: threads that agree to stop, and what the first one to fail has raised."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mgjax.compat.v1.errors import OutOfRangeError


class Coordinator:
    """Lets threads ask each other to stop, and hands what one of them raised to whoever joins them.

    Args:
        clean_stop_exception_types: errors that only mean that the work is done: `OutOfRangeError` if None.
    """

    def __init__(self, clean_stop_exception_types: Any = None):
        if clean_stop_exception_types is None:
            clean_stop_exception_types = (OutOfRangeError,)
        self._clean = tuple(clean_stop_exception_types)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._raised: BaseException | None = None
        self._registered: dict[threading.Thread, None] = {}
        self._joined = False

    @property
    def joined(self) -> bool:
        """Whether `join` has ended."""
        return self._joined

    def should_stop(self) -> bool:
        return self._stop.is_set()

    def request_stop(self, ex: Any = None) -> None:
        """Asks all threads to stop.

        Args:
            ex: why, if something failed: an exception, or `sys.exc_info()`. The first one given is raised by `join`,
                unless it only means that the work is done.
        """
        error = ex[1] if isinstance(ex, tuple) else ex
        with self._lock:
            if error is not None and isinstance(error, self._clean):
                error = None
            if self._joined:
                if error is not None:
                    raise error
                return
            if not self._stop.is_set():
                self._raised = error
                self._stop.set()

    def clear_stop(self) -> None:
        """Forgets that a stop was asked for."""
        with self._lock:
            self._joined = False
            self._raised = None
            self._stop.clear()

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Waits until a stop is asked for, at most `timeout` seconds; whether it was."""
        return self._stop.wait(timeout)

    @contextlib.contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """What is raised inside asks all threads to stop, and is kept for `join`."""
        try:
            yield
        except BaseException:
            self.request_stop(sys.exc_info())

    def register_thread(self, thread: threading.Thread) -> None:
        """Adds a thread to those that `join` waits for."""
        with self._lock:
            self._registered[thread] = None

    def join(
        self,
        threads: Sequence[threading.Thread] | None = None,
        stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:
        """Waits until the threads have ended, and raises what was given to `request_stop`.

        Args:
            threads: besides those that were registered.
            stop_grace_period_secs: how long threads may go on after a stop was asked for.
            ignore_live_threads: whether threads that still run then are no error.
        """
        with self._lock:
            waited = list(dict.fromkeys([*self._registered, *(threads or ())]))
        while any(thread.is_alive() for thread in waited) and not self.wait_for_stop(0.1):
            pass
        deadline = time.monotonic() + stop_grace_period_secs
        while any(thread.is_alive() for thread in waited) and time.monotonic() < deadline:
            for thread in waited:
                thread.join(min(0.1, max(0.0, deadline - time.monotonic())))
        alive = [thread.name for thread in waited if thread.is_alive()]
        with self._lock:
            self._joined = True
            self._registered.clear()
            if self._raised is not None:
                raise self._raised
        if alive and not ignore_live_threads:
            raise RuntimeError(f"Coordinator stopped with threads still running: {' '.join(alive)}")

    def raise_requested_exception(self) -> None:
        """Raises what was given to `request_stop`, if anything was."""
        with self._lock:
            if self._raised is not None:
                raise self._raised


class LooperThread(threading.Thread):
    """A thread that calls something again and again until its coordinator asks to stop.

    Args:
        coord: the coordinator, which is told of what the thread raises.
        timer_interval_secs: how long it waits between calls; None for not at all.
        target, args, kwargs: what is called; `run_loop` if `target` is None.
    """

    def __init__(
        self,
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ):
        if not isinstance(coord, Coordinator):
            raise ValueError(f"'coord' argument must be a Coordinator: {coord}")
        super().__init__(daemon=True)
        self._coord = coord
        self._interval = timer_interval_secs
        self._target_of_loop = target, tuple(args or ()), dict(kwargs or {})
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any],
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> LooperThread:
        """A thread that is started at once."""
        looper = LooperThread(coord, timer_interval_secs, target=target, args=args, kwargs=kwargs)
        looper.start()
        return looper

    def run(self) -> None:
        with self._coord.stop_on_exception():
            self.start_loop()
            following = time.monotonic()
            while not self._coord.wait_for_stop(max(0.0, following - time.monotonic())):
                following += self._interval or 0.0
                self.run_loop()
            self.stop_loop()

    def start_loop(self) -> None:
        """Is called when the thread starts."""

    def stop_loop(self) -> None:
        """Is called when the thread stops."""

    def run_loop(self) -> None:
        """Is called again and again."""
        target, args, kwargs = self._target_of_loop
        if target is not None:
            target(*args, **kwargs)
