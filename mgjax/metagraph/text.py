"""The text form of messages."""

from __future__ import annotations

import functools
import warnings
from types import ModuleType
from typing import TypeVar

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, text_format
from google.protobuf.message import DecodeError, Message

from mgjax.errors import ReadError
from mgjax.proto import (
    control_flow_pb2,
    graph_pb2,
    meta_graph_pb2,
    object_graph_pb2,
    queue_runner_pb2,
    struct_pb2,
    tensor_pb2,
    types_pb2,
    variable_pb2,
)

M = TypeVar("M", bound=Message)

_MAX_REASON = 160

# In the order in which they depend on each other.
_FILES: tuple[ModuleType, ...] = (
    types_pb2,
    tensor_pb2,
    struct_pb2,
    graph_pb2,
    variable_pb2,
    control_flow_pb2,
    queue_runner_pb2,
    object_graph_pb2,
    meta_graph_pb2,
)


def merge_text(text: str, message: M, *, allow_unknown_field: bool = False) -> M:
    """Parses text into a message, and returns it. Raises `ReadError` with the line and the column."""
    pool = _tensorflow_names() if "type.googleapis.com/" in text else None
    try:
        with warnings.catch_warnings():
            # The parser leaves escapes to Python, which warns of those that mean nothing and takes them as they stand.
            warnings.filterwarnings("ignore", "invalid (octal )?escape sequence", DeprecationWarning)
            text_format.Parse(text, message, allow_unknown_field=allow_unknown_field, descriptor_pool=pool)
    except text_format.ParseError as error:
        raise ReadError(_where(error)) from None
    except RecursionError:
        raise ReadError("its messages are nested too deep") from None
    except (ValueError, OverflowError, DecodeError) as error:
        # Numbers and escapes that the tokenizer lets through and the message refuses.
        raise ReadError(f"a value cannot be read: {error}") from None
    return message


def _where(error: text_format.ParseError) -> str:
    if error.GetLine() is None:
        return str(error)
    # The error's own text begins with both numbers.
    reason = str(error).partition(" : ")[2] or str(error)
    if len(reason) > _MAX_REASON:
        # It quotes the line, which may hold a whole tensor.
        reason = f"{reason[: _MAX_REASON // 2]} ... {reason[-_MAX_REASON // 2 :]}"
    return f"line {error.GetLine()}, column {error.GetColumn()}: {reason}"


@functools.cache
def _tensorflow_names() -> descriptor_pool.DescriptorPool:
    """A pool in which this package's messages go by TensorFlow's names.

    Text names the message in an Any: `[type.googleapis.com/tensorflow.AssetFileDef] { ... }`.
    """
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    for module in _FILES:
        file = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        file.package = "tensorflow"
        messages = list(file.message_type)
        while messages:
            message = messages.pop()
            messages.extend(message.nested_type)
            for field in message.field:
                if field.type_name:
                    field.type_name = field.type_name.replace(".mgjax.proto.", ".tensorflow.")
        pool.AddSerializedFile(file.SerializeToString())
    return pool
