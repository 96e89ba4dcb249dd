"""The errors of this package: few classes, each a different thing that the caller can do.

Every class is also the Python built-in that a caller would expect. Errors that a graph raises while it runs (a label
out of range, a failed `Assert`) are the subclasses of `OpError`, named and coded as TensorFlow's `tf.errors` are.
"""


class ReadError(ValueError):
    """Bytes that are not what they should be: a file of another kind, truncated, damaged. Names file and offset.

    Attributes:
        code: of the error that TensorFlow raises in such a case, as `OpError.code`; by default that of `DataLossError`.
    """

    code = 15


class UnsupportedError(NotImplementedError):
    """Ops, attributes or forms that cannot be run; lists all that the fetches need, before anything runs."""


class VerifyError(ValueError):
    """A module that breaks a rule of the intermediate form (see `mgjax.ir.verify`)."""


class FeedError(ValueError):
    """A feed of another dtype or shape than its tensor, a missing feed, or a tracer where a value must be concrete.

    Attributes:
        missing: the names of the placeholders that are needed and not fed.
    """

    def __init__(self, message: str, missing: tuple[str, ...] = ()):
        super().__init__(message)
        self.missing = missing


class UnknownNameError(KeyError):
    """A name that the graph or the checkpoint does not hold; the message gives the nearest ones."""

    code = 5

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class RestoreError(ValueError):
    """Variables that a checkpoint lacks, or holds with another shape or dtype; all of them are listed."""

    code = 3


class MissingFileError(ReadError, FileNotFoundError):
    """A file that should be there and is not."""

    code = 5

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class OpError(RuntimeError):
    """What an operation of the graph raised at run time.

    Attributes:
        message: the text.
        node: name of the graph's node, or None.
        op: its op, or None.
    """

    code = 2

    def __init__(self, message: str, node: str | None = None, op: str | None = None):
        super().__init__(message)
        self.message = message
        self.node = node
        self.op = op


class CancelledError(OpError):
    code = 1


class InvalidArgumentError(OpError):
    code = 3


class DeadlineExceededError(OpError):
    code = 4


class NotFoundError(OpError):
    code = 5


class AlreadyExistsError(OpError):
    code = 6


class PermissionDeniedError(OpError):
    code = 7


class ResourceExhaustedError(OpError):
    code = 8


class FailedPreconditionError(OpError):
    code = 9


class AbortedError(OpError):
    code = 10


class OutOfRangeError(OpError):
    code = 11


class UnimplementedError(OpError):
    code = 12


class InternalError(OpError):
    code = 13


class UnavailableError(OpError):
    code = 14


class DataLossError(OpError):
    code = 15
