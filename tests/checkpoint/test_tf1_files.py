"""Files that TensorFlow 1.15 wrote (`data/make.py`), and those that people left behind."""

import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mgjax import checkpoint
from mgjax.checkpoint.slices import encode_key

DATA = Path(__file__).parent / "data"
SHARED = Path(os.environ.get("MGJAX_SHARED", Path(__file__).parents[3] / "shared"))

# What `data/make.py` saved.
ARRAYS = {
    "float": np.array([[0, 0.25, 0.5], [0.75, 1, 1.25]], np.float32),
    "double": np.array(-1.5),
    "half": np.array([1, 2, -0.5], np.float16),
    "int8": np.array([-128, 127], np.int8),
    "uint8": np.array([0, 255], np.uint8),
    "int16": np.array([-32768, 32767], np.int16),
    "uint16": np.array([65535], np.uint16),
    "int32": np.array([[-(2**31)], [2**31 - 1]], np.int32),
    "int64": np.array(-(2**63)),
    "bool": np.array([True, False]),
    "complex64": np.array([1 + 2j, -3j], np.complex64),
    "complex128": np.array([[0.5 - 1j]]),
    "empty": np.zeros((0, 4), np.float32),
    "scope/text": np.array([[b"", b"a"], [b"\x00\xff", b"x" * 200]], object),
    "text/empty": np.zeros(0, object),
    "text/scalar": np.array(b"alone", object),
}
ROWS = np.arange(15, dtype=np.float32).reshape(5, 3)
COLUMNS = np.arange(28, dtype=np.int32).reshape(4, 7)


@pytest.mark.parametrize("name", ["v2", "v2-sharded", "v1", "v1-sharded", "v1-sharded-?????-of-00002"])
def test_every_data_type_is_read(name):
    opened = checkpoint.open(DATA / name)
    assert opened.version == int(name[1])
    assert opened.names() == sorted(ARRAYS)
    for key, array in opened.read_all().items():
        assert (array.dtype, array.shape) == (ARRAYS[key].dtype, ARRAYS[key].shape)
        assert (opened.dtype(key).numpy, opened.shape(key)) == (array.dtype, array.shape)
        assert_array_equal(array, ARRAYS[key])


@pytest.mark.parametrize("name", ["v2-partitioned", "v1-partitioned"])
def test_a_partitioned_tensor_is_read_whole_by_piece_and_by_region(name):
    opened = checkpoint.open(DATA / name)
    assert opened.pieces("rows") == (((0, 3), (0, 3)), ((3, 2), (0, 3)))
    assert_array_equal(opened["rows"], ROWS)
    assert_array_equal(opened["columns"], COLUMNS)
    assert_array_equal(opened.read("rows", "3,2:0,3"), ROWS[3:])
    assert_array_equal(opened.read("columns", np.s_[1:3, 2:6]), COLUMNS[1:3, 2:6])


def test_types_that_no_variable_has_are_read():
    opened = checkpoint.open(DATA / "v2-ops")
    expected = {
        "bfloat16": np.array([1, -2.5, 3e38], ml_dtypes.bfloat16),
        "qint8": np.array([-1, 5], np.int8),
        "quint8": np.array([200, 5], np.uint8),
        "qint32": np.array([-70000], np.int32),
        "uint32": np.array([2**32 - 1], np.uint32),
        "uint64": np.array([2**64 - 1], np.uint64),
        "na\u00efve name": np.array(1, np.int32),
        "nul\0inside": np.array(2, np.int32),
        "sliced": np.arange(400, dtype=np.int32).reshape(200, 2),
    }
    assert sorted(opened) == sorted(expected)
    for key, array in expected.items():
        assert opened[key].dtype == array.dtype
        assert_array_equal(opened[key], array)
    assert opened.dtype("qint8").name == "qint8"


@pytest.mark.parametrize("name", ["v2", "v2-partitioned", "v2-ops"])
def test_the_same_tensors_are_written_as_the_same_bytes(name, tmp_path):
    opened = checkpoint.open(DATA / name)
    bundle = opened._files
    tensors = []
    for key in opened:
        for piece in opened.pieces(key) or [None]:
            entry = bundle._entry(key.encode() if piece is None else encode_key(key, piece))
            shape = None if piece is None else opened.shape(key)
            tensor = checkpoint.Tensor(key, opened.read(key, piece), shape, piece, opened.dtype(key))
            tensors.append((entry.offset, entry.size, tensor))
    # In the order of the data file.
    checkpoint.write(tmp_path / name, [tensor for _, _, tensor in sorted(tensors, key=lambda item: item[:2])])
    for suffix in (".index", ".data-00000-of-00001"):
        assert (tmp_path / (name + suffix)).read_bytes() == (DATA / (name + suffix)).read_bytes()


def test_what_people_left_behind_is_read():
    indices = sorted((SHARED / "corpus").glob("**/*.index"))
    if not indices:
        pytest.skip("the corpus is not here")
    for index in indices:
        opened = checkpoint.open(index)
        for name, array in opened.read_all().items():
            assert (array.dtype, array.shape) == (opened.dtype(name).numpy, opened.shape(name))
