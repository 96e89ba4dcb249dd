"""Runs that fail: a session raises as TensorFlow does, and goes on with the variables that it had."""

import numpy as np
import pytest


def operation(tf, kind, name, inputs, **attributes):
    """An operation by its OpDef."""
    if hasattr(tf, "raw_ops"):
        made = getattr(tf.raw_ops, kind)(name=name, **inputs, **attributes)
        return getattr(made, "op", made)
    return tf.get_default_graph().create_op(kind, list(inputs.values()), attributes, name)


@pytest.fixture
def x(tf):
    return tf.placeholder(tf.int32, [None], name="x")


def test_a_failed_run_names_the_operation(tf, session, x):
    y = operation(tf, "FloorDiv", "quotient", {"x": tf.constant([12, 12]), "y": x}).outputs[0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Integer division by zero") as caught:
        session.run(y, {x: [3, 0]})
    assert caught.value.op is y.op
    assert caught.value.node_def.name == "quotient"
    assert caught.value.error_code == 3


def test_an_assignment_after_a_failed_assertion_does_not_happen(tf, session, x):
    v = tf.Variable([1, 1], name="v", use_resource=False)
    holds = operation(tf, "Greater", "holds", {"x": x, "y": tf.constant([0, 0])}).outputs[0]
    holds = operation(tf, "All", "all", {"input": holds, "axis": tf.constant([0])}, keep_dims=False).outputs[0]
    data = [tf.constant(b"bad:"), x]
    check = operation(tf, "Assert", "check", {"condition": holds, "data": data}, summarize=3)
    with tf.control_dependencies([check]):
        update = tf.assign(v, x)
    session.run(v.initializer)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"assertion failed: \[bad:\] \[3 0\]"):
        session.run(update.op, {x: [3, 0]})
    assert session.run(v).tolist() == [1, 1]
    session.run(update.op, {x: [3, 4]})
    assert session.run(v).tolist() == [3, 4]


def test_a_value_that_numbers_gate_is_not_assigned(tf, session):
    rate = tf.placeholder(tf.float32, [], name="rate")
    v = tf.Variable(1.0, name="v", use_resource=False)
    checked = operation(tf, "CheckNumerics", "finite", {"tensor": 1.0 / rate}, message="rate").outputs[0]
    update = tf.assign(v, checked)
    session.run(v.initializer)
    with pytest.raises(tf.errors.InvalidArgumentError, match="rate : Tensor had Inf values"):
        session.run(update, {rate: 0.0})
    assert session.run(v) == 1
    assert session.run(update, {rate: 2.0}) == np.float32(0.5)
