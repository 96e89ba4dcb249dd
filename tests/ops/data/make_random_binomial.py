"""Writes random_binomial.json: draws of StatefulRandomBinomial in TensorFlow 1.15 (Python 3.7), one intra-op thread.

Run as `python make_random_binomial.py` in this folder.
"""

import json

import numpy as np
import tensorflow.compat.v1 as tf

CASES = [
    # state, shape, counts, probs, dtype of the counts, dtype of the result
    ([2, 3, 4], [4], [10.0, 20.0, 3.0, 100.0], [0.5, 0.1, 0.9, 0.3], "float32", "float32"),
    ([2, 3, -4], [4, 5], [10.0, 20.0, 3.0, 100.0], [0.5, 0.1, 0.9, 0.3], "float32", "int32"),
    ([2, 3, -4], [4, 2, 3], [10.0, 20.0, 3.0, 100.0], 0.5, "float64", "int64"),
    ([-2, 3, -4], [110, 2], 40.0, 0.4, "float32", "float64"),
    ([1, 1, 1], [3, 20], [19.9, 20.1, 20.0], [0.5, 0.5, 0.5], "float16", "float16"),
    ([1, 1, 1], [2, 30], [1000.0, 30.0], [0.5, 0.6], "float32", "float32"),
]
rows = []
for state, shape, counts, probs, operands, result in CASES:
    with tf.Graph().as_default():
        variable = tf.Variable(np.array(state, np.int64), use_resource=True)
        draw = tf.raw_ops.StatefulRandomBinomial(
            resource=variable.handle,
            algorithm=1,
            shape=shape,
            counts=np.array(counts, operands),
            probs=np.array(probs, operands),
            dtype=tf.as_dtype(result),
        )
        with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1)) as session:
            session.run(variable.initializer)
            values = session.run(draw)
            assert session.run(variable).tolist() == state
        rows.append(
            {
                "state": state,
                "shape": shape,
                "counts": counts,
                "probs": probs,
                "operands": operands,
                "result": result,
                "values": np.ravel(values).tolist(),
            }
        )
with open("random_binomial.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
