"""Raw snappy, from streams put together by hand after its format description."""

import pytest

from mgjax.checkpoint.snappy import decompress


@pytest.mark.parametrize(
    "stream, result",
    [
        (b"\x00", b""),
        (b"\x03\x08abc", b"abc"),
        # A literal whose length takes a further byte: 60 << 2, then 69 for 70 bytes.
        (b"\x46\xf0\x45" + b"x" * 70, b"x" * 70),
        # "ab", then a copy of 4 + 2 bytes from 2 back: kind 1, which runs over into its own output.
        (b"\x08\x04ab\x09\x02", b"abababab"),
        # The same with a 2-byte and a 4-byte offset.
        (b"\x08\x04ab\x16\x02\x00", b"abababab"),
        (b"\x08\x04ab\x17\x02\x00\x00\x00", b"abababab"),
        # Kind 1 with an offset of 256: its upper bits are in the tag.
        (b"\x84\x02\xf0\xff" + bytes(range(256)) + b"\x21\x00", bytes(range(256)) + bytes(range(4))),
    ],
)
def test_elements_are_put_together(stream, result):
    assert decompress(stream) == result


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\xff\xff\xff\xff\xff\xff",
        b"\x03\x08ab",  # ends within a literal
        b"\x02\x08abc",  # more than announced
        b"\x04\x08abc",  # less than announced
        b"\x08\x04ab\x09\x03",  # a copy from before the start
        b"\x08\x04ab\x09\x00",  # a copy from nowhere
        b"\x08\x04ab\x16\x02",  # ends within an offset
        b"\xff\xff\xff\x7f\x04ab",  # announces 256 MiB
    ],
)
def test_other_bytes_are_refused(stream):
    with pytest.raises(ValueError):
        decompress(stream)
