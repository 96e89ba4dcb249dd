"""Writes the checkpoints of this folder; needs TensorFlow 1.15.

python tests/checkpoint/data/make.py
"""

import os

import numpy as np
import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))


def arrays():
    """One small tensor of each kind that a checkpoint can hold; `test_tf1_files.py` has the same."""
    return {
        "float": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
        "double": np.float64(-1.5),
        "half": np.array([1, 2, -0.5], np.float16),
        "int8": np.array([-128, 127], np.int8),
        "uint8": np.array([0, 255], np.uint8),
        "int16": np.array([-32768, 32767], np.int16),
        "uint16": np.array([65535], np.uint16),
        "int32": np.array([[-(2**31)], [2**31 - 1]], np.int32),
        "int64": np.int64(-(2**63)),
        "bool": np.array([True, False]),
        "complex64": np.array([1 + 2j, -3j], np.complex64),
        "complex128": np.array([[0.5 - 1j]], np.complex128),
        "empty": np.zeros((0, 4), np.float32),
        "scope/text": np.array([[b"", b"a"], [b"\x00\xff", b"x" * 200]], object),
        "text/empty": np.zeros((0,), object),
        "text/scalar": np.array(b"alone", object),
    }


def save(path, values, version, sharded=False):
    two_devices = tf.compat.v1.ConfigProto(device_count={"CPU": 2})
    with tf.Graph().as_default(), tf.compat.v1.Session(config=two_devices) as session:
        variables = {}
        for number, (name, value) in enumerate(values.items()):
            with tf.device(f"/cpu:{number % 2 if sharded else 0}"):
                initial = value.astype(object) if value.dtype == object else value
                variables[name] = tf.compat.v1.get_variable(
                    f"v{number}",
                    initializer=tf.constant(initial, dtype=tf.string if value.dtype == object else value.dtype),
                )
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(variables, write_version=version, sharded=sharded)
        saver.save(session, path, write_meta_graph=False, write_state=False)


def save_partitioned(path, version):
    """Two halves by rows, and three parts by columns."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, shape, dtype, parts, axis in (("rows", (5, 3), "float32", 2, 0), ("columns", (4, 7), "int32", 3, 1)):
            whole = np.arange(np.prod(shape), dtype=dtype).reshape(shape)

            def part_of(shape, dtype, partition_info, whole=whole):
                return tf.slice(tf.constant(whole), partition_info.var_offset, shape)

            partitioner = tf.compat.v1.fixed_size_partitioner(parts, axis=axis)
            tf.compat.v1.get_variable(name, shape, whole.dtype, initializer=part_of, partitioner=partitioner)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(write_version=version).save(session, path, write_meta_graph=False, write_state=False)


def save_by_ops(path):
    """What no variable is: bfloat16, quantized types, wide unsigned types, slices with whole dimensions, odd names."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tensors = {
            "bfloat16": tf.cast(tf.constant([1.0, -2.5, 3e38]), tf.bfloat16),
            "qint8": tf.bitcast(tf.constant([-1, 5], tf.int8), tf.qint8),
            "quint8": tf.bitcast(tf.constant([200, 5], tf.uint8), tf.quint8),
            "qint32": tf.bitcast(tf.constant([-70000], tf.int32), tf.qint32),
            "uint32": tf.constant([2**32 - 1], tf.uint32),
            "uint64": tf.constant([2**64 - 1], tf.uint64),
            "na\u00efve name": tf.constant(1),
            "nul\0inside": tf.constant(2),
        }
        names, specs, values = list(tensors), [""] * len(tensors), list(tensors.values())
        whole = tf.reshape(tf.range(200 * 2), [200, 2])
        for start, stop in ((100, 200), (0, 100)):
            names.append("sliced")
            specs.append(f"200 2 {start},{stop - start}:-")
            values.append(whole[start:stop])
        session.run(tf.raw_ops.SaveV2(prefix=path, tensor_names=names, shape_and_slices=specs, tensors=values))


def main():
    os.chdir(HERE)
    v1, v2 = tf.compat.v1.train.SaverDef.V1, tf.compat.v1.train.SaverDef.V2
    values = arrays()
    save("v2", values, v2)
    save("v2-sharded", values, v2, sharded=True)
    save("v1", values, v1)
    save("v1-sharded", values, v1, sharded=True)
    save_partitioned("v2-partitioned", v2)
    save_partitioned("v1-partitioned", v1)
    save_by_ops("v2-ops")


if __name__ == "__main__":
    main()
