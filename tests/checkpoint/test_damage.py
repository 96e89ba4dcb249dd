"""Files that are not what they should be: a documented error or the right answer, never anything else."""

import contextlib
import io
import random
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mgjax import checkpoint
from mgjax.checkpoint.checksum import crc32c, mask, masked_crc32c
from mgjax.checkpoint.slices import encode_key
from mgjax.checkpoint.table import TableWriter
from mgjax.errors import MissingFileError, ReadError, RestoreError, UnknownNameError, UnsupportedError
from mgjax.proto.checkpoint_pb2 import BundleEntryProto, BundleHeaderProto

DATA = Path(__file__).parent / "data"
DOCUMENTED = (ReadError, UnsupportedError, RestoreError, UnknownNameError)
SAMPLES = {"v2": ["v2.index", "v2.data-00000-of-00001"], "v2-partitioned": ["v2-partitioned.index"], "v1": ["v1"]}


def write_table(path, entries):
    file = io.BytesIO()
    table = TableWriter(file)
    for key in sorted(entries):
        table.add(key, entries[key])
    table.finish()
    Path(path).write_bytes(file.getvalue())


def entry(data=b"", dims=(), **fields):
    message = BundleEntryProto(**{"dtype": 1, "size": len(data), "crc32c": masked_crc32c(data), **fields})
    message.shape.SetInParent()
    for size in dims:
        message.shape.dim.add(size=size)
    return message


def write_bundle(prefix, data, entries, **header):
    message = BundleHeaderProto(**{"num_shards": 1, **header})
    table = {b"": message.SerializeToString()}
    write_table(f"{prefix}.index", table | {key: value.SerializeToString() for key, value in entries.items()})
    Path(f"{prefix}.data-00000-of-00001").write_bytes(data)
    return checkpoint.open(prefix)


def copy_of(name, folder):
    for file in DATA.glob(f"{name}*"):
        if file.name == name or file.name.startswith(f"{name}."):
            shutil.copy(file, folder)
    return folder / name


def read_everything(prefix):
    opened = checkpoint.open(prefix)
    return {name: (str(opened.dtype(name)), array.tolist()) for name, array in opened.read_all().items()}


@pytest.mark.parametrize("file", [file for files in SAMPLES.values() for file in files])
def test_a_flipped_bit_is_an_error_or_changes_nothing(file, tmp_path):
    name = file.split(".")[0]
    prefix = copy_of(name, tmp_path)
    good = read_everything(prefix)
    data = (tmp_path / file).read_bytes()
    choose = random.Random(5)
    for position in range(0, len(data), 1 if len(data) < 600 else 3):
        damaged = bytearray(data)
        damaged[position] ^= 1 << choose.randrange(8)
        (tmp_path / file).unlink()  # a new file: the old one is still mapped
        (tmp_path / file).write_bytes(damaged)
        try:
            assert read_everything(prefix) == good
            # Only what no checksum covers may change without notice: the footer's padding.
            assert position >= len(data) - 48 and ".data" not in file
        except DOCUMENTED as error:
            assert str(tmp_path) in str(error)


@pytest.mark.parametrize("file", [file for files in SAMPLES.values() for file in files])
def test_a_truncated_file_is_an_error(file, tmp_path):
    name = file.split(".")[0]
    prefix = copy_of(name, tmp_path)
    data = (tmp_path / file).read_bytes()
    for size in range(0, len(data), 7):
        (tmp_path / file).unlink()
        (tmp_path / file).write_bytes(data[:size])
        with pytest.raises(DOCUMENTED):
            read_everything(prefix)


def test_a_damaged_tensor_is_named_with_its_file_and_place(tmp_path):
    prefix = copy_of("v2", tmp_path)
    path = tmp_path / "v2.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    offset = checkpoint.open(prefix)._files._entry(b"float").offset
    data[offset + 2] ^= 1
    path.unlink()
    path.write_bytes(data)
    opened = checkpoint.open(prefix)
    with pytest.raises(ReadError, match=rf"data-00000-of-00001: 'float' \(float32\[2, 3\], 24 bytes at {offset}\)"):
        opened.read("float")
    assert opened["int8"].tolist() == [-128, 127]
    assert checkpoint.open(prefix, verify=False)["float"].shape == (2, 3)


