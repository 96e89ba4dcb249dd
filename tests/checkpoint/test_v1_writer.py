"""V1 checkpoints: the bytes that TensorFlow writes, and what it reads of ours."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from numpy.testing import assert_array_equal

from mgjax import checkpoint, dtypes
from mgjax.checkpoint.slices import format_slice
from mgjax.checkpoint.wire import decode_varint, encode_varints
from mgjax.errors import UnsupportedError
from tests.checkpoint.live import tf
from tests.checkpoint.test_live import assert_same, contents, few

NOT_IN_V1 = (np.dtype(ml_dtypes.bfloat16), np.dtype(np.uint32), np.dtype(np.uint64))


def save_slices(path, pieces):
    """TensorFlow's SaveSlices of (name, array, full shape or None, extents or None)."""
    specs = ["" if e is None else " ".join(map(str, s)) + (" " if s else "") + format_slice(e) for _, _, s, e in pieces]
    with tf.Graph().as_default(), tf.Session() as session:
        data = [
            tf.placeholder(tf.string if array.dtype == object else array.dtype, array.shape)
            for _, array, _, _ in pieces
        ]
        save = tf.raw_ops.SaveSlices(
            filename=str(path), tensor_names=[name for name, *_ in pieces], shapes_and_slices=specs, data=data
        )
        session.run(save, {tensor: array for tensor, (_, array, _, _) in zip(data, pieces, strict=True)})


@few
@given(contents())
def test_both_write_the_same_bytes(tmp_path_factory, drawn):
    pieces = [piece for piece in drawn[0] if piece[1].dtype not in NOT_IN_V1]
    assume(pieces)
    folder = tmp_path_factory.mktemp("v1")
    save_slices(folder / "theirs", pieces)
    assert checkpoint.write(folder / "ours", pieces, version=1) == str(folder / "ours")
    assert (folder / "ours").read_bytes() == (folder / "theirs").read_bytes()
    found = checkpoint.open(folder / "ours")
    for name in {name for name, *_ in pieces}:
        assert_same(found[name], drawn[1][name])


def test_many_tensors_take_several_blocks_as_theirs_do(tmp_path):
    pieces = [(f"w/{i:04d}", np.arange(i, dtype=np.float32), None, None) for i in range(0, 900, 3)]
    save_slices(tmp_path / "theirs", pieces)
    checkpoint.write(tmp_path / "ours", pieces, version=1)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_shards_go_by_their_pattern(tmp_path):
    tensors = {name: np.full(3, i, np.int64) for i, name in enumerate("abcde")}
    pattern = checkpoint.write(tmp_path / "m", tensors, version=1, shards=2)
    assert pattern == str(tmp_path / "m-?????-of-00002")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m-00000-of-00002", "m-00001-of-00002"]
    for found in (checkpoint.open(pattern), checkpoint.open(tmp_path / "m")):
        assert {name: array.tolist() for name, array in found.read_all().items()} == {
            name: array.tolist() for name, array in tensors.items()
        }
    reader = tf.train.NewCheckpointReader(pattern)
    assert_array_equal(reader.get_tensor("e"), tensors["e"])


@pytest.mark.parametrize("dtype", NOT_IN_V1, ids=str)
def test_types_without_a_form_are_refused_and_nothing_is_written(tmp_path, dtype):
    with pytest.raises(UnsupportedError, match="not yet supported in a V1 checkpoint"):
        checkpoint.write(tmp_path / "m", {"a": np.zeros(2, dtype)}, version=1)
    assert list(tmp_path.iterdir()) == []


def test_quantized_types_are_written(tmp_path):
    for dtype in (dtype for dtype in dtypes.ALL if dtype.is_quantized):
        values = np.array([-1 if dtype.numpy.kind == "i" else 250, 3], dtype.numpy)
        checkpoint.write(tmp_path / "q", [checkpoint.Tensor("q", values, dtype=dtype)], version=1)
        opened = checkpoint.open(tmp_path / "q")
        assert (opened.dtype("q"), opened["q"].tolist()) == (dtype, values.tolist())


def test_numbers_are_varints():
    numbers = [0, 1, 127, 128, 300, 2**32, 2**63, 2**64 - 1]
    data, found, position = encode_varints(np.array(numbers, np.uint64)), [], 0
    while position < len(data):
        number, position = decode_varint(data, position)
        found.append(number)
    assert found == numbers
    assert encode_varints(np.array([300], np.uint64)) == b"\xac\x02"


def test_a_name_twice_or_another_version_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Adding duplicate key: a"):
        checkpoint.write(tmp_path / "m", [("a", 1), ("a", 2)], version=1)
    with pytest.raises(ValueError, match="version 1 or 2, not 3"):
        checkpoint.write(tmp_path / "m", {"a": 1}, version=3)
