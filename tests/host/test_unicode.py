import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, raises

ENCODINGS = ["UTF-8", "UTF-16-BE", "UTF-32-BE"]
# Well formed, then cut off, overlong, surrogates, beyond Unicode, control characters.
TEXTS = np.array(
    [b"", b"abc", "héé→\U0001f600x".encode(), b"\xff\xfeab", b"a\xe2\x82b", b"\xf0\x9f\x98", b"\xc0\x80z",
     b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0\1\t\x7f", b"\xe2\x82\xac\xe2\xe2\x82"], object)  # fmt: skip


@pytest.mark.parametrize("controls", [False, True])
@pytest.mark.parametrize("errors", ["replace", "ignore"])
@pytest.mark.parametrize("encoding", [*ENCODINGS, "US-ASCII", "ISO-8859-1"])
def test_code_points_of_strings(encoding, errors, controls):
    attrs = {"input_encoding": encoding, "errors": errors, "replace_control_characters": controls}
    check("UnicodeDecodeWithOffsets", {"input": TEXTS}, {**attrs, "Tsplits": dtypes.int64})
    check("UnicodeDecode", {"input": TEXTS}, {**attrs, "Tsplits": dtypes.int32, "replacement_char": 63})


@pytest.mark.parametrize("errors", ["replace", "ignore"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_strings_of_code_points(encoding, errors):
    points = np.array([65, 0x1F600, -1, 0x110000, 0xE000, 0xFFFE, 66], np.int32)
    inputs = {"input_values": points, "input_splits": np.array([0, 3, 3, 7])}
    check("UnicodeEncode", inputs, {"output_encoding": encoding, "errors": errors})
    check("UnicodeTranscode", {"input": TEXTS}, {"input_encoding": "UTF-8", "output_encoding": encoding})


def test_strict_decoding_refuses_malformed_strings():
    with pytest.raises(InvalidArgumentError, match="Invalid formatting on input string"):
        REGISTRY["UnicodeDecode"].function(TEXTS[3:4], input_encoding="UTF-8", errors="strict", Tsplits=dtypes.int64)


@pytest.mark.parametrize("replacement_char", [-1, 0x110000])
@pytest.mark.parametrize("op", ["UnicodeDecode", "UnicodeEncode", "UnicodeTranscode"])
def test_what_replaces_must_be_a_code_point(op, replacement_char):
    attrs = {"errors": "ignore", "replacement_char": replacement_char}
    attrs |= {} if op == "UnicodeEncode" else {"input_encoding": "UTF-8"}
    attrs |= {"Tsplits": dtypes.int64} if op == "UnicodeDecode" else {"output_encoding": "UTF-8"}
    inputs = {"input": TEXTS[:1]}
    if op == "UnicodeEncode":
        inputs = {"input_values": np.array([97], np.int32), "input_splits": np.array([0, 1])}
    message = "replacement_char out of unicode codepoint range"
    assert raises(op, inputs, attrs) == message
    with pytest.raises(InvalidArgumentError, match=message):
        REGISTRY[op].function(**inputs, **attrs)
