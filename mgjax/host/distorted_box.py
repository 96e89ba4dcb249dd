"""A random crop of an image that still shows enough of one of its objects, as image classifiers are trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.streams import Words, below
from mgjax.ops import lower, philox

_Box = tuple[int, int, int, int]


@lower("SampleDistortedBoundingBox", host=True, draws=True)
def sample_distorted_bounding_box(
    image_size,
    bounding_boxes,
    *,
    min_object_covered=0.1,
    aspect_ratio_range=(0.75, 1.33),
    area_range=(0.05, 1.0),
    max_attempts=100,
    use_image_if_no_bounding_boxes=False,
    generator,
):
    """The begin and size of a slice of [height, width, channel], and the box that it is, of floats [1, 1, 4]."""
    return sample_distorted_bounding_box_v2(
        image_size,
        bounding_boxes,
        np.float32(min_object_covered),
        aspect_ratio_range=aspect_ratio_range,
        area_range=area_range,
        max_attempts=max_attempts,
        use_image_if_no_bounding_boxes=use_image_if_no_bounding_boxes,
        generator=generator,
    )


@lower("SampleDistortedBoundingBoxV2", host=True, draws=True)
def sample_distorted_bounding_box_v2(
    image_size,
    bounding_boxes,
    min_object_covered,
    *,
    aspect_ratio_range=(0.75, 1.33),
    area_range=(0.05, 1.0),
    max_attempts=100,
    use_image_if_no_bounding_boxes=False,
    generator,
):
    """As `sample_distorted_bounding_box`; boxes [batch, n, 4] are (top, left, bottom, right) between 0 and 1."""
    height, width = int(image_size[0]), int(image_size[1])
    if height <= 0 or width <= 0:
        raise InvalidArgumentError(f"Image height and width must be positive, got {height} and {width}")
    boxes = _in_pixels(np.reshape(bounding_boxes, (-1, 4)), height, width)
    if not boxes:
        if not use_image_if_no_bounding_boxes:
            raise InvalidArgumentError(
                "No bounding boxes provided as input. One must enable use_image_if_no_bounding_boxes if you wish to not "
                "provide any bounding boxes."
            )
        boxes = [(0, 0, height, width)]
    stream = Words.of(generator)
    low, high = (np.float32(x) for x in aspect_ratio_range)
    crop = (0, 0, height, width)
    for _ in range(max_attempts):
        ratio = _unit(next(stream)) * (high - low) + low
        attempt = _crop(height, width, area_range, ratio, stream)
        if attempt is not None and _shows_enough(attempt, float(min_object_covered), boxes):
            crop = attempt
            break
    top, left, bottom, right = crop
    dtype = image_size.dtype
    box = np.array(crop, np.float32) / np.array([height, width, height, width], np.float32)
    return (
        np.array([top, left, 0], dtype),
        np.array([bottom - top, right - left, -1], dtype),
        box.reshape(1, 1, 4),
        np.asarray(philox.skip(generator, max_attempts)),
    )


def _in_pixels(boxes: np.ndarray, height: int, width: int) -> list[_Box]:
    scale = np.array([height, width, height, width], np.float32)
    if np.any(boxes < 0) or np.any(boxes > 1) or np.any(boxes[:, :2] >= boxes[:, 2:]):
        raise InvalidArgumentError("bounding boxes must lie between 0 and 1, with top < bottom and left < right")
    return [tuple(int(x) for x in box) for box in boxes.astype(np.float32) * scale]  # type: ignore[misc]


def _crop(height: int, width: int, area_range, ratio: np.float32, stream: Iterator[int]) -> _Box | None:
    """A crop of an aspect ratio and a random area at a random place, or None where rounding leaves none in the range."""
    if ratio <= 0 or area_range[0] > area_range[1] or area_range[1] <= 0:
        return None
    size = np.float32(width), np.float32(height)
    least, most = (np.float32(share) * size[0] * size[1] for share in area_range)
    tall = _round(np.sqrt(least / ratio))
    tallest = _round(np.sqrt(most / ratio))
    if _round(np.float32(tallest) * ratio) > width:
        # The tallest crop that is not too wide; once more a pixel less where rounding has the last word.
        tallest = int((np.float32(width) + 0.5 - np.float32(1e-7)) / ratio)
        if _round(np.float32(tallest) * ratio) > width:
            tallest -= 1
    tallest = min(tallest, height)
    tall = min(tall, tallest)
    if tall < tallest:
        tall += below(tallest - tall + 1, stream)
    wide = _round(np.float32(tall) * ratio)
    for step, misses in ((1, lambda area: area < least), (-1, lambda area: area > most)):
        if misses(np.float32(wide * tall)):
            tall += step
            wide = _round(np.float32(tall) * ratio)
    area = np.float32(wide * tall)
    if not least <= area <= most or wide > width or tall > height or wide <= 0 or tall <= 0:
        return None
    top = below(height - tall, stream) if tall < height else 0
    left = below(width - wide, stream) if wide < width else 0
    return top, left, top + tall, left + wide


def _shows_enough(crop: _Box, wanted: float, boxes: list[_Box]) -> bool:
    """Whether the crop covers at least that share of one of the boxes that have an area."""
    for top, left, bottom, right in boxes:
        area = (bottom - top) * (right - left)
        if area <= 0:
            continue
        tall = max(min(bottom, crop[2]) - max(top, crop[0]), 0)
        wide = max(min(right, crop[3]) - max(left, crop[1]), 0)
        if np.float32(tall * wide) / np.float32(area) >= np.float32(wanted):
            return True
    return False


def _unit(word: int) -> np.float32:
    return np.array(0x3F800000 | (word & 0x7FFFFF), np.uint32).view(np.float32)[()] - np.float32(1)


def _round(x: np.float32) -> int:
    """To the nearest integer, halves to the even one."""
    return int(np.rint(x)) if math.isfinite(x) else 0
