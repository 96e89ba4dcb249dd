"""BMP files of 8, 24 or 32 bits a pixel, without compression or palette, which is all that TensorFlow reads."""

from __future__ import annotations

import struct

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.strings import as_bytes
from mgjax.ops import lower
from mgjax.shapes import describe


@lower("DecodeBmp", host=True)
def decode_bmp_op(contents, *, channels=0):
    """The image in a BMP file, uint8 `[height, width, channel]`; `channels` must be those of the file, or 0.

    What the file begins with is not looked at, nor how it is compressed (core/kernels/decode_bmp_op.cc).
    """
    if contents.ndim:
        raise InvalidArgumentError(f"contents must be scalar, got shape {describe(contents.shape)}")
    data = as_bytes(contents[()])
    if len(data) < 32:
        raise InvalidArgumentError(
            "Incomplete bmp content, requires at least 32 bytes to find the header size, width, height, and bpp, got "
            f"{len(data)} bytes"
        )
    (begin,), (width, height), (bits,) = (
        struct.unpack_from(format, data, at) for format, at in (("<i", 10), ("<ii", 18), ("<i", 28))
    )
    given = int(bits / 8)
    if channels and channels != given:
        raise InvalidArgumentError(f"channels attribute {channels} does not match bits per pixel from file {given}")
    if given not in (1, 3, 4):
        raise InvalidArgumentError(f"Number of channels must be 1, 3 or 4, was {given}")
    if width <= 0:
        raise InvalidArgumentError("Width must be positive")
    if height == 0:
        raise InvalidArgumentError("Height must be nonzero")
    if begin < 0:
        raise InvalidArgumentError("header size must be nonnegative")
    rows = abs(height)
    if width * rows >= (2**31 - 1) // 8:
        raise InvalidArgumentError("Total possible pixel bytes must be less than 2^30")
    # Rows are filled up to four bytes, but for the last one, and come from the bottom unless the height is negative.
    stride = -(-width * given // 4) * 4
    expected = begin + (rows - 1) * stride + width * given
    if len(data) < expected:
        raise InvalidArgumentError(f"Incomplete bmp content, requires at least {expected} bytes, got {len(data)} bytes")
    pixels = np.zeros(rows * stride, np.uint8)
    found = np.frombuffer(data, np.uint8, expected - begin, begin)
    pixels[: len(found)] = found
    pixels = pixels.reshape(rows, stride)[:: -1 if height > 0 else 1, : width * given].reshape(rows, width, given)
    # Blue comes first.
    return np.ascontiguousarray(pixels[..., [0] if given == 1 else [2, 1, 0, 3][:given]])
