"""`Session`: runs a graph that may still grow, and holds the state between runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mgjax.compat.v1.framework import Graph, Operation, Tensor, get_default_graph
from mgjax.errors import FeedError, InvalidArgumentError
from mgjax.function import State, flatten, rebuild
from mgjax.shapes import describe, is_compatible

_local = threading.local()


class Session:
    """Runs operations and evaluates tensors of a graph.

    Args:
        target: must be empty; there are no remote sessions.
        graph: the graph; the default one at construction if None. It may grow while the session lives.
        config: ignored.
        seed: for random ops that have no seed of their own; drawn from the operating system if None.

    Attributes:
        state: the variables and the counters of random ops, as `mgjax` functions take them.
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None, *, seed: int | None = None):
        if target:
            raise NotImplementedError(f"a session on another machine ({target!r}) is not supported")
        self.graph = graph or get_default_graph()
        self.state = State({}, None)
        self._seed = seed
        self._closed = False
        self._lock = threading.RLock()
        self._contexts: list[contextlib.ExitStack] = []

    # ---- running

    def run(
        self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """The values of the fetches, in their structure; None for an operation.

        Args:
            fetches: a tensor, operation, variable or name, or a structure of lists, tuples and dicts of such.
            feed_dict: from tensor (or its name) to value.
        """
        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        if not self.graph.version:
            raise RuntimeError("The Session graph is empty.  Add operations to the graph before calling run().")
        leaves = [self._fetch(leaf) for leaf in flatten(fetches)]
        feeds = self._feeds(feed_dict or {})
        with self._lock:
            values = self._run(leaves, feeds)
        return rebuild(fetches, values)

    def _run(self, leaves: Sequence[Any], feeds: dict[str, Any]) -> list[Any]:
        function = self.graph.function
        self._extend_generators()
        wanted = [leaf.name if isinstance(leaf, Tensor) else function.operations[leaf.name] for leaf in leaves]
        try:
            state, values = function(self.state, feeds, wanted)
        except FeedError as error:
            raise InvalidArgumentError(f"You must feed a value for placeholder tensor: {error}") from error
        self.state = state
        return [_as_user_sees(value) for value in values]

    def _extend_generators(self) -> None:
        """Gives random ops that came since the last run their first counters."""
        rows = self.graph.function.generators(self._seed)
        present = self.state.generators
        if rows is not None and (present is None or len(present) < len(rows)):
            if present is not None:
                rows = np.concatenate([np.asarray(present), rows[len(present) :]])
            self.state = State(self.state.arrays, rows)

    def _fetch(self, element: Any) -> Any:
        if element is None:
            raise TypeError(f"Fetch argument {element!r} has invalid type {type(element)!r}")
        try:
            return self.graph.as_graph_element(element)
        except TypeError as error:
            raise TypeError(
                f"Fetch argument {element!r} has invalid type {type(element)!r}, must be a string or Tensor. ({error})"
            ) from error
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"Fetch argument {element!r} cannot be interpreted as a Tensor. ({_text(error)})"
            ) from error

    def _feeds(self, feed_dict: Mapping[Any, Any]) -> dict[str, Any]:
        feeds: dict[str, Any] = {}
        for key, value in feed_dict.items():
            try:
                tensor = self.graph.as_graph_element(key, allow_operation=False)
            except (ValueError, KeyError, TypeError) as error:
                raise TypeError(f"Cannot interpret feed_dict key as Tensor: {_text(error)}") from error
            feeds[tensor.name] = _feed_value(tensor, value)
        return feeds

    def make_callable(self, fetches: Any, feed_list: Sequence[Any] | None = None, accept_options: bool = False) -> Any:
        """A function of the values for `feed_list`, in that order."""
        feed_list = list(feed_list or ())
        return lambda *values: self.run(fetches, dict(zip(feed_list, values, strict=True)))

    # ---- life

    def close(self) -> None:
        self._closed = True

    def as_default(self) -> contextlib.AbstractContextManager[Session]:
        """Makes it the default session of this thread."""
        return _default(self)

    def __enter__(self) -> Session:
        stack = contextlib.ExitStack()
        stack.enter_context(self.graph.as_default())
        stack.enter_context(_default(self))
        self._contexts.append(stack)
        return self

    def __exit__(self, *error: Any) -> None:
        self._contexts.pop().__exit__(*error)
        self.close()

    @property
    def graph_def(self) -> Any:
        return self.graph.as_graph_def()


class InteractiveSession(Session):
    """A session that is the default one from its construction to its `close`."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None, *, seed: int | None = None):
        super().__init__(target, graph, config, seed=seed)
        _sessions().append(self)

    def close(self) -> None:
        super().close()
        if self in _sessions():
            _sessions().remove(self)


def _sessions() -> list[Session]:
    if not hasattr(_local, "sessions"):
        _local.sessions = []
    return _local.sessions


@contextlib.contextmanager
def _default(session: Session) -> Iterator[Session]:
    _sessions().append(session)
    try:
        yield session
    finally:
        _sessions().pop()


def get_default_session() -> Session | None:
    """The innermost default session of this thread, or None."""
    return _sessions()[-1] if _sessions() else None


def _text(error: BaseException) -> str:
    return str(error.args[0]) if error.args else str(error)


def _as_user_sees(value: Any) -> Any:
    """A result as `Session.run` gives it: NumPy arrays and scalars, `bytes` for a scalar string, None for an operation."""
    if value is None:
        return None
    array = np.asarray(value)
    return array[()] if array.ndim == 0 else array


def _feed_value(tensor: Tensor, value: Any) -> Any:
    """The value converted as TensorFlow 1 converts what is fed: `numpy.asarray(value, dtype)`, whatever is lost."""
    if isinstance(value, (Tensor, Operation)):
        raise TypeError(
            "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include Python scalars, strings, "
            "lists, numpy ndarrays, or TensorHandles."
        )
    dtype = tensor.dtype
    if dtype is None:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and not _survives(value, dtype.numpy):
        raise TypeError(
            f"Type of feed value {value} with type {type(value)} is not compatible with Tensor type {dtype.numpy.type}. "
            "Try explicitly setting the type of the feed tensor to a larger type (e.g. int64)."
        )
    if dtype.numpy.kind == "O":
        array = np.asarray(value)
    else:
        with np.errstate(all="ignore"):
            array = np.asarray(value).astype(dtype.numpy) if hasattr(value, "dtype") else np.asarray(value, dtype.numpy)
    shape = tensor.shape.as_tuple()
    if not is_compatible(shape, array.shape):
        raise ValueError(
            f"Cannot feed value of shape {array.shape} for Tensor {tensor.name!r}, which has shape '{tensor.shape}'"
            f" ({describe(shape)})"
        )
    return array


def _survives(value: int, dtype: np.dtype) -> bool:
    if dtype.kind == "O":
        return False
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min <= value <= info.max
    return True
