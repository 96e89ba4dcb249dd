"""Tables, from bytes put together by hand after the format's description, and the round trip."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgjax.checkpoint.checksum import masked_crc32c
from mgjax.checkpoint.files import open_source
from mgjax.checkpoint.table import Table, TableWriter, _separator, _successor
from mgjax.errors import ReadError

EMPTY_BLOCK = bytes.fromhex("00000000 01000000")
MAGIC = bytes.fromhex("57fb808b247547db")


def block(contents, kind=0):
    typed = contents + bytes([kind])
    return typed + struct.pack("<I", masked_crc32c(typed))


def handle(offset, size):
    assert offset < 128 and size < 128
    return bytes([offset, size])


def file_of(*data_blocks, index=None):
    """A table of the given blocks, each with an index key of `~`."""
    body, entries = b"", b""
    for contents in data_blocks:
        entries += b"\0\1\2" + bytes([ord("a") + len(entries)]) + handle(len(body), len(contents))
        body += block(contents)
    metaindex = handle(len(body), len(EMPTY_BLOCK))
    body += block(EMPTY_BLOCK)
    index = entries + EMPTY_BLOCK if index is None else index
    index_handle = handle(len(body), len(index))
    return body + block(index) + (metaindex + index_handle).ljust(40, b"\0") + MAGIC


@pytest.fixture
def table_of(tmp_path):
    def open_table(data):
        path = tmp_path / "table"
        path.write_bytes(data)
        return Table(open_source(str(path)))

    return open_table


# Keys "ab" and "ac", the second of which shares a byte with the first.
TWO_ENTRIES = b"\0\2\1ab1" + b"\1\1\1c2" + EMPTY_BLOCK


def test_keys_are_put_together_from_what_they_share(table_of):
    assert list(table_of(file_of(TWO_ENTRIES))) == [(b"ab", b"1"), (b"ac", b"2")]


def test_a_key_is_found_through_the_index(table_of):
    index = b"\0\2\2ac" + handle(0, len(TWO_ENTRIES)) + EMPTY_BLOCK
    table = table_of(file_of(TWO_ENTRIES, index=index))
    assert [table.find(key) for key in (b"ab", b"ac", b"a", b"abc", b"b")] == [b"1", b"2", None, None, None]


def test_a_compressed_block_is_read(table_of):
    literal = bytes([len(TWO_ENTRIES), (len(TWO_ENTRIES) - 1) << 2]) + TWO_ENTRIES
    index = b"\0\2\2ac" + handle(0, len(literal)) + EMPTY_BLOCK
    body = block(literal, kind=1) + block(EMPTY_BLOCK) + block(index)
    footer = handle(len(literal) + 5, 8) + handle(len(literal) + 5 + 13, len(index))
    assert list(table_of(body + footer.ljust(40, b"\0") + MAGIC)) == [(b"ab", b"1"), (b"ac", b"2")]


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "too few for a table"),
        (bytes(48), "not a table"),
        (bytes(40) + MAGIC, "no room for its restart points|reaches beyond"),
        (b"\xff" * 40 + MAGIC, "no number"),
        (file_of(TWO_ENTRIES)[:-1], "not a table"),
        (file_of(b"\1\2\1ab1" + EMPTY_BLOCK), "does not fit"),  # shares with a key that is not there
        (file_of(b"\0\2\x7fab1" + EMPTY_BLOCK), "does not fit"),
        (file_of(b"\0\2\1ab1" + b"\0\2\1aa2" + EMPTY_BLOCK), "comes after"),
        (file_of(b"\0\2\1ab1" + struct.pack("<2I", 0, 2**32 - 1)), "no room"),
        (file_of(b"\0\2\1ab1" + b"\xff" * 16 + EMPTY_BLOCK), "no number"),
        (file_of(TWO_ENTRIES, TWO_ENTRIES), "does not begin after"),
        (file_of(TWO_ENTRIES, index=b"\0\1\2z\x70\x7f" + EMPTY_BLOCK), "reaches beyond"),
        # Two entries of the index that point to one block.
        (file_of(TWO_ENTRIES, index=b"\0\1\2y\0\1" + b"\0\1\2z\0\1" + EMPTY_BLOCK), "overlap"),
    ],
)
def test_forged_tables_are_refused(table_of, data, message):
    with pytest.raises(ReadError, match=message):
        list(table_of(data))


def test_a_block_of_unknown_compression_is_refused(table_of):
    data = bytearray(file_of(TWO_ENTRIES))
    data[: len(TWO_ENTRIES) + 5] = block(TWO_ENTRIES, kind=2)
    with pytest.raises(ReadError, match="compression type 2"):
        list(table_of(bytes(data)))


def test_every_flipped_bit_of_a_block_is_found(table_of):
    good = file_of(TWO_ENTRIES)
    for position in range(len(TWO_ENTRIES) + 5):
        for bit in range(8):
            data = bytearray(good)
            data[position] ^= 1 << bit
            with pytest.raises(ReadError, match="checksum mismatch"):
                list(table_of(bytes(data)))


@pytest.mark.parametrize(
    "key, limit, short", [(b"abc", b"abz", b"abd"), (b"abc", b"abd", b"abc"), (b"ab", b"abc", b"ab"), (b"", b"b", b"")]
)
def test_a_separator_lies_between(key, limit, short):
    assert _separator(key, limit) == short


def test_a_successor_is_raised_at_its_first_byte():
    assert _successor(b"abc") == b"b"
    assert _successor(b"\xff\xffa") == b"\xff\xffb"
    assert _successor(b"\xff") == b"\xff"


@given(st.dictionaries(st.binary(max_size=40), st.binary(max_size=300), max_size=60))
def test_what_is_written_reads_back(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("table") / "table"
    file = io.BytesIO()
    writer = TableWriter(file)
    for key in sorted(entries):
        writer.add(key, entries[key])
    writer.finish()
    path.write_bytes(file.getvalue())
    table = Table(open_source(str(path)))
    assert dict(table) == entries
    assert all(table.find(key) == value for key, value in entries.items())


def test_a_large_table_has_several_blocks(tmp_path):
    file = io.BytesIO()
    writer = TableWriter(file)
    entries = {b"key%06d" % i: bytes(1000) for i in range(1000)}
    for key, value in entries.items():
        writer.add(key, value)
    writer.finish()
    (tmp_path / "table").write_bytes(file.getvalue())
    table = Table(open_source(str(tmp_path / "table")))
    assert len(table._handles) == 4
    assert dict(table) == entries
    assert table.find(b"key000500") == bytes(1000)
    assert table.find(b"key0005005") is None
