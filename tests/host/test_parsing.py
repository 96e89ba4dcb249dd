import gzip
import zlib

import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.proto import example_pb2
from tests.ops.live import check, raises, tf

TYPES = [dtypes.uint8, dtypes.int16, dtypes.int32, dtypes.int64, dtypes.float16, dtypes.float32, dtypes.float64]
MEMORY = np.array([[bytes(range(16))], [bytes(range(100, 116))]], object)


@pytest.mark.parametrize("little_endian", [True, False])
@pytest.mark.parametrize("out_type", [*TYPES, dtypes.bool_], ids=str)
def test_memory_as_numbers(out_type, little_endian):
    attrs = {"out_type": out_type, "little_endian": little_endian}
    check("DecodeRaw", {"bytes": MEMORY}, attrs)
    if out_type.name not in ("bool", "float16"):
        check("DecodePaddedRaw", {"input_bytes": MEMORY, "fixed_length": 24}, attrs)
        check("DecodePaddedRaw", {"input_bytes": MEMORY, "fixed_length": 8}, attrs)


def test_memory_of_no_strings_has_no_numbers():
    check("DecodeRaw", {"bytes": np.zeros((0,), object)}, {"out_type": dtypes.int32})


def refused_alike(op, inputs, attrs):
    """That both refuse, TensorFlow in words of which ours are the start."""
    message = raises(op, inputs, attrs)
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY[op].function(**inputs, **attrs)
    assert message.endswith(caught.value.message), message


@pytest.mark.parametrize("texts", [[b"abc"], [b"abcd", b"abcdefgh"]])
def test_memory_of_the_wrong_length_is_refused(texts):
    refused_alike("DecodeRaw", {"bytes": np.array(texts, object)}, {"out_type": dtypes.int32})


RECORDS = np.array(['1,2.5,"a ""b"", c"', '-7,,"x\ny"', " 3 ,1e3,"], object)
DEFAULTS = [np.array([], np.int32), np.array([9.5], np.float32), np.array([b"none"], object)]


def csv(records, defaults, **attrs):
    return check("DecodeCSV", {"records": records, "record_defaults": defaults}, attrs)


def test_fields_of_records_and_their_defaults():
    csv(RECORDS, DEFAULTS)
    csv(RECORDS.reshape(3, 1), DEFAULTS)
    csv(np.array("4,5,6", object), DEFAULTS)


def test_other_delimiters_quotes_and_marks_of_absence():
    csv(np.array(['"1\t2\tNA', 'x"\tNA\tq'], object), [*[DEFAULTS[2]] * 3], field_delim="\t", use_quote_delim=False,
        na_value="NA")  # fmt: skip


def test_selected_columns():
    csv(np.array(["1,2,3,4", "5,6,7,8"], object), [np.array([0], np.int64)] * 2, select_cols=(1, 3))


@pytest.mark.parametrize("record", ["1,2", "1,2,3,4", ",1,x", "1.5,1,x", '1,2,"a"b', '1,2,a"b', '1,2,"a'])
def test_what_is_no_record_is_refused_as_by_tensorflow(record):
    refused_alike("DecodeCSV", {"records": np.array([record], object), "record_defaults": DEFAULTS}, {})


@pytest.mark.parametrize("tensor", [np.arange(6, dtype=np.int16).reshape(2, 3), np.float32(1.5), np.zeros((0, 3)),
                                    np.array(["a", "bc"]), np.array([True, False])])  # fmt: skip
def test_tensors_there_and_back(tensor):
    serialized = check("SerializeTensor", {"tensor": tensor})[0]
    check("ParseTensor", {"serialized": serialized}, {"out_type": dtypes.from_numpy(np.asarray(tensor).dtype)})


def test_tensors_of_another_type_are_refused():
    serialized = np.array(tf.make_tensor_proto([1]).SerializeToString(), object)
    with pytest.raises(InvalidArgumentError, match="Type mismatch"):
        REGISTRY["ParseTensor"].function(serialized, out_type=dtypes.float32)
    with pytest.raises(InvalidArgumentError, match="Could not parse"):
        REGISTRY["ParseTensor"].function(np.array(b"garbage", object), out_type=dtypes.float32)


@pytest.mark.parametrize("form, compress", [("", bytes), ("ZLIB", zlib.compress), ("GZIP", gzip.compress)])
def test_compressed_strings(form, compress):
    texts = np.array([compress(b"hello" * 20), compress(b"")], object)
    check("DecodeCompressed", {"bytes": texts}, {"compression_type": form})


def test_examples_written_as_json():
    text = '{"features": {"feature": {"a": {"int64List": {"value": ["1", "2"]}}}}}'
    first, second = REGISTRY["DecodeJSONExample"].function(np.array([text, "{}"], object))
    assert list(example_pb2.Example.FromString(first).features.feature["a"].int64_list.value) == [1, 2]
    assert second == b""
    with pytest.raises(InvalidArgumentError, match="Error while parsing JSON"):
        REGISTRY["DecodeJSONExample"].function(np.array(["{"], object))
