"""BMP files of 8, 24 or 32 bits a pixel, without compression or palette, which is all that TensorFlow reads."""

from __future__ import annotations

import struct

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.strings import as_bytes
from mgjax.ops import lower


@lower("DecodeBmp", host=True)
def decode_bmp_op(contents, *, channels=0):
    """The image in a BMP file, uint8 `[height, width, channel]`; `channels` must be those of the file, or 0."""
    data = as_bytes(contents[()])
    if len(data) < 32 or not data.startswith(b"BM"):
        raise InvalidArgumentError(f"Incomplete or no bmp content, its {len(data)} bytes begin with {data[:2]!r}")
    begin, _, width, height, _, bits = struct.unpack_from("<IIiiHH", data, 10)
    given = bits // 8
    if given not in (1, 3, 4) or channels not in (0, given):
        raise InvalidArgumentError(f"channels attribute {channels} does not match bits per pixel from file {given}")
    if width <= 0 or height == 0:
        raise InvalidArgumentError(f"bmp file of width {width} and height {height}")
    # Rows are filled up to four bytes, and come from the bottom unless the height is negative.
    stride = -(-width * given // 4) * 4
    if len(data) < begin + stride * abs(height):
        raise InvalidArgumentError(f"Incomplete bmp content, got {len(data)} of {begin + stride * abs(height)} bytes")
    rows = np.frombuffer(data, np.uint8, stride * abs(height), begin).reshape(abs(height), stride)
    pixels = rows[:: -1 if height > 0 else 1, : width * given].reshape(abs(height), width, given)
    # Blue comes first.
    return np.ascontiguousarray(pixels[..., [0] if given == 1 else [2, 1, 0, 3][:given]])
