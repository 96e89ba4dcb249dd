"""Checkpoints exchanged with a live TensorFlow, bit for bit, both ways."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgjax import checkpoint, dtypes
from mgjax.checkpoint.checksum import crc32c, mask
from mgjax.checkpoint.slices import format_slice
from mgjax.errors import MissingFileError
from tests.checkpoint.live import tf
from tests.checkpoint.test_damage import entry, write_bundle

# Quantized types are left out: NumPy arrays do not tell them from integers.
NUMPY_DTYPES = [
    np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32,
    np.int64, np.uint64, np.bool_, np.complex64, np.complex128, object,
]  # fmt: skip


def save(prefix, pieces):
    """TensorFlow's SaveV2 of (name, array, full shape or None, extents or None)."""
    specs = ["" if e is None else " ".join(map(str, s)) + (" " if s else "") + format_slice(e) for _, _, s, e in pieces]
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = [
            tf.placeholder(tf.string if array.dtype == object else array.dtype, array.shape)
            for _, array, _, _ in pieces
        ]
        save_op = tf.raw_ops.SaveV2(
            prefix=str(prefix), tensor_names=[name for name, *_ in pieces], shape_and_slices=specs, tensors=tensors
        )
        session.run(save_op, {tensor: array for tensor, (_, array, _, _) in zip(tensors, pieces, strict=True)})


def restore(prefix, names_and_dtypes):
    """TensorFlow's RestoreV2."""
    names, types = zip(*names_and_dtypes, strict=True)
    with tf.Graph().as_default(), tf.Session() as session:
        specs = [""] * len(names)
        op = tf.raw_ops.RestoreV2(prefix=str(prefix), tensor_names=names, shape_and_slices=specs, dtypes=types)
        return session.run(op)


def assert_same(found, expected):
    # A scalar string comes as bytes, which NumPy's own string type would strip of its last NULs.
    found = np.asarray(found, object) if expected.dtype == object else np.asarray(found)
    assert found.shape == expected.shape
    if expected.dtype == object:
        assert found.reshape(-1).tolist() == expected.reshape(-1).tolist()
    else:
        assert (found.dtype, found.tobytes()) == (expected.dtype, expected.tobytes())


@st.composite
def arrays(draw, dtype=None, shape=None):
    dtype = np.dtype(draw(st.sampled_from(NUMPY_DTYPES)) if dtype is None else dtype)
    if shape is None:
        shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    count = int(np.prod(shape))
    if dtype.kind == "O":
        array = np.empty(count, object)
        array[:] = draw(st.lists(st.binary(max_size=200), min_size=count, max_size=count))
        return array.reshape(shape)
    data = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    if dtype == np.bool_:
        data = bytes(byte & 1 for byte in data)
    return np.frombuffer(data, dtype).reshape(shape)


@st.composite
def contents(draw):
    """Pieces of some tensors, and those tensors by name."""
    # TensorFlow's op takes names as text; NUL and surrogates cannot be given to it from Python.
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    names = draw(st.lists(st.text(characters, min_size=1, max_size=40), min_size=1, max_size=6, unique=True))
    pieces, whole = [], {}
    for name in names:
        array = whole[name] = draw(arrays())
        cuts = []
        # TensorFlow puts half, unsigned and string pieces together only one by one, so they are left whole.
        if array.ndim and array.dtype.name in ("float32", "float64", "int32", "int64", "bool", "complex64", "bfloat16"):
            axis = draw(st.integers(0, array.ndim - 1))
            size = array.shape[axis]
            cuts = sorted(draw(st.sets(st.integers(1, max(1, size - 1)), max_size=2 if size > 1 else 0)))
        if not cuts or not array.size:
            pieces.append((name, array, None, None))
            continue
        for start, stop in zip([0, *cuts], [*cuts, size], strict=True):
            extents = [(0, -1) if draw(st.booleans()) else (0, n) for n in array.shape]
            extents[axis] = (start, stop - start)
            index = [slice(None)] * array.ndim
            index[axis] = slice(start, stop)
            pieces.append((name, np.ascontiguousarray(array[tuple(index)]), array.shape, tuple(extents)))
    return draw(st.permutations(pieces)), whole


few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@few
@given(contents())
def test_what_tensorflow_writes_is_read(tmp_path_factory, drawn):
    pieces, whole = drawn
    prefix = tmp_path_factory.mktemp("theirs") / "m"
    save(prefix, pieces)
    opened = checkpoint.open(prefix)
    assert opened.names() == sorted(whole, key=str.encode)
    for name, array in opened.read_all().items():
        assert_same(array, whole[name])


