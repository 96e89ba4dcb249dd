"""Writes unigram_samplers.json: three runs of the samplers that learn, in TensorFlow 1.15 (Python 3.7), and their graph.

Run as `python make_unigram_samplers.py` in this folder.
"""

import base64
import json

import tensorflow.compat.v1 as tf

CASES = [
    # op, num_sampled, unique, range_max, seed, true classes of each run
    ("LearnedUnigramCandidateSampler", 6, False, 10, (3, 4), [[[1, 1], [1, 7]], [[1, 1], [1, 1]], [[2, 3], [4, 5]]]),
    ("LearnedUnigramCandidateSampler", 5, True, 8, (-3, 9), [[[0, 0], [0, 7]], [[1, 1], [1, 1]], [[2, 3], [4, 5]]]),
    ("ThreadUnsafeUnigramCandidateSampler", 40, False, 64, (1, 2), [[[9, 9]] * 20, [[9, 9]] * 20, [[9, 8]] * 2]),
]
rows = []
for op, num_sampled, unique, range_max, seeds, runs in CASES:
    with tf.Graph().as_default() as graph:
        classes = tf.placeholder(tf.int64, [None, 2], name="classes")
        made = getattr(tf.raw_ops, op)(
            true_classes=classes,
            num_true=2,
            num_sampled=num_sampled,
            unique=unique,
            range_max=range_max,
            seed=seeds[0],
            seed2=seeds[1],
            name="sampler",
        )
        with tf.Session() as session:
            outputs = [[x.tolist() for x in session.run(list(made), {classes: run})] for run in runs]
        graph_def = base64.b64encode(graph.as_graph_def().SerializeToString()).decode()
    rows.append({"graph": graph_def, "runs": runs, "outputs": outputs})
with open("unigram_samplers.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
