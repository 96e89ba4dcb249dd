"""TensorFlow's `tf.errors`: the classes of `mgjax.errors`, made and read as TensorFlow's are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from mgjax import errors as _errors

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
DATA_LOSS = 15
UNAUTHENTICATED = 16


class OpError(_errors.OpError):
    """What an operation raised.

    Args:
        node_def: the NodeDef of the operation, or None.
        op: the operation, or None.
        message: the text.
        error_code: the code where the class has none of its own.
    """

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int | None = None):
        super().__init__(message, getattr(node_def, "name", None), op)
        self.node_def = node_def
        self.code = self.code if error_code is None else error_code

    @property
    def error_code(self) -> int:
        return self.code


class CancelledError(OpError, _errors.CancelledError):
    pass


class UnknownError(OpError):
    code = UNKNOWN


class InvalidArgumentError(OpError, _errors.InvalidArgumentError):
    pass


class DeadlineExceededError(OpError, _errors.DeadlineExceededError):
    pass


class NotFoundError(OpError, _errors.NotFoundError):
    pass


class AlreadyExistsError(OpError, _errors.AlreadyExistsError):
    pass


class PermissionDeniedError(OpError, _errors.PermissionDeniedError):
    pass


class ResourceExhaustedError(OpError, _errors.ResourceExhaustedError):
    pass


class FailedPreconditionError(OpError, _errors.FailedPreconditionError):
    pass


class AbortedError(OpError, _errors.AbortedError):
    pass


class OutOfRangeError(OpError, _errors.OutOfRangeError):
    pass


class UnimplementedError(OpError, _errors.UnimplementedError):
    pass


class InternalError(OpError, _errors.InternalError):
    pass


class UnavailableError(OpError, _errors.UnavailableError):
    pass


class DataLossError(OpError, _errors.DataLossError):
    pass


class UnauthenticatedError(OpError):
    code = UNAUTHENTICATED


class UnsupportedError(UnimplementedError, _errors.UnsupportedError):
    """Operations that this package does not run; all that the fetches need are listed."""


_BY_CODE: dict[int, type[OpError]] = {
    cls.code: cls
    for cls in (
        CancelledError, UnknownError, InvalidArgumentError, DeadlineExceededError, NotFoundError, AlreadyExistsError,
        PermissionDeniedError, ResourceExhaustedError, FailedPreconditionError, AbortedError, OutOfRangeError,
        UnimplementedError, InternalError, UnavailableError, DataLossError, UnauthenticatedError,
    )
}  # fmt: skip


def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """The class of a code. Raises `KeyError` where there is none."""
    return _BY_CODE[error_code]


def error_code_from_exception_type(cls: type[OpError]) -> int:
    """The code of a class."""
    return cls.code


@contextlib.contextmanager
def raised_as_tensorflow_does(graph: Any = None) -> Iterator[None]:
    """Gives the errors of this package that come out of the block TensorFlow's classes.

    Args:
        graph: where the operation that an error names is found.
    """
    try:
        yield
    except OpError:
        raise
    except _errors.OpError as error:
        op = graph.get_operation_by_name(error.node) if graph is not None and error.node in graph.index.nodes else None
        raise _BY_CODE[error.code](op.node_def if op is not None else None, op, str(error)) from error
    except (_errors.ReadError, _errors.RestoreError) as error:
        raise _BY_CODE[error.code](None, None, str(error)) from error
    except _errors.UnsupportedError as error:
        raise UnsupportedError(None, None, str(error)) from error


__all__ = [name for name in dir() if name.isupper() or name.endswith("Error")] + [
    "error_code_from_exception_type",
    "exception_type_from_error_code",
]
