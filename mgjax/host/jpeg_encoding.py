"""JPEG files, sequential, with the usual Huffman tables, as libjpeg writes them for TensorFlow."""

from __future__ import annotations

import struct

import numpy as np

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.host.jpeg import ZIGZAG
from mgjax.ops import lower

# Annex K of ITU-T T.81, in zigzag order: quantization of luminance and of colour differences, for quality 50.
_QUANTIZATION = (
    bytes.fromhex(
        "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933383740485c4e404457453738506d51575f6267686"
        "73e4d71797064785c656763"
    ),
    bytes.fromhex("111212181518 2f1a1a2f634238426363636363" + "63" * 45),
)
# For DC and AC: how many codes have each length from 1 to 16, and their symbols.
_HUFFMAN = {
    0x00: "00010501010101010100000000000000 000102030405060708090a0b",
    0x10: "0002010303020403050504040000017d 0102030004110512213141061351610722711432819"
    "1a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a636465"
    "666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8"
    "c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa",
    0x01: "00030101010101010101010000000000 000102030405060708090a0b",
    0x11: "00020102040403040705040400010277 000102031104052131061241510761711322328108144291a1b1c109233352f0156272d1"
    "0a162434e125f11718191a262728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a8283"
    "8485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5"
    "e6e7e8e9eaf2f3f4f5f6f7f8f9fa",
}


@lower("EncodeJpeg", host=True)
def encode_jpeg_op(
    image,
    *,
    format="",
    quality=95,
    progressive=False,
    optimize_size=False,
    chroma_downsampling=True,
    density_unit="in",
    x_density=300,
    y_density=300,
    xmp_metadata="",
):
    """The JPEG file of an image, uint8 `[height, width, 1 or 3]`, byte for byte TensorFlow's."""
    if progressive or optimize_size or xmp_metadata:
        raise UnsupportedError(
            "JPEG files that are progressive, of optimized size or with XMP metadata are not written"
        )
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise InvalidArgumentError(
            f"image must be 3-dimensional with 1 or 3 channels, its shape is {list(image.shape)}"
        )
    if {"grayscale": 1, "rgb": 3}.get(format, image.shape[2]) != image.shape[2]:
        raise InvalidArgumentError(f"format {format!r} does not fit an image of {image.shape[2]} channels")
    unit = {"in": 1, "cm": 2}[density_unit]
    return np.array(encode_jpeg(image, quality, chroma_downsampling, (unit, x_density, y_density)), object)


@lower("EncodeJpegVariableQuality", host=True)
def encode_jpeg_variable_quality(images, quality):
    """`encode_jpeg_op` with the quality, 0 to 100, as a tensor."""
    if not 0 <= quality <= 100:
        raise InvalidArgumentError(f"quality must be in [0,100], got {int(quality)}")
    return encode_jpeg_op(images, quality=int(quality))


