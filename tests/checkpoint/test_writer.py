"""What is refused, and what becomes of values that are no plain arrays; `test_live.py` and `test_tf1_files.py` have the bytes."""

import os

import numpy as np
import pytest

from mgjax import checkpoint, dtypes
from mgjax.checkpoint import Tensor


def written(folder, tensors, **options):
    checkpoint.write(folder / "m", tensors, **options)
    return checkpoint.open(folder / "m")


@pytest.mark.parametrize(
    "tensors, message",
    [
        ([("a", np.zeros(1)), ("a", np.zeros(1))], "Adding duplicate key: a"),
        ([("a", np.zeros(1)), ("a", np.zeros(1), (2,), ((0, 1),))], "duplicate key: a, whole and as a piece"),
        ([("a", np.zeros(1), (2,), ((0, 1),)), ("a", np.zeros(2))], "duplicate key: a"),
        ([("a", np.zeros(1), (2,), ((0, 1),))] * 2, "duplicate key: a, slice '0,1'"),
        ([("a", np.zeros(1), (2,), ((0, 1),)), ("a", np.zeros(1), (3,), ((1, 1),))], "of another type or shape"),
        ([("a", np.zeros(1), (2,), ((0, 1),)), ("a", np.int32([1]), (2,), ((1, 1),))], "of another type or shape"),
        ([("a", np.zeros(2), (2,), ((0, 1),))], "does not match the shape of the tensor to  save"),
        ([("a", np.zeros(1), (2,), ((2, 1),))], "does not lie in shape"),
        ([("", np.zeros(1))], "a name must begin"),
        ([("\0a", np.zeros(1))], "a name must begin"),
        ([("a", np.array([1, None], object))], "an element of type int"),
        ([("a", np.datetime64(1, "s"))], "no TensorFlow data type holds"),
        ([Tensor("a", np.zeros(1), dtype=dtypes.float32)], "the value is float64, not float32"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path, tensors, message):
    with pytest.raises(ValueError, match=message):
        checkpoint.write(tmp_path / "m", tensors)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "value, expected",
    [
        (np.arange(6, dtype=np.float32).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]]),
        (np.arange(100_000)[::-40000], [99999, 59999, 19999]),
        (np.array([1, 2], ">i4"), [1, 2]),
        (np.arange(20_000, dtype=">f8")[:3], [0, 1, 2]),
        ([1.5, 2.5], [1.5, 2.5]),
        (True, True),
        (np.array(["é", "b"]), ["é".encode(), b"b"]),
        (np.array([b"x"]), [b"x"]),
        ("text", b"text"),
    ],
)
def test_what_numpy_takes_is_saved(tmp_path, value, expected):
    assert written(tmp_path, {"a": value})["a"].tolist() == expected


def test_large_tensors_of_another_byte_order_are_saved(tmp_path):
    values = np.arange(20_000, dtype=">f8")
    assert written(tmp_path, {"a": values})["a"].tolist() == values.tolist()


def test_values_are_asked_for_one_at_a_time(tmp_path):
    alive = []

    class Lazy:
        def __init__(self, number):
            self.number = number

        def __array__(self, dtype=None, copy=None):
            alive.append(self.number)
            return np.full(3, self.number)

    def tensors():
        for number in range(3):
            assert alive == list(range(number))
            yield f"t{number}", Lazy(number)

    assert written(tmp_path, tensors())["t2"].tolist() == [2, 2, 2]


def test_shards_share_the_bytes(tmp_path):
    opened = written(tmp_path, {f"t{i}": np.full(10 * (i % 3), i) for i in range(20)}, shards=3)
    sizes = [os.path.getsize(tmp_path / f"m.data-0000{i}-of-00003") for i in range(3)]
    assert max(sizes) - min(sizes) <= 20 * 8
    assert all(opened[f"t{i}"].tolist() == [i] * (10 * (i % 3)) for i in range(20))


def test_small_and_large_tensors_and_strings_keep_their_places(tmp_path):
    generator = np.random.default_rng(0)
    tensors = {}
    for number, size in enumerate(generator.integers(0, 30_000, 200)):
        tensors[f"t{number}"] = generator.random(size) if number % 7 else np.array([b"s" * size], object)
    for name, array in written(tmp_path, tensors).read_all().items():
        assert np.array_equal(array, tensors[name])


def test_one_folder_is_made(tmp_path):
    checkpoint.write(tmp_path / "new" / "m", {})
    assert checkpoint.open(tmp_path / "new" / "m").names() == []
    with pytest.raises(FileNotFoundError):
        checkpoint.write(tmp_path / "a" / "b" / "m", {})
