"""Makes `mgjax/opdefs/tf1.txt` and `tf2.txt` from the op registries of installed TensorFlows.

    cd mgjax/opdefs
    python3.7 ../../protos/make_opdefs.py tf1.txt          # with TensorFlow 1.15
    python3 ../../protos/make_opdefs.py tf2.txt tf1.txt    # with TensorFlow 2

The second form leaves out the ops whose signature is the same in 1.15 (allowed values may differ).

A line is an op, its fields separated by tabs: name, flags, inputs, outputs, attrs, and (if it is deprecated) the version
of graphs that may no longer use it with what to use instead. Flags are a letter for the origin (P: Python has a function
for it, C: a library of tf.contrib, I: internal, N: newer than 1.15) and letters for traits (`TRAITS`; k: has a CPU
kernel). Arguments and attrs are separated by spaces:

    value:T               one tensor of the type that attr T says      data:=int32     one tensor of int32
    values:N*T            as many as attr N says                       args:Targs...   one for each type in attr Targs
    ref:&T                a reference
    ksize:list(int)>=4    minimum length of a list, or minimum         padding:string="SAME"|["SAME","VALID"]
                                                                       default, and allowed values, as JSON
"""

import glob
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.framework import dtypes, kernels

if tf.__version__.startswith("1."):
    from tensorflow.python import pywrap_tensorflow as registry
else:
    from tensorflow.python.client import pywrap_tf_session as registry

FIELDS = {"string": "s", "int": "i", "float": "f", "bool": "b", "type": "type", "shape": "shape", "tensor": "tensor"}

TRAITS = [
    ("s", "is_stateful"),
    ("c", "is_commutative"),
    ("a", "is_aggregate"),
    ("u", "allows_uninitialized_input"),
]


def registered():
    """The OpDefs of the process, by name."""
    ops = op_def_pb2.OpList()
    ops.ParseFromString(registry.TF_GetBuffer(registry.TF_GetAllOpList()))
    return {op.name: op for op in ops.op}


def load_contrib():
    """Loads the op libraries of tf.contrib that are files of their own, and returns the names of the ops that they bring."""
    import tensorflow.contrib

    before = set(registered())
    root = os.path.dirname(tensorflow.contrib.__file__)
    for path in sorted(glob.glob(os.path.join(root, "**", "*.so"), recursive=True)):
        try:
            tf.load_op_library(path)
        except (tf.errors.NotFoundError, tf.errors.AlreadyExistsError, tf.errors.InvalidArgumentError) as error:
            print(f"left out: {os.path.basename(path)}: {str(error)[:100]}", file=sys.stderr)
    return set(registered()) - before


def python_names():
    """The ops that `import tensorflow` gives Python functions for."""
    from tensorflow.python.framework import op_def_registry

    return set(op_def_registry.get_registered_ops())


def type_name(number):
    """TensorFlow's name of a type, or the number of one that TensorFlow 1 has no name for."""
    return dtypes.as_dtype(number).base_dtype.name if 0 < number % 100 < 24 else number


def shape(proto):
    if proto.unknown_rank:
        return None
    return [dim.size if dim.size >= 0 else None for dim in proto.dim]


def plain(kind, value):
    """One value as JSON has it."""
    if kind == "string":
        return value.decode("ascii")
    if kind == "float":
        # The shortest text that reads back as the same 32-bit number.
        return float(str(np.float32(value)))
    if kind == "type":
        return type_name(value)
    if kind == "shape":
        return shape(value)
    if kind == "tensor":
        array = tf.make_ndarray(value) if hasattr(tf, "make_ndarray") else tf.compat.v1.make_ndarray(value)
        return {"dtype": type_name(value.dtype), "shape": list(array.shape), "values": array.ravel().tolist()}
    return value


def attr_value(kind, proto):
    if not kind.startswith("list("):
        return plain(kind, getattr(proto, FIELDS[kind]))
    kind = kind[5:-1]
    if kind == "func":
        assert not proto.list.func
        return []
    return [plain(kind, value) for value in getattr(proto.list, FIELDS[kind])]


def compact(value):
    """JSON without a space, also inside of strings."""
    return json.dumps(value, separators=(",", ":")).replace(" ", "\\u0020")


def arg_text(arg):
    if arg.type_list_attr:
        kind = arg.type_list_attr + "..."
    else:
        kind = arg.type_attr or f"={type_name(arg.type)}"
        if arg.number_attr:
            kind = arg.number_attr + "*" + kind
    return arg.name + ":" + ("&" if arg.is_ref else "") + kind


def attr_text(attr):
    text = attr.name + ":" + attr.type
    if attr.has_minimum:
        text += ">=" + str(attr.minimum)
    if attr.HasField("default_value"):
        text += "=" + compact(attr_value(attr.type, attr.default_value))
    if attr.HasField("allowed_values"):
        kind = attr.type[5:-1] if attr.type.startswith("list(") else attr.type
        text += "|" + compact(attr_value(f"list({kind})", attr.allowed_values))
    return text


def op_text(op, origin, has_cpu_kernel):
    flags = origin
    for letter, trait in TRAITS:
        flags += letter if getattr(op, trait) else ""
    flags += "k" if has_cpu_kernel else ""
    fields = [
        op.name,
        flags,
        " ".join(arg_text(arg) for arg in op.input_arg),
        " ".join(arg_text(arg) for arg in op.output_arg),
        " ".join(attr_text(attr) for attr in op.attr),
    ]
    if op.HasField("deprecation"):
        fields.append(f"{op.deprecation.version} {op.deprecation.explanation}")
    return "\t".join(fields)


def signature(line):
    """What must be equal for two versions of an op to be one: everything but allowed values and traits."""
    fields = line.split("\t")
    return [*fields[2:4], sorted(attr.split("|")[0] for attr in fields[4].split())]


def main(path, path_of_tf1=None):
    public = python_names() if tf.__version__.startswith("1.") else set()
    contrib = load_contrib() if tf.__version__.startswith("1.") else set()
    ops = registered()
    with_kernel = {
        kernel.op for kernel in kernels.get_all_registered_kernels().kernel if kernel.device_type in ("CPU", "DEFAULT")
    }
    lines = []
    for name in sorted(ops):
        origin = "P" if name in public else "C" if name in contrib else "I"
        lines.append(op_text(ops[name], "N" if path_of_tf1 else origin, name in with_kernel))
    if path_of_tf1:
        with open(path_of_tf1) as file:
            known = {line.split("\t")[0]: signature(line.rstrip("\n")) for line in file if not line.startswith("#")}
        lines = [line for line in lines if signature(line) != known.get(line.split("\t")[0])]
    with open(path, "w") as file:
        file.write(f"# The ops of TensorFlow {tf.__version__}, made by protos/make_opdefs.py.\n")
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
