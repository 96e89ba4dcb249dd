"""One graph in two sessions, TensorFlow's and the function's: state goes from run to run in both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import mgjax
import mgjax.compat.v1 as mg
from tests.live import meta_graph_of, session_of, tf

Fetches = Any


def check_runs(
    build: Callable[[], Any], runs: list[tuple[Fetches, Mapping[str, Any]]], **options: Any
) -> mgjax.function.State:
    """Compares run after run of the graph that `build` makes: fetched names, in any structure, and feeds by name.

    Where TensorFlow raises, an error of the same class is wanted; the state is then what it was before the run.
    """
    meta_graph = meta_graph_of(build)
    fn, _ = mgjax.import_meta_graph(meta_graph, **options)
    state = fn.empty_state(seed=0)
    with tf.Graph().as_default() as graph, session_of() as session:
        tf.train.import_meta_graph(meta_graph)
        for fetches, feeds in runs:
            try:
                expected = session.run(_elements(graph, fetches), dict(feeds))
            except tf.errors.OpError as error:
                with pytest.raises(getattr(mgjax.errors, type(error).__name__)):
                    fn(state, feeds, fetches)
                continue
            state, found = fn(state, feeds, fetches)
            _compare(expected, found)
    return state


def check_session(build: Callable[[], Any], runs: list[tuple[Fetches, Mapping[str, Any]]], **options: Any) -> None:
    """The same in a session of the compat layer; error messages are compared too as far as they are not the node's."""
    meta_graph = meta_graph_of(build)
    with tf.Graph().as_default() as graph, session_of() as session, mg.Graph().as_default(), mg.Session() as ours:
        tf.train.import_meta_graph(meta_graph)
        mg.train.import_meta_graph(meta_graph, **options)
        for fetches, feeds in runs:
            try:
                expected = session.run(_elements(graph, fetches), dict(feeds))
            except tf.errors.OpError as error:
                with pytest.raises(getattr(mg.errors, type(error).__name__)):
                    ours.run(_elements(ours.graph, fetches), feeds)
                continue
            _compare(expected, ours.run(_elements(ours.graph, fetches), feeds))


def _elements(graph: Any, fetches: Fetches) -> Any:
    if isinstance(fetches, (list, tuple)):
        return [_elements(graph, fetch) for fetch in fetches]
    return graph.as_graph_element(fetches)


def _compare(expected: Any, found: Any) -> None:
    if isinstance(expected, (list, tuple)):
        assert len(expected) == len(found)
        for pair in zip(expected, found, strict=True):
            _compare(*pair)
    elif expected is None:
        assert found is None
    elif isinstance(expected, bytes):
        assert found == expected
    else:
        expected, found = np.asarray(expected), np.asarray(found)
        assert (expected.dtype, expected.shape) == (found.dtype, found.shape)
        np.testing.assert_array_equal(expected, found)
