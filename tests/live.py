"""A live TensorFlow 2.x that writes the graphs of tests, as TF1 scripts do."""

import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with warnings.catch_warnings():
    # TensorFlow's own modules use what newer NumPy and protobuf deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    tf = pytest.importorskip("tensorflow.compat.v1")


def meta_graph_of(build: Callable[[], Any], **export: Any) -> Any:
    """TensorFlow's MetaGraphDef message of the graph that `build` makes; a Saver belongs to it where it has variables."""
    with tf.Graph().as_default() as graph:
        build()
        saver = tf.train.Saver().saver_def if tf.global_variables() else None
        graph_def = graph.as_graph_def(add_shapes=True)
        return tf.train.export_meta_graph(graph_def=graph_def, graph=graph, saver_def=saver, **export)


def session_of(graph: Any = None) -> Any:
    """A session for graphs that name devices which are not there."""
    return tf.Session(graph=graph, config=tf.ConfigProto(allow_soft_placement=True))


def saved_by(build: Callable[[], Any], prefix: Any, *, fetches: Any = (), feeds: Any = None, **saver: Any) -> Any:
    """Builds a graph, initializes it, saves it at `prefix`, and returns what the fetches gave after that."""
    with tf.Graph().as_default(), session_of() as session:
        build()
        session.run(tf.global_variables_initializer())
        tf.train.Saver(**saver).save(session, str(prefix))
        return session.run(fetches, feeds)
