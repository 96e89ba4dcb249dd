"""Which checkpoints a saver has written, and which of them it deletes when there are too many."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections.abc import Sequence

from mgjax.checkpoint.paths import paths_of_v1, remove


class Kept:
    """The checkpoints that one saver has written and not deleted, with the time of each.

    Args:
        max_to_keep: how many are kept; 0 or less keeps all, and lists none.
        hours: of those that are due to be deleted, one in so many hours stays.
    """

    def __init__(self, max_to_keep: int, hours: float):
        self.max_to_keep = max_to_keep
        self._interval = 3600 * hours
        self._next_kept = time.time() + self._interval
        self._due: list[tuple[str, float]] = []
        self.entries: list[tuple[str, float]] = []

    @property
    def paths(self) -> list[str]:
        """The paths, oldest first."""
        return [path for path, _ in self.entries]

    def record(self, path: str) -> None:
        """Puts a checkpoint at the end of the list; those that fall off its beginning are due to be deleted."""
        if self.max_to_keep <= 0:
            return
        self.entries = [*(entry for entry in self.entries if entry[0] != path), (path, time.time())]
        self._due += self.entries[: -self.max_to_keep]
        self.entries = self.entries[-self.max_to_keep :]

    def delete_due(self, meta_graph_suffix: str = "meta") -> None:
        """Deletes what is due, with the graphs beside; after the `checkpoint` file no longer lists it."""
        due, self._due = self._due, []
        for path, written in due:
            if written > self._next_kept:
                self._next_kept += self._interval
                continue
            remove(path)
            for beside in (f"{_prefix_of(path)}.{meta_graph_suffix}", f"{path}{GENERATORS}"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(beside)

    def recover(self, paths: Sequence[str]) -> None:
        """Replaces the list by those of the checkpoints that are there, each with the time of its file."""
        times = ((path, modification_time(path)) for path in paths)
        self.entries = [(path, found) for path, found in times if found is not None]


GENERATORS = ".generators"
"""What follows the prefix in the name of the file in which counters of random ops are kept."""


def modification_time(prefix: str) -> float | None:
    """When a checkpoint was written, in seconds since 1970; None where there is none."""
    for path in (f"{prefix}.index", prefix, *sorted(glob.glob(prefix)), *paths_of_v1(prefix)):
        if os.path.isfile(path):
            return os.path.getmtime(path)
    return None


def _prefix_of(path: str) -> str:
    """The prefix that a sharded V1 checkpoint's pattern is of: its graph goes by that."""
    stem, dash, rest = path.rpartition("-?????-of-")
    return stem if dash and rest.isdecimal() else path
