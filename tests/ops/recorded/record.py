"""Records what TensorFlow 1.15 computes for ops that newer TensorFlows lack, or compute otherwise.

    python3.7 tests/ops/recorded/record.py          # with TensorFlow 1.15; writes recorded.npz beside this file

`cases.py` says which. The graphs are written node by node, as old files have them, some with a producer so old that no op
is refused as removed. A group is one graph: `<group>/graph` has its GraphDef, `<group>/in/<placeholder>` what is fed and
`<group>/out/<node>:<i>` what came out. Strings are kept as their bytes end to end (`.../bytes`) and lengths (`.../lengths`).
"""

import glob
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, op_def_pb2
from tensorflow.python import pywrap_tensorflow

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import cases  # noqa: E402


def load_contrib():
    """Loads the op libraries of tf.contrib that are files of their own."""
    root = os.path.join(os.path.dirname(tf.__file__), "..", "tensorflow_core", "contrib")
    for path in sorted(glob.glob(os.path.join(root, "**", "*.so"), recursive=True)):
        try:
            tf.load_op_library(path)
        except (tf.errors.OpError, AttributeError):
            print("cannot load", os.path.basename(path))


def registered():
    ops = op_def_pb2.OpList()
    ops.ParseFromString(pywrap_tensorflow.TF_GetBuffer(pywrap_tensorflow.TF_GetAllOpList()))
    return {op.name: op for op in ops.op}


def as_array(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    array = np.asarray(value)
    if array.dtype.kind in "SU":
        return np.array(value, object)
    return array.astype({"int64": np.int32, "float64": np.float32}.get(array.dtype.name, array.dtype))


def set_attr(attr, kind, value):
    """Sets an AttrValue of the type that the op definition names."""
    fields = {"string": "s", "int": "i", "float": "f", "bool": "b", "type": "type"}
    if kind.startswith("list("):
        attr.list.SetInParent()
        field = fields[kind[5:-1]]
        values = [tf.as_dtype(v).as_datatype_enum if field == "type" else v for v in value]
        getattr(attr.list, field).extend(v.encode() if isinstance(v, str) else v for v in values)
    elif kind == "shape":
        attr.shape.CopyFrom(tf.TensorShape(value).as_proto())
    elif kind == "tensor":
        attr.tensor.CopyFrom(tf.make_tensor_proto(value))
    elif kind == "type":
        attr.type = tf.as_dtype(value).as_datatype_enum
    else:
        setattr(attr, fields[kind], value.encode() if isinstance(value, str) else value)


def add_case(graph, op, name, inputs, attrs, feeds, options):
    """Adds the node, with a placeholder for each array; an input given as a string is an edge in the graph."""
    node = graph.node.add(op=op.name, name=name)
    known = {a.name: a.type for a in op.attr}
    types = {}
    for arg in op.input_arg:
        given = inputs[arg.name]
        is_list = bool(arg.number_attr or arg.type_list_attr)
        found = []
        for i, value in enumerate(given if is_list else [given]):
            if isinstance(value, str) and value.startswith("@"):
                node.input.append(value[1:])
                continue
            array = as_array(value)
            dtype = tf.as_dtype(options.get(arg.name) or (tf.string if array.dtype == object else array.dtype))
            holder = f"{name}/{arg.name}_{i}" if is_list else f"{name}/{arg.name}"
            placeholder = graph.node.add(op="Placeholder", name=holder)
            placeholder.attr["dtype"].type = dtype.as_datatype_enum
            placeholder.attr["shape"].shape.unknown_rank = True
            feeds[holder] = array
            node.input.append(holder)
            found.append(dtype)
        if arg.number_attr:
            types[arg.number_attr] = len(given)
        if arg.type_list_attr:
            types[arg.type_list_attr] = found
        elif arg.type_attr and found:
            types[arg.type_attr] = found[0]
    types.update(attrs)
    for attr in op.attr:
        if attr.name in types:
            set_attr(node.attr[attr.name], known[attr.name], types[attr.name])
        elif attr.HasField("default_value"):
            node.attr[attr.name].CopyFrom(attr.default_value)
    return node


def count_outputs(op, node):
    """The number of tensors that the node makes."""
    total = 0
    for arg in op.output_arg:
        if arg.number_attr:
            total += node.attr[arg.number_attr].i
        elif arg.type_list_attr:
            total += len(node.attr[arg.type_list_attr].list.type)
        else:
            total += 1
    return total


def record(group, ops):
    graph = graph_pb2.GraphDef()
    graph.versions.producer = cases.PRODUCERS.get(group, 134)
    feeds, fetches = {}, []
    for number, case in enumerate(cases.GROUPS[group]):
        name, inputs, attrs = case[:3]
        options = dict(case[3]) if len(case) > 3 else {}
        label = options.pop("name", f"{name.lstrip('_')}_{number}")
        skipped = options.pop("skip", ())
        skipped = range(100) if skipped == "all" else skipped
        node = add_case(graph, ops[name], label, inputs, attrs, feeds, options)
        fetches += [f"{label}:{i}" for i in range(count_outputs(ops[name], node)) if i not in skipped]
    config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    config.graph_options.optimizer_options.opt_level = -1
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default() as tf_graph:
        tf.import_graph_def(graph, name="")
        with tf.Session(graph=tf_graph, config=config) as session:
            for fetch in fetches:
                try:
                    session.run(fetch, {k + ":0": v for k, v in feeds.items()})
                except tf.errors.OpError as error:
                    print(fetch, "of group", group, error.message.split("\n")[0])
                    break
        # Afresh, since random ops count their runs.
        with tf.Session(graph=tf_graph, config=config) as session:
            results = session.run({fetch: fetch for fetch in fetches}, {k + ":0": v for k, v in feeds.items()})
    arrays = {group + "/graph": np.frombuffer(graph.SerializeToString(), np.uint8)}
    for kind, items in (("in", feeds), ("out", results)):
        for key, value in items.items():
            put(arrays, f"{group}/{kind}/{key}", value)
    return arrays


def put(arrays, key, value):
    value = np.array(value, object) if isinstance(value, bytes) else np.asarray(value)
    if value.dtype.names:
        value = value.view(value.dtype[0])
    if value.dtype != object:
        arrays[key] = value
        return
    texts = [x if isinstance(x, bytes) else x.encode() for x in value.ravel()]
    arrays[key + "/bytes"] = np.frombuffer(b"".join(texts), np.uint8)
    arrays[key + "/lengths"] = np.array([len(x) for x in texts], np.int32).reshape(value.shape)


if __name__ == "__main__":
    load_contrib()
    ops = registered()
    wanted = sys.argv[1:] or list(cases.GROUPS)
    path = os.path.join(HERE, "recorded.npz")
    arrays = dict(np.load(path)) if os.path.exists(path) else {}
    arrays = {k: v for k, v in arrays.items() if k.split("/")[0] in cases.GROUPS and k.split("/")[0] not in wanted}
    for group in wanted:
        arrays.update(record(group, ops))
        print("recorded", group)
    np.savez_compressed(path, **arrays)
