"""Kills a save at each of its steps, one process after the other, and looks at what is left. Run by `test_replace.py`.

In a process of its own: it forks, which a process with threads should not.
"""

import contextlib
import glob
import os
import sys

import numpy as np

from mgjax import checkpoint
from mgjax.errors import MissingFileError
from tests.checkpoint.steps import Steps

OLD = {"w": np.arange(30_000, dtype=np.float32), "name": np.array([b"old"], object)}
NEW = {"w": np.arange(30_000, dtype=np.float32) + 1, "name": np.array([b"new"], object), "step": np.int64(2)}


def holds(prefix, tensors):
    found = checkpoint.open(prefix).read_all()
    return found.keys() == tensors.keys() and all(np.array_equal(found[name], tensors[name]) for name in tensors)


def kill_at_each_step(save, check):
    """Calls `check` after `save` has been killed at each of its steps; the number of steps."""
    step = 0
    while True:
        child = os.fork()
        if child == 0:
            with Steps(step, lambda: os._exit(9)):
                save(step)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        check(step)
        if status == 0:
            return step
        assert os.waitstatus_to_exitcode(status) == 9
        step += 1


def replaced(shards):
    """A checkpoint under a name that exists; each try on what the last one left, or on a new one."""

    def save(step):
        checkpoint.write(prefix_of(step), NEW, shards=shards)

    def check(step):
        prefix = prefix_of(step)
        assert holds(prefix, OLD) or holds(prefix, NEW), f"step {step}"
        # The next save goes through, and leaves nothing of its own.
        checkpoint.write(prefix, OLD, shards=shards)
        assert holds(prefix, OLD)
        assert not glob.glob("*.previous"), f"step {step}"

    def prefix_of(step):
        prefix = f"replaced-{shards}-{step}" if step % 2 else f"again-{shards}"
        if not checkpoint.exists(prefix):
            checkpoint.write(prefix, OLD, shards=shards)
        return prefix

    return kill_at_each_step(save, check)


def first():
    """A checkpoint under a new name is not there or whole; the one before it, and the `checkpoint` file, stay."""
    checkpoint.write("run/m-1", OLD)
    checkpoint.write_state("run", "run/m-1")

    def save(step):
        checkpoint.write(f"run/m-{step}-2", NEW)
        checkpoint.write_state("run", f"run/m-{step}-2", ["run/m-1"])

    def check(step):
        assert holds("run/m-1", OLD)
        latest = checkpoint.latest_checkpoint("run")
        assert holds(latest, OLD if latest == "run/m-1" else NEW)
        with contextlib.suppress(MissingFileError):
            assert holds(f"run/m-{step}-2", NEW)
        checkpoint.write_state("run", "run/m-1")

    return kill_at_each_step(save, check)


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    print(replaced(1), replaced(2), first())
