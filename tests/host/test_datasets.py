"""Input pipelines against what TensorFlow 1.15 gave of the same graphs (data/make_datasets.py writes them)."""

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

import mgjax
from mgjax import errors
from mgjax.proto import meta_graph_pb2

RECORDED = json.loads((Path(__file__).parent / "data" / "datasets.json").read_text())
PLACE = "FOLDER"


def graph_of(case, folder):
    """The case's graph, with the paths of its files, which are written there."""
    meta_graph = meta_graph_pb2.MetaGraphDef.FromString(zlib.decompress(base64.b64decode(case["graph"])))
    for name, content in case["files"].items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(base64.b64decode(content))
    for node in meta_graph.graph_def.node:
        if node.op == "Const":
            texts = node.attr["value"].tensor.string_val
            texts[:] = [text.replace(PLACE.encode(), str(folder).encode()) for text in texts]
    return meta_graph


def described(component, folder):
    """A component as the recorded ones are written."""
    array = np.asarray(component)
    if array.dtype == object:
        texts = [text.replace(str(folder).encode(), PLACE.encode()) for text in array.ravel().tolist()]
        return ["string", list(array.shape), [base64.b64encode(text).decode() for text in texts]]
    values = array.ravel()
    return [
        array.dtype.name,
        list(array.shape),
        (values.view(np.float32) if values.dtype.kind == "c" else values).tolist(),
    ]


@pytest.mark.parametrize("name", RECORDED)
def test_pipelines_give_what_tensorflow_gave(name, tmp_path):
    case = RECORDED[name]
    fn, _ = mgjax.import_meta_graph(graph_of(case, tmp_path), allow_files=[tmp_path])
    state, _ = fn(fn.empty_state(), {}, fn.operations[case["initializer"]])
    found = []
    for wanted in case["elements"]:
        try:
            state, element = fn(state, {}, case["fetches"])
            found.append([described(component, tmp_path) for component in element])
        except errors.OpError as error:
            found.append(type(error).__name__)
        assert found[-1] == wanted, (len(found), found[-1], wanted)