def encode_jpeg(
    image: np.ndarray, quality: int = 95, downsample: bool = True, density: tuple[int, int, int] = (1, 300, 300)
) -> bytes:
    """A JPEG file of `[height, width, 1 or 3]`, uint8; `downsample` halves the resolution of colour differences."""
    height, width, channels = image.shape
    tables = [_quantization(table, quality) for table in _QUANTIZATION[: 1 if channels == 1 else 2]]
    factor = 2 if downsample and channels == 3 else 1
    file = [b"\xff\xd8", _segment(0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", *density, 0, 0))]
    file += [_segment(0xDB, bytes([k]) + table.astype(np.uint8).tobytes()) for k, table in enumerate(tables)]
    parts = b"".join(bytes([k + 1, 17 * (factor if k == 0 else 1), min(k, 1)]) for k in range(channels))
    file.append(_segment(0xC0, struct.pack(">BHHB", 8, height, width, channels) + parts))
    numbers = (0x00, 0x10) if channels == 1 else tuple(_HUFFMAN)
    file += [_segment(0xC4, bytes([number]) + bytes.fromhex(_HUFFMAN[number])) for number in numbers]
    parts = b"".join(bytes([k + 1, 17 * min(k, 1)]) for k in range(channels))
    file.append(_segment(0xDA, bytes([channels]) + parts + b"\0\x3f\0"))

    planes = _luminance_and_colors(image) if channels == 3 else [image[..., 0].astype(np.int64)]
    blocks = [
        _blocks(plane, tables[min(k, 1)], 1 if k == 0 else factor, factor if k == 0 else 1, (height, width), factor)
        for k, plane in enumerate(planes)
    ]
    return b"".join(file) + _coded(blocks, factor) + b"\xff\xd9"


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _quantization(table: bytes, quality: int) -> np.ndarray:
    """A quantization table for a quality from 1 to 100, in zigzag order."""
    quality = min(max(quality, 1), 100)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.frombuffer(table, np.uint8).astype(np.int64) * scale + 50) // 100, 1, 255)


def _luminance_and_colors(image: np.ndarray) -> list[np.ndarray]:
    """Luminance and the differences of blue and red, in fixed point of 16 bits (jccolor.c)."""
    rgb = image.astype(np.int64)
    luminance = (rgb @ np.array([19595, 38470, 7471]) + 32768) >> 16
    blue, red = (rgb @ np.array(w) for w in ([-11059, -21709, 32768], [32768, -27439, -5329]))
    return [luminance, *((x + (128 << 16) + 32767) >> 16 for x in (blue, red))]


def _blocks(plane, table, shrink, sampling, size, factor) -> np.ndarray:
    """Quantized coefficients of a component, `[block row, block column, 64]` in zigzag order, in whole units.

    `shrink` is by how much its samples are fewer than the image's, `sampling` how many blocks a unit has each way.
    """
    own = [-(-n // (8 * shrink)) for n in size]
    units = [-(-n // (8 * factor)) for n in size]
    height, width = own[0] * 8, own[1] * 8
    plane = np.pad(plane, [(0, -size[0] % shrink), (0, width * shrink - size[1])], mode="edge")
    if shrink == 2:
        total = plane[::2, ::2] + plane[::2, 1::2] + plane[1::2, ::2] + plane[1::2, 1::2]
        # Rounds down and up in turn (jcsample.c).
        plane = (total + 1 + np.arange(width) % 2) >> 2
    plane = np.pad(plane, [(0, height - plane.shape[0]), (0, 0)], mode="edge")
    samples = plane.reshape(own[0], 8, own[1], 8).transpose(0, 2, 1, 3) - 128
    natural = np.zeros(64, np.int64)
    natural[ZIGZAG] = table
    divisors = natural.reshape(8, 8) * 8
    values = _transform(samples)
    quantized = np.sign(values) * ((np.abs(values) + divisors // 2) // divisors)
    blocks = quantized.reshape(*own, 64)[..., ZIGZAG]
    # What units need beyond that are blocks of one value, that of the block coded before.
    filled = np.zeros([units[0] * sampling, units[1] * sampling, 64], np.int64)
    filled[: own[0], : own[1]] = blocks
    filled[: own[0], own[1] :, 0] = blocks[:, -1:, 0]
    for row in range(own[0], filled.shape[0]):
        before = filled[row - 1, sampling - 1 :: sampling, 0]
        filled[row, :, 0] = before.repeat(sampling)
    return filled


def _transform(samples: np.ndarray) -> np.ndarray:
    """Coefficients of blocks `[..., 8, 8]`, times eight: libjpeg's exact integer transform (jfdctint.c)."""
    rows = np.stack(_pass(np.moveaxis(samples, -1, 0), 2), axis=-1)
    return np.stack(_pass(np.moveaxis(rows, -2, 0), -2), axis=-2)


def _pass(x, shift):
    """The transform along the first axis, its products in fixed point of 13 bits, all times 2^shift."""

    def scaled(value, bits):
        return value << -bits if bits <= 0 else (value + (1 << (bits - 1))) >> bits

    sums, differences = [x[i] + x[7 - i] for i in range(4)], [x[i] - x[7 - i] for i in range(4)]
    a, d = sums[0] + sums[3], sums[0] - sums[3]
    b, c = sums[1] + sums[2], sums[1] - sums[2]
    turned = (c + d) * 4433
    s, r, q, p = differences
    both = (p + q + r + s) * 9633
    odd, even = (p + r) * -16069 + both, (q + s) * -3196 + both
    outer, inner = (p + s) * -7373, (q + r) * -20995
    products = {
        1: s * 12299 + outer + even,
        2: turned + d * 6270,
        3: r * 25172 + inner + odd,
        5: q * 16819 + inner + even,
        6: turned - c * 15137,
        7: p * 2446 + outer + odd,
    }
    whole = {0: a + b, 4: a - b}
    return [scaled(whole[k], -shift) if k in whole else scaled(products[k], 13 - shift) for k in range(8)]


def _coded(components: list[np.ndarray], factor: int) -> bytes:
    """The coded data: units of blocks of all components, in rows."""
    tables = [[_codes(_HUFFMAN[kind | min(k, 1)]) for kind in (0x00, 0x10)] for k in range(len(components))]
    samplings = [factor if k == 0 else 1 for k in range(len(components))]
    rows, columns = (n // factor for n in components[0].shape[:2])
    last = [0] * len(components)
    bits: list[str] = []
    for row in range(rows):
        for column in range(columns):
            for k, (blocks, n) in enumerate(zip(components, samplings, strict=True)):
                for block in blocks[row * n : (row + 1) * n, column * n : (column + 1) * n].reshape(-1, 64).tolist():
                    _code_block(block, last[k], *tables[k], bits)
                    last[k] = block[0]
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    return int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\0")


def _codes(table: str) -> dict[int, str]:
    """The code of each symbol."""
    counts, symbols = map(bytes.fromhex, table.split())
    codes, code, at = {}, 0, 0
    for length, count in enumerate(counts, start=1):
        for symbol in symbols[at : at + count]:
            codes[symbol] = f"{code:0{length}b}"
            code += 1
        at, code = at + count, code << 1
    return codes


def _code_block(block: list[int], before: int, dc: dict[int, str], ac: dict[int, str], bits: list[str]) -> None:
    difference = block[0] - before
    bits += dc[abs(difference).bit_length()], _number(difference)
    zeros = 0
    for value in block[1:]:
        if not value:
            zeros += 1
            continue
        while zeros > 15:
            bits.append(ac[0xF0])
            zeros -= 16
        bits += ac[zeros << 4 | abs(value).bit_length()], _number(value)
        zeros = 0
    if zeros:
        bits.append(ac[0])


def _number(value: int) -> str:
    """The bits of a number; of a negative one, those of its size turned over."""
    if not value:
        return ""
    length = abs(value).bit_length()
    return f"{value if value > 0 else value + (1 << length) - 1:0{length}b}"
