"""Training of embeddings by rows against a live TensorFlow: one compiled program a step, for any number of distinct rows."""

import jax
import numpy as np
import pytest

import mgjax
from tests.ops.live import tf

OPTIMIZERS = {
    "GradientDescent": lambda: tf.train.GradientDescentOptimizer(0.1),
    "Momentum": lambda: tf.train.MomentumOptimizer(0.1, 0.9),
    "Adagrad": lambda: tf.train.AdagradOptimizer(0.1),
    "Adadelta": lambda: tf.train.AdadeltaOptimizer(0.1),
    "Adam": lambda: tf.train.AdamOptimizer(0.1),
    "RMSProp": lambda: tf.train.RMSPropOptimizer(0.1, momentum=0.5),
    "centered RMSProp": lambda: tf.train.RMSPropOptimizer(0.1, centered=True),
    "Ftrl": lambda: tf.train.FtrlOptimizer(0.1),
    "ProximalAdagrad": lambda: tf.train.ProximalAdagradOptimizer(0.1, l1_regularization_strength=0.01),
}
BATCHES = [[3, 1, 3, 0], [2, 2, 2, 2], [0, 1, 4, 5]]


def training_graph(make_optimizer, use_resource):
    """A graph's MetaGraphDef, its variables at first, and after each batch."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        ids = tf.placeholder(tf.int32, [4], "ids")
        start = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
        table = tf.get_variable("table", initializer=start, use_resource=use_resource)
        loss = tf.reduce_sum(tf.square(tf.nn.embedding_lookup(table, ids)) * [1.0, 2.0, 3.0], name="loss")
        make_optimizer().minimize(loss, name="step")
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: v for v in tf.global_variables()}
        states = [session.run(variables)]
        for batch in BATCHES:
            session.run("step", {ids: batch})
            states.append(session.run(variables))
        return tf.train.export_meta_graph(graph=graph).SerializeToString(), states


@pytest.mark.parametrize("use_resource", [False, True], ids=["reference", "resource"])
@pytest.mark.parametrize("make_optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_a_step_is_one_program(make_optimizer, use_resource):
    meta_graph, states = training_graph(make_optimizer, use_resource)
    fn, _ = mgjax.import_meta_graph(meta_graph)
    step = jax.jit(fn.bind(["ids:0"], ["step"]))
    variables = dict(states[0])
    for batch, expected in zip(BATCHES, states[1:], strict=True):
        variables, _ = step(variables, np.int32(batch))
        for name, value in expected.items():
            np.testing.assert_allclose(variables[name], value, rtol=2e-5, atol=2e-6, err_msg=name)
    assert step._cache_size() <= 2  # a plain dict at first, then a state