def test_a_short_data_file_is_out_of_range(tmp_path):
    opened = write_bundle(tmp_path / "m", bytes(7), {b"w": entry(bytes(8), (2,))})
    with pytest.raises(ReadError, match="the file ends at 7") as raised:
        opened.read("w")
    assert raised.value.code == 11


HUGE = 2**62


@pytest.mark.parametrize(
    "message",
    [
        entry(bytes(8), (3,)),  # type and shape need another size
        entry(bytes(8), (HUGE, HUGE)),
        entry(bytes(8), (0, HUGE, HUGE), size=0),
        entry(bytes(8), (-2,)),
        entry(bytes(8), (1,) * 100),
        entry(bytes(8), (2,), offset=-4),
        entry(bytes(8), (2,), offset=HUGE),
        entry(bytes(8), (2,), size=-8),
        entry(bytes(8), (2,), shard_id=-1),
        entry(bytes(8), (2,), shard_id=1),
        entry(bytes(8), (2,), dtype=99),
        entry(bytes(8), (2,), dtype=0),
        entry(bytes(8), (2,), dtype=20),  # a resource
        entry(bytes(8), (HUGE,), dtype=7),
        entry(b"\xff" * 8, (1,), dtype=7),
    ],
)
def test_a_forged_entry_is_an_error(message, tmp_path):
    opened = write_bundle(tmp_path / "m", bytes(8), {b"w": message, b"x": entry(bytes(8), (2,))})
    with pytest.raises(DOCUMENTED, match="'w'"):
        opened.read("w")
    assert opened["x"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "header, error",
    [
        ({"num_shards": 0}, ReadError),
        ({"num_shards": -1}, ReadError),
        ({"version": {"producer": 2, "min_consumer": 2}}, UnsupportedError),
        ({"version": {"producer": 1, "bad_consumers": [1]}}, UnsupportedError),
        ({"version": {"producer": -1}}, ReadError),
    ],
)
def test_a_header_for_others_is_an_error(header, error, tmp_path):
    with pytest.raises(error, match=r"m\.index"):
        write_bundle(tmp_path / "m", b"", {}, **header)


def test_as_many_shards_as_a_number_can_say_cost_nothing(tmp_path):
    opened = write_bundle(tmp_path / "m", b"", {b"w": entry(b"", (0,), shard_id=2**31 - 2)}, num_shards=2**31 - 1)
    with pytest.raises(MissingFileError, match="data-2147483646-of-2147483647"):
        opened.read("w")


def test_an_index_without_header_is_an_error(tmp_path):
    write_table(tmp_path / "m.index", {b"w": entry().SerializeToString()})
    with pytest.raises(ReadError, match="without the header"):
        checkpoint.open(tmp_path / "m")


def partitioned(dims, pieces, stored):
    whole = entry(dims=dims, size=0, crc32c=0)
    for piece in pieces:
        message = whole.slices.add()
        for start, length in piece:
            message.extent.add(start=start, length=length)
    return {b"w": whole} | {encode_key("w", piece): value for piece, value in stored.items()}


FOUR = np.arange(4, dtype=np.float32).tobytes()
FIRST, SECOND = ((0, 2),), ((2, 2),)


@pytest.mark.parametrize(
    "dims, pieces, stored, error",
    [
        ((4,), [FIRST, SECOND], {FIRST: entry(FOUR[:8], (2,))}, ReadError),  # one piece is not there
        ((4,), [FIRST], {FIRST: entry(FOUR[:8], (2,))}, RestoreError),  # pieces do not cover
        ((2**50,), [FIRST, SECOND], {FIRST: entry(FOUR[:8], (2,)), SECOND: entry(FOUR[:8], (2,))}, RestoreError),
        ((4,), [FIRST, FIRST], {FIRST: entry(FOUR[:8], (2,))}, RestoreError),  # the same twice
        ((4,), [((0, 2**60),)], {}, ReadError),  # not in the tensor
        ((4,), [((-1, 2),)], {}, ReadError),
        ((4,), [()], {}, ReadError),  # another rank
        ((4,), [FIRST, SECOND], {FIRST: entry(FOUR[:8], (2,)), SECOND: entry(FOUR[:4], (1,))}, ReadError),
    ],
)
def test_forged_pieces_are_an_error(dims, pieces, stored, error, tmp_path):
    opened = write_bundle(tmp_path / "m", FOUR, partitioned(dims, pieces, stored))
    with pytest.raises(error, match=r"'w'|tensor w"):
        opened.read("w")


