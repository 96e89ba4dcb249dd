import struct

import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check


def bmp(pixels, upwards=True):
    """A file of `[height, width, channel]`, blue first."""
    height, width, channels = pixels.shape
    rows = pixels[::-1] if upwards else pixels
    fill = bytes(-width * channels % 4)
    body = b"".join(row.tobytes() + fill for row in rows)
    header = struct.pack("<IiiHHIIiiII", 40, width, height if upwards else -height, 1, 8 * channels, *[0] * 6)
    return np.array(b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + header + body, object)


def pixels(channels):
    return np.random.default_rng(0).integers(0, 256, [4, 5, channels], np.uint8)


@pytest.mark.parametrize("upwards", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_files_are_decoded_as_tensorflow_decodes_them(channels, upwards):
    check("DecodeBmp", {"contents": bmp(pixels(channels), upwards)})
    if channels > 1:  # 2.x refuses 1 as an attr, not as what the file has.
        check("DecodeBmp", {"contents": bmp(pixels(channels), upwards)}, {"channels": channels})


def test_neither_the_first_bytes_nor_the_end_of_the_last_row_matter():
    """As in 1.15; TensorFlow 2 wants the first bytes."""
    whole = bmp(pixels(3))[()]
    damaged = np.array(b"B@" + whole[2:-1], object)
    np.testing.assert_array_equal(REGISTRY["DecodeBmp"].function(damaged), pixels(3)[..., ::-1])


@pytest.mark.parametrize("keep", [1, 40, 60])
def test_truncated_files_are_refused(keep):
    with pytest.raises(InvalidArgumentError):
        REGISTRY["DecodeBmp"].function(np.array(bmp(pixels(3))[()][:keep], object))
