"""The geometry of windows over images: data formats and padding, as convolution and pooling share them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mgjax.errors import UnsupportedError

_FORMATS = {"NHWC": (1, 2), "NCHW": (2, 3), "NDHWC": (1, 2, 3), "NCDHW": (2, 3, 4)}


def spatial_axes(data_format: str) -> tuple[int, ...]:
    """The axes of height and width, or of depth, height and width."""
    try:
        return _FORMATS[data_format]
    except KeyError:
        raise UnsupportedError(f"data_format {data_format!r} is not supported ({', '.join(_FORMATS)} are)") from None


def channel_axis(data_format: str) -> int:
    """The axis of the channels."""
    spatial_axes(data_format)
    return data_format.index("C")


def pairs(
    padding: str,
    sizes: Sequence[int],
    windows: Sequence[int],
    strides: Sequence[int],
    explicit_paddings: Sequence[int] = (),
) -> list[tuple[int, int]]:
    """Elements of padding before and after each axis.

    SAME: as many windows as strides begin within the axis; an odd element of padding comes after.

    Args:
        padding: SAME, VALID or EXPLICIT.
        sizes, windows, strides: of each axis; a dilated window counts with its gaps.
        explicit_paddings: for EXPLICIT, before and after each axis in turn.
    """
    if padding == "VALID":
        return [(0, 0)] * len(sizes)
    if padding == "EXPLICIT":
        before, after = np.reshape(np.asarray(explicit_paddings, int), [-1, 2]).T
        return [(int(b), int(a)) for b, a in zip(before, after, strict=True)]
    if padding != "SAME":
        raise UnsupportedError(f"padding {padding!r} is not supported (SAME, VALID, EXPLICIT are)")
    total = [
        max((-(-size // stride) - 1) * stride + window - size, 0)
        for size, window, stride in zip(sizes, windows, strides, strict=True)
    ]
    return [(n // 2, n - n // 2) for n in total]


def counts(size: int, window: int, stride: int, padding: tuple[int, int]) -> np.ndarray:
    """How many elements of an axis each of its windows covers, padding left out."""
    starts = np.arange(0, size + sum(padding) - window + 1, stride) - padding[0]
    return np.minimum(starts + window, size) - np.maximum(starts, 0)
