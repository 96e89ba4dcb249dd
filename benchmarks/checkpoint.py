"""Checkpoints: CPU time (of all threads) to restore to host arrays and to save, beside TensorFlow and the limits of the work.

The limits are what cannot be left out: reading every byte through a mapping and taking its checksum; that, and a copy into a file.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.table import Row, alternate
from mgjax import checkpoint

#: A gigabyte in as many variables as a large model has, and many variables of a few hundred bytes.
LARGE = {f"layer{i // 10}/tower/weights_{i % 10}": np.zeros((333, 250), np.float32) for i in range(3000)}
SMALL = {f"layer{i // 10}/tower/bias_{i % 10}": np.full(64 + i % 64, i, np.float32) for i in range(10_000)}
#: The most CPU time that a small variable may cost, in microseconds.
MICROSECONDS_A_VARIABLE = 8


def measure() -> Iterator[Row]:
    for array in LARGE.values():
        array[:] = np.random.default_rng(0).random(array.shape[1], np.float32)
    with tempfile.TemporaryDirectory() as folder:
        yield from _measure(Path(folder))


def _measure(folder: Path) -> Iterator[Row]:
    import tensorflow as tf

    checkpoint.write(folder / "large", LARGE)
    checkpoint.write(folder / "small", SMALL)

    found = alternate(
        {
            "ours": _cpu(lambda: checkpoint.open(folder / "large").read_all()),
            "limit": _cpu(lambda: _mapped_checksum(folder / "large")),
            "theirs": _cpu(lambda: _read_with_tensorflow(tf, folder / "large", LARGE)),
        },
        rounds=5,
    )
    what = "restore 1 GB in 3,000 variables"
    yield Row(what, found["ours"], "mmap and CRC of the same bytes", found["limit"], "s", 1.4)
    yield Row(what, found["ours"], "TensorFlow", found["theirs"], "s")

    found = alternate(
        {
            "ours": _cpu(lambda: checkpoint.open(folder / "small").read_all(), len(SMALL)),
            "theirs": _cpu(lambda: _read_with_tensorflow(tf, folder / "small", SMALL), len(SMALL)),
        },
        rounds=5,
    )
    what = "restore 10,000 small variables, each"
    yield Row(what, found["ours"] * 1e6, "the time allowed", MICROSECONDS_A_VARIABLE, "us", 1)
    yield Row(what, found["ours"] * 1e6, "TensorFlow", found["theirs"] * 1e6, "us")

    for tensors, what, scale, unit in (
        (LARGE, "save 1 GB in 3,000 variables", 1, "s"),
        (SMALL, "save 10,000 small variables, each", 1e6 / len(SMALL), "us"),
    ):
        constants = {name: tf.constant(array) for name, array in tensors.items()}
        found = alternate(
            {
                "ours": _cpu(lambda tensors=tensors: checkpoint.write(folder / "ours", tensors)),
                "theirs": _cpu(lambda constants=constants: _save_with_tensorflow(tf, folder / "theirs", constants)),
                "limit": _cpu(lambda tensors=tensors: _copy(folder / "copy", tensors)),
            },
            rounds=5,
        )
        if tensors is LARGE:
            yield Row(what, found["ours"] * scale, "TensorFlow", found["theirs"] * scale, unit, 0.5)
        else:
            yield Row(what, found["ours"] * scale, "the time allowed", MICROSECONDS_A_VARIABLE, unit, 1)
            yield Row(what, found["ours"] * scale, "TensorFlow", found["theirs"] * scale, unit)
        yield Row(what, found["ours"] * scale, "CRC and a write of the same bytes", found["limit"] * scale, unit)
        del constants
    yield from _beside_numpy(folder)
    yield from _beside_orbax(folder)


def _beside_numpy(folder: Path) -> Iterator[Row]:
    """NumPy's own format, which has a checksum (CRC-32) too, and a plain copy in memory."""
    target = np.empty_like(next(iter(LARGE.values())))
    found = alternate(
        {
            "save": _cpu(lambda: checkpoint.write(folder / "ours", LARGE)),
            "savez": _cpu(lambda: np.savez(folder / "numpy.npz", **LARGE)),  # type: ignore[arg-type]
            "restore": _cpu(lambda: checkpoint.open(folder / "ours").read_all()),
            "load": _cpu(lambda: dict(np.load(folder / "numpy.npz"))),
            "copy": _cpu(lambda: [np.copyto(target, array) for array in LARGE.values()]),
        },
        rounds=2,
    )
    yield Row("save 1 GB in 3,000 variables", found["save"], "numpy.savez", found["savez"], "s")
    yield Row("restore 1 GB in 3,000 variables", found["restore"], "numpy.load", found["load"], "s")
    yield Row("restore 1 GB in 3,000 variables", found["restore"], "a copy in memory", found["copy"], "s")


def _beside_orbax(folder: Path) -> Iterator[Row]:
    try:
        import orbax.checkpoint as orbax
    except ImportError:
        print("orbax-checkpoint is not installed: nothing is compared with it")
        return
    checkpointer = orbax.PyTreeCheckpointer()
    for tensors, size in ((LARGE, "1 GB in 3,000 variables"), (SMALL, "10,000 small variables")):
        tree = {name.replace("/", "."): array for name, array in tensors.items()}
        found = alternate(
            {
                "save": _cpu(lambda tensors=tensors: checkpoint.write(folder / "ours", tensors)),
                "their save": _cpu(lambda tree=tree: checkpointer.save(folder / "orbax", tree, force=True)),
                "restore": _cpu(lambda: checkpoint.open(folder / "ours").read_all()),
                "their restore": _cpu(lambda: checkpointer.restore(folder / "orbax")),
            },
            rounds=2,
        )
        yield Row(f"save {size}", found["save"], "Orbax", found["their save"], "s")
        yield Row(f"restore {size}", found["restore"], "Orbax", found["their restore"], "s")


def _cpu(call: Callable[[], object], count: int = 1) -> Callable[[], float]:
    """A call that measures CPU seconds, of `count` equal parts each."""

    def measured() -> float:
        start = time.process_time()
        call()
        return (time.process_time() - start) / count

    return measured


def _mapped_checksum(prefix: Path) -> int:
    return checkpoint.crc32c(np.memmap(f"{prefix}.data-00000-of-00001", np.uint8, "r"))


def _read_with_tensorflow(tf: object, prefix: Path, tensors: dict[str, np.ndarray]) -> list[object]:
    restored = tf.raw_ops.RestoreV2(  # type: ignore[attr-defined]
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        dtypes=["float"] * len(tensors),
    )
    return [tensor.numpy() for tensor in restored]


def _save_with_tensorflow(tf: object, prefix: Path, tensors: dict[str, object]) -> None:
    tf.raw_ops.SaveV2(  # type: ignore[attr-defined]
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )


def _copy(path: Path, tensors: dict[str, np.ndarray]) -> None:
    with open(path, "wb") as file:
        for array in tensors.values():
            checkpoint.crc32c(array)
            file.write(array.data)
        os.fsync(file.fileno())
