import struct

import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check

PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 200, 0], [10, 20, 30]], np.uint8)


def compressed(indices):
    """LZW codes of three bits or more, the table cleared before it grows past four."""
    codes = []
    for i, index in enumerate(indices):
        codes += [4, int(index)] if i % 2 == 0 else [int(index)]
    codes.append(5)
    bits = sum(code << (3 * i) for i, code in enumerate(codes))
    data = bits.to_bytes(-(-3 * len(codes) // 8), "little")
    blocks = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255))
    return b"\x02" + blocks + b"\x00"


def frame(indices, left=0, top=0, interlaced=False):
    rows = indices
    if interlaced:
        order = [r for s, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for r in range(s, len(indices), step)]
        rows = indices[order]
    height, width = indices.shape
    return b"\x2c" + struct.pack("<4HB", left, top, width, height, 0x40 * interlaced) + compressed(rows.ravel())


def gif(height, width, *frames):
    header = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + PALETTE.tobytes()
    return np.array(header + b"".join(frames) + b"\x3b", object)


def indices(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 4, [height, width])


def test_frames_equal_tensorflow():
    check("DecodeGif", {"contents": gif(7, 5, frame(indices(7, 5)), frame(indices(7, 5, 1)))})


def test_rows_may_be_interlaced():
    check("DecodeGif", {"contents": gif(19, 5, frame(indices(19, 5), interlaced=True))})


def test_a_smaller_frame_is_laid_over_the_one_before():
    check("DecodeGif", {"contents": gif(7, 5, frame(indices(7, 5)), frame(indices(3, 2, 1), left=1, top=2))})


def test_codes_grow_with_the_table():
    # 1 1 1 1 1 1 1 1 1: the index, then codes that stand for two, three and three of it; the last has four bits.
    codes = [(4, 3), (1, 3), (6, 3), (7, 3), (8, 4), (5, 4)]
    bits, place = 0, 0
    for code, width in codes:
        bits, place = bits | code << place, place + width
    data = bits.to_bytes(-(-place // 8), "little")
    body = b"\x2c" + struct.pack("<4HB", 0, 0, 5, 2, 0) + b"\x02" + bytes([len(data)]) + data + b"\x00"
    contents = gif(2, 5, body)
    found = REGISTRY["DecodeGif"].function(contents)
    assert np.array_equal(found, np.broadcast_to(PALETTE[1], [1, 2, 5, 3]))
    check("DecodeGif", {"contents": contents})


@pytest.mark.parametrize("keep", [20, 40])
def test_truncated_files_are_refused(keep):
    data = gif(7, 5, frame(indices(7, 5)))[()]
    with pytest.raises(InvalidArgumentError, match="Invalid GIF data"):
        REGISTRY["DecodeGif"].function(np.array(data[:keep], object))
