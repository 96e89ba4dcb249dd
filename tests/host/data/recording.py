"""Records runs of sessions of TensorFlow 1.15: for the scripts in this folder (Python 3.7).

A file is gzipped JSON, {"cases": {name: case}}. A case has the `graph`, a serialized MetaGraphDef in base64, and `runs`: of
each the fetches, the feeds, and either the `results` or the class of the `error`. An array is {dtype, shape, data}, the data its
bytes in base64, or for strings a list of such. `files` of a case are files by their names, in base64.
"""

import base64
import gzip
import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow.compat.v1 as tf

tf.logging.set_verbosity(tf.logging.ERROR)


def text(data):
    return base64.b64encode(data).decode()


def encoded(array):
    # NumPy's own strings lose the zero bytes at their ends.
    array = np.array(array, object) if isinstance(array, bytes) else np.asarray(array)
    if array.dtype.kind in "OSU":
        items = [item if isinstance(item, bytes) else item.encode() for item in array.ravel().tolist()]
        return {"dtype": "string", "shape": list(array.shape), "data": [text(item) for item in items]}
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": text(array.tobytes())}


def threads():
    """One thread, so that what TensorFlow adds up in parallel has an order."""
    return tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)


def recorded_runs(session, runs):
    """What runs give, one after another: pairs of fetches, by name, and feeds. A generator is sent the results."""
    graph = session.graph
    rows = []
    runs = (run for run in runs) if isinstance(runs, list) else runs
    results = None
    while True:
        try:
            fetches, feeds = runs.send(results)
        except StopIteration:
            return rows
        fetches = [fetches] if isinstance(fetches, str) else list(fetches)
        row = {"fetches": fetches, "feeds": {name: encoded(value) for name, value in feeds.items()}}
        try:
            results = session.run([graph.as_graph_element(name) for name in fetches], feeds)
            row["results"] = [None if result is None else encoded(result) for result in results]
        except tf.errors.OpError as error:
            results = None
            row["error"] = type(error).__name__
        rows.append(row)


def record(build, runs):
    """The case of a graph that `build` makes, run by run in a fresh session."""
    with tf.Graph().as_default() as graph:
        build()
        with tf.Session(config=threads()) as session:
            rows = recorded_runs(session, runs)
        return {"graph": text(tf.train.export_meta_graph(graph=graph).SerializeToString()), "runs": rows}


def files_of(prefix):
    """The files that a Saver left behind."""
    folder, start = os.path.split(prefix)
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith(start + "."):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = text(file.read())
    return found


def write(name, cases):
    with open(name, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(json.dumps({"cases": cases}).encode())
    print(name, os.path.getsize(name), "bytes,", len(cases), "cases")