def test_a_piece_of_another_type_is_an_error(tmp_path):
    stored = {FIRST: entry(FOUR[:8], (2,)), SECOND: entry(FOUR[8:], (2,), dtype=3, offset=8)}
    opened = write_bundle(tmp_path / "m", FOUR, partitioned((4,), [FIRST, SECOND], stored))
    with pytest.raises(ReadError, match="int32"):
        opened.read("w")


def test_overlapping_pieces_that_cover_are_read(tmp_path):
    wide = ((1, 3),)
    stored = {FIRST: entry(FOUR[:8], (2,)), wide: entry(FOUR[4:], (3,), offset=4)}
    opened = write_bundle(tmp_path / "m", FOUR, partitioned((4,), [FIRST, wide], stored))
    assert opened["w"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "array",
    [np.array([1, -2], np.int32), np.array([1.5, -3]), np.array([1 + 2j], np.complex64), np.array([True, False])],
)
def test_big_endian_files_are_swapped(array, tmp_path):
    data = array.astype(array.dtype.newbyteorder(">")).tobytes()
    number = {"int32": 3, "float64": 2, "complex64": 8, "bool": 10}[array.dtype.name]
    opened = write_bundle(tmp_path / "m", data, {b"w": entry(data, array.shape, dtype=number)}, endianness=1)
    assert opened["w"].dtype == array.dtype
    assert opened["w"].tolist() == array.tolist()


def test_big_endian_strings_are_read(tmp_path):
    lengths = crc32c(struct.pack(">2I", 1, 2))
    tail = struct.pack(">I", mask(lengths)) + b"abc"
    message = entry(b"\1\2" + tail, (2,), dtype=7, crc32c=mask(crc32c(tail, lengths)))
    opened = write_bundle(tmp_path / "m", b"\1\2" + tail, {b"w": message}, endianness=1)
    assert opened["w"].tolist() == [b"a", b"bc"]


@pytest.mark.parametrize("data", [b"", struct.pack("<I", 0xA282EAD8)])
def test_an_empty_string_tensor_may_have_a_checksum_or_not(data, tmp_path):
    message = entry(data, (0,), dtype=7, crc32c=mask(crc32c(data)))
    assert write_bundle(tmp_path / "m", data, {b"w": message})["w"].shape == (0,)


def resealed(block, change):
    """The first block of a table with its contents changed and a checksum that fits."""
    contents = bytearray(block[:-4])
    for position, value in change:
        contents[position % len(contents)] = value
    contents[-1] = 0
    return bytes(contents) + struct.pack("<I", masked_crc32c(bytes(contents)))


changes = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@example(name="v1", change=[(98, 8)])  # a tensor without slices
@given(name=st.sampled_from(["v2", "v2-partitioned", "v1", "v1-partitioned"]), change=changes)
def test_changed_blocks_with_right_checksums_are_an_error_or_an_answer(tmp_path_factory, name, change):
    folder = tmp_path_factory.mktemp("fuzz")
    prefix = copy_of(name, folder)
    path = folder / (f"{name}.index" if name.startswith("v2") else name)
    data = path.read_bytes()
    # The first data block ends where the metaindex, 13 bytes long, begins.
    end = data.index(bytes.fromhex("00000000 01000000 00"), 20, -48)
    end = data.rindex(bytes.fromhex("00000000 01000000 00"), 0, -48) if name.startswith("v2") else end
    path.unlink()
    path.write_bytes(resealed(data[:end], change) + data[end:])
    with contextlib.suppress(*DOCUMENTED):
        read_everything(prefix)