@few
@given(contents(), st.integers(1, 3))
def test_what_is_written_tensorflow_reads(tmp_path_factory, drawn, shards):
    pieces, whole = drawn
    prefix = tmp_path_factory.mktemp("ours") / "m"
    checkpoint.write(prefix, pieces, shards=shards)
    found = restore(prefix, [(name, tf.string if a.dtype == object else a.dtype) for name, a in whole.items()])
    for array, expected in zip(found, whole.values(), strict=True):
        assert_same(array, expected)
    for name, array in checkpoint.open(prefix).read_all().items():
        assert_same(array, whole[name])


@few
@given(contents())
def test_both_write_the_same_tensors(tmp_path_factory, drawn):
    """TensorFlow 2 aligns nothing either, so that even the bytes are equal."""
    pieces, _ = drawn
    folder = tmp_path_factory.mktemp("both")
    save(folder / "theirs", pieces)
    checkpoint.write(folder / "ours", pieces)
    for suffix in (".index", ".data-00000-of-00001"):
        assert (folder / f"ours{suffix}").read_bytes() == (folder / f"theirs{suffix}").read_bytes()


def test_a_saver_of_tensorflow_restores_what_is_written(tmp_path):
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    checkpoint.write(tmp_path / "m-7", {"w": rows, "step": np.int64(7), "text": np.array([b"a", b""], object)})
    checkpoint.write_state(str(tmp_path), str(tmp_path / "m-7"))
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.get_variable("w", [5, 2])
        step = tf.get_variable("step", [], tf.int64)
        tf.train.Saver().restore(session, tf.train.latest_checkpoint(str(tmp_path)))
        assert session.run(step) == 7
        assert session.run(w).tolist() == rows.tolist()
    assert tf.train.load_checkpoint(str(tmp_path)).get_tensor("text").tolist() == [b"a", b""]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("sharded", [False, True])
def test_a_saver_s_files_are_read(tmp_path, version, sharded):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("a", initializer=np.float32([1.5, -2]))
        tf.get_variable("part", [6, 2], partitioner=tf.fixed_size_partitioner(3), initializer=tf.ones_initializer())
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(write_version=version, sharded=sharded)
        saver.save(session, str(tmp_path / "m"), global_step=3, write_meta_graph=False)
    opened = checkpoint.open(tmp_path)
    assert opened.version == version
    assert opened["a"].tolist() == [1.5, -2]
    assert opened["part"].tolist() == [[1, 1]] * 6
    assert len(opened.pieces("part")) == 3


@pytest.mark.parametrize("number", [dtype.number for dtype in dtypes.ALL if dtype.is_quantized])
def test_quantized_types_are_exchanged(tmp_path, number):
    dtype = dtypes.from_number(number)
    values = np.array([1, 2, 100], dtype.numpy)
    checkpoint.write(tmp_path / "m", [checkpoint.Tensor("q", values, dtype=dtype)])
    assert tf.train.load_checkpoint(str(tmp_path / "m")).get_variable_to_dtype_map()["q"].as_datatype_enum == number
    (found,) = restore(tmp_path / "m", [("q", tf.as_dtype(number))])
    assert found.astype(dtype.numpy).tolist() == [1, 2, 100]


def test_a_missing_data_file_is_named_as_tensorflow_names_it(tmp_path):
    checkpoint.write(tmp_path / "m", {"w": np.ones(2)})
    (tmp_path / "m.data-00000-of-00001").unlink()
    with pytest.raises(MissingFileError, match=r"m\.data-00000-of-00001"):
        checkpoint.open(tmp_path / "m").read("w")
    with pytest.raises(tf.errors.NotFoundError, match=r"m\.data-00000-of-00001"):
        restore(tmp_path / "m", [("w", tf.float64)])


def test_big_endian_files_are_read_as_tensorflow_reads_them(tmp_path):
    numbers = np.array([1, -2, 300], ">i4").tobytes()
    lengths = crc32c(np.array([1, 300], ">u4"))
    tail = mask(lengths).to_bytes(4, "big") + b"a" + b"b" * 300
    strings = b"\x01\xac\x02" + tail
    write_bundle(
        tmp_path / "m",
        numbers + strings,
        {
            b"numbers": entry(numbers, (3,), dtype=3),
            b"strings": entry(strings, (2,), dtype=7, offset=12, crc32c=mask(crc32c(tail, lengths))),
        },
        endianness=1,
    )
    found = restore(tmp_path / "m", [("numbers", tf.int32), ("strings", tf.string)])
    opened = checkpoint.open(tmp_path / "m")
    for name, array in zip(("numbers", "strings"), found, strict=True):
        assert_same(array, opened[name])
    assert opened["numbers"].tolist() == [1, -2, 300]
