"""Protocol buffers by their descriptors; what TensorFlow 1.15 makes of them is in tests/ops/test_recorded.py."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given
from hypothesis import strategies as st

from mgjax import dtypes
from mgjax.errors import DataLossError, InvalidArgumentError, OpError, PermissionDeniedError, UnsupportedError
from mgjax.host import NO_FILES, RunContext
from mgjax.ops import REGISTRY

FILES = descriptor_pb2.FileDescriptorSet()
POINT = FILES.file.add(name="point.proto", package="p").message_type.add(name="Point")
POINT.field.add(name="x", number=1, type=descriptor_pb2.FieldDescriptorProto.TYPE_INT32, label=1)
POINT.field.add(name="group", number=2, type=descriptor_pb2.FieldDescriptorProto.TYPE_BYTES, label=3)
SOURCE = b"bytes://" + FILES.SerializeToString()


def decode(*texts, names=("x",), types=(dtypes.int32,), source=SOURCE, **attrs):
    return REGISTRY["DecodeProtoV2"].function(
        np.array(texts, object),
        message_type="p.Point",
        field_names=names,
        output_types=types,
        descriptor_source=source,
        context=RunContext(files=NO_FILES),
        **attrs,
    )


def test_the_last_value_of_a_field_counts_and_an_absent_one_is_its_default():
    sizes, (x,) = decode(b"\x08\x05\x08\x07", b"")
    assert sizes.tolist() == [[1], [0]]
    assert x.tolist() == [[7], [0]]


@pytest.mark.parametrize(
    "text", [b"\x08", b"\x08\x80", b"\x0a\x05a", b"\x00", b"\x0c", b"\x0b\x14", b"\x0b" * 200, b"\x0f"]
)
def test_what_is_no_message_is_lost_data(text):
    with pytest.raises(DataLossError):
        decode(text)


@pytest.mark.parametrize(
    "attrs, message",
    [
        ({"names": ("y",)}, "Unknown field: y"),
        ({"types": (dtypes.float32,)}, "Unexpected output type"),
        ({"message_format": "json"}, "binary or text"),
        ({"source": b"bytes://\xff"}, "invalid FileDescriptorSet"),
        ({"source": b"bytes://"}, "No descriptor found"),
    ],
)
def test_what_the_descriptors_lack_is_refused(attrs, message):
    with pytest.raises(InvalidArgumentError, match=message):
        decode(b"", **attrs)


def test_descriptors_of_the_process_and_of_other_files_are_refused():
    with pytest.raises(UnsupportedError, match="linked"):
        decode(b"", source="local://")
    with pytest.raises(PermissionDeniedError):
        decode(b"", source="/etc/hostname")


@given(st.binary(max_size=40), st.booleans())
def test_any_bytes_are_decoded_or_refused(text, sanitize):
    try:
        sizes, (x, groups) = decode(text, names=("x", "group"), types=(dtypes.int32, dtypes.string), sanitize=sanitize)
    except OpError:
        return
    assert x.shape == (1, 1)
    assert groups.shape == (1, max(1, sizes[0, 1]))
