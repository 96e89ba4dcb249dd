"""Runs a graph in a session of TensorFlow: the live one, or 1.15 in a process of its own (which is why Python 3.7 reads this).

Arrays are (number of the DType, shape, bytes), or a list of bytes in the third place for strings. As a script,
`python session.py` answers requests on its standard input: pickles of (GraphDef, steps), with ("values", ...) or
("error", name of its class, message).
"""

import os
import pickle
import sys

import numpy as np


def decoded(tf, packed):
    number, shape, content = packed
    if isinstance(content, list):
        array = np.empty(len(content), object)
        array[:] = content
        return array.reshape(shape)
    return np.frombuffer(content, tf.as_dtype(number).as_numpy_dtype).reshape(shape)


def encoded(tf, dtype, value):
    if dtype == tf.string:
        array = np.array(value, object)
        return dtype.as_datatype_enum, array.shape, list(array.ravel())
    array = np.asarray(value)
    return dtype.as_datatype_enum, array.shape, array.tobytes()


def run(tf, graph, steps):
    """For each step (feeds by name, fetches) what was fetched; None for an operation."""
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.optimizer_options.opt_level = -1
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    results = []
    with tf.Graph().as_default() as built, tf.device("/cpu:0"):
        tf.import_graph_def(tf.GraphDef.FromString(graph), name="")
        with tf.Session(graph=built, config=config) as session:
            for feeds, names in steps:
                fetches = [built.as_graph_element(name) for name in names]
                values = session.run(fetches, {name: decoded(tf, value) for name, value in feeds.items()})
                pairs = zip(fetches, values)  # noqa: B905, which Python 3.7 lacks
                results.append(
                    [None if value is None else encoded(tf, fetch.dtype.base_dtype, value) for fetch, value in pairs]
                )
    return results


def serve():
    sys.path.pop(0)  # this folder has a `tensorflow` too
    # What TensorFlow itself prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow.compat.v1 as tf

    while True:
        try:
            graph, steps = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = ("values", run(tf, graph, steps))
        except (tf.errors.OpError, ValueError, TypeError) as error:
            answer = ("error", type(error).__name__, str(error))
        pickle.dump(answer, answers, 2)
        answers.flush()


if __name__ == "__main__":
    serve()
