"""Arrays between hosts and devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def on_device(array: np.ndarray) -> Any:
    """Numbers as a JAX array on the default device; strings stay a NumPy array of `bytes`."""
    if array.dtype == object:
        return array
    with jax.enable_x64(True):
        return jnp.asarray(array)


def sharded(array: np.ndarray, sharding: jax.sharding.Sharding) -> Any:
    """An array that this host holds whole, in shards."""
    with jax.enable_x64(True):
        return jax.device_put(array, sharding)


def from_regions(
    read: Callable[[tuple[tuple[int, int], ...]], np.ndarray],
    shape: tuple[int, ...],
    dtype: np.dtype,
    sharding: jax.sharding.Sharding,
) -> Any:
    """An array of which each process reads the shards of its own devices.

    Args:
        read: gives a region, (start, size) along each axis.
        shape, dtype: of the whole.
    """
    regions: dict[tuple[tuple[int, int], ...], np.ndarray] = {}

    def shard(index: tuple[slice, ...] | None) -> np.ndarray:
        assert index is not None
        bounds = (part.indices(size) for part, size in zip(index, shape, strict=True))
        region = tuple((start, stop - start) for start, stop, _ in bounds)
        if region not in regions:  # replicas share one
            regions[region] = np.asarray(read(region), dtype)
        return regions[region]

    with jax.enable_x64(True):
        return jax.make_array_from_callback(shape, sharding, shard)


def host_copies(values: Sequence[Any]) -> list[np.ndarray]:
    """The values as arrays of this host's own, which neither donation nor assignment changes."""
    for value in values:
        if isinstance(value, jax.Array):
            value.copy_to_host_async()
    return [_own(value) for value in values]


def _own(value: Any) -> np.ndarray:
    array = np.asarray(value)
    # Of a CPU's buffer it is a view, which the next program that is given the buffer writes over.
    is_own = isinstance(value, jax.Array) and all(device.platform != "cpu" for device in value.devices())
    return array if is_own else array.copy()
