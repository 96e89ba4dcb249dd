"""`tf.errors`: classes, codes, and how errors are made: what TensorFlow does, checked of it too."""

from __future__ import annotations

import pytest

import mgjax.compat.v1
from mgjax import errors as own_errors

NAMES = {
    "CANCELLED": "CancelledError", "UNKNOWN": "UnknownError", "INVALID_ARGUMENT": "InvalidArgumentError",
    "DEADLINE_EXCEEDED": "DeadlineExceededError", "NOT_FOUND": "NotFoundError", "ALREADY_EXISTS": "AlreadyExistsError",
    "PERMISSION_DENIED": "PermissionDeniedError", "RESOURCE_EXHAUSTED": "ResourceExhaustedError",
    "FAILED_PRECONDITION": "FailedPreconditionError", "ABORTED": "AbortedError", "OUT_OF_RANGE": "OutOfRangeError",
    "UNIMPLEMENTED": "UnimplementedError", "INTERNAL": "InternalError", "UNAVAILABLE": "UnavailableError",
    "DATA_LOSS": "DataLossError", "UNAUTHENTICATED": "UnauthenticatedError",
}  # fmt: skip


def test_codes_run_from_one_in_tensorflows_order(tf):
    assert [getattr(tf.errors, code) for code in NAMES] == list(range(1, 17))
    assert tf.errors.OK == 0


@pytest.mark.parametrize("code", NAMES)
def test_a_class_has_its_code(tf, code):
    number, cls = getattr(tf.errors, code), getattr(tf.errors, NAMES[code])
    error = cls(None, None, "why")
    assert (error.error_code, error.message, error.op, error.node_def) == (number, "why", None, None)
    assert isinstance(error, tf.errors.OpError)
    assert tf.errors.exception_type_from_error_code(number) is cls
    assert tf.errors.error_code_from_exception_type(cls) == number


def test_an_error_of_a_run_names_its_operation(tf, session):
    x = tf.placeholder(tf.float32, name="x")
    product = tf.matmul(x, x, name="product")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        session.run(product, {x: [[1.0, 2.0]]})
    assert caught.value.op is product.op
    assert caught.value.node_def.name == "product"


@pytest.mark.parametrize("name", [name for name in NAMES.values() if hasattr(own_errors, name)])
def test_errors_are_also_those_of_the_package(name):
    assert issubclass(getattr(mgjax.compat.v1.errors, name), getattr(own_errors, name))


def test_what_is_not_supported_is_unimplemented():
    tf = mgjax.compat.v1
    with tf.Graph().as_default() as graph, tf.Session() as session:
        topology = graph.create_op("ConfigureDistributedTPU", [])
        with pytest.raises(tf.errors.UnimplementedError, match="ConfigureDistributedTPU") as caught:
            session.run(topology.outputs[0])
    assert isinstance(caught.value, own_errors.UnsupportedError)
