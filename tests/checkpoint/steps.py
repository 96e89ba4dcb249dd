"""Stops a save at its n-th step: each write, link, rename, removal and synchronization is one."""

import io
import os
from collections.abc import Callable

from mgjax.checkpoint import replace

STEPS = ("fsync", "link", "replace", "unlink")


class Steps:
    """Counts the steps of a save and calls `stop` instead of the one numbered `at`; in a write, after half of its bytes."""

    def __init__(self, at: int, stop: Callable[[], None]):
        self.at = at
        self.stop = stop
        self.count = 0
        self.original = {name: getattr(os, name) for name in STEPS}

    def step(self) -> bool:
        self.count += 1
        return self.count == self.at + 1

    def __enter__(self):
        steps = self

        class File(io.FileIO):
            def write(self, data):
                if steps.step():
                    super().write(bytes(data)[: len(data) // 2])
                    steps.stop()
                return super().write(data)

        def counted(name):
            def call(*args, **kwargs):
                if self.step():
                    self.stop()
                return self.original[name](*args, **kwargs)

            return call

        for name in STEPS:
            setattr(os, name, counted(name))

        def opened(path, mode, buffering=-1, opener=None):
            if "x" not in mode:
                return open(path, mode)
            file = File(path, mode.replace("b", ""), opener=opener)
            return io.BufferedWriter(file, buffering) if buffering else file

        replace.open = opened
        return self

    def __exit__(self, *exception):
        for name, function in self.original.items():
            setattr(os, name, function)
        del replace.open
