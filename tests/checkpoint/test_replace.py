"""A save that is cut short leaves the old checkpoint or the new one."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mgjax import checkpoint
from mgjax.checkpoint import replace
from tests.checkpoint.kill import NEW, OLD, holds
from tests.checkpoint.steps import Steps

ROOT = Path(__file__).parents[2]


def test_a_killed_save_leaves_the_old_or_the_new_checkpoint(tmp_path):
    command = [sys.executable, "-m", "tests.checkpoint.kill", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    # Each scenario has been stopped often: at least at two writes, four synchronizations and three renames or links.
    assert all(int(steps) >= 9 for steps in done.stdout.split())


def fail():
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("shards", [1, 2])
def test_a_failed_save_leaves_the_old_checkpoint_and_nothing_else(tmp_path, shards):
    prefix = tmp_path / "m"
    checkpoint.write(prefix, OLD, shards=shards)
    names = sorted(os.listdir(tmp_path))
    at = 0
    while True:
        with Steps(at, fail) as steps:
            try:
                checkpoint.write(prefix, NEW, shards=shards)
            except OSError as error:
                assert error.errno == errno.ENOSPC
        if steps.count <= at:
            break
        # From the rename of the index on, it is the new one that stays.
        is_old = holds(prefix, OLD)
        assert is_old or holds(prefix, NEW)
        assert [name for name in sorted(os.listdir(tmp_path)) if not name.endswith(".previous")] == names
        checkpoint.write(prefix, OLD, shards=shards)
        assert sorted(os.listdir(tmp_path)) == names
        at += 1
    assert at > 9
    assert holds(prefix, NEW)


def test_a_failing_source_of_tensors_leaves_nothing(tmp_path):
    def tensors():
        yield "a", np.zeros(100_000)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        checkpoint.write(tmp_path / "m", tensors())
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_links_is_replaced_on_too(tmp_path, monkeypatch):
    def no_link(*args):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    for tensors in (OLD, NEW):
        checkpoint.write(tmp_path / "m", tensors)
        assert holds(tmp_path / "m", tensors)
    assert sorted(os.listdir(tmp_path)) == ["m.data-00000-of-00001", "m.index"]


def test_an_open_checkpoint_stays_what_it_was(tmp_path):
    checkpoint.write(tmp_path / "m", OLD)
    opened = checkpoint.open(tmp_path / "m")
    before = opened["w"]
    checkpoint.write(tmp_path / "m", NEW)
    assert np.array_equal(before, OLD["w"])
    assert np.array_equal(opened["w"], OLD["w"])


def test_names_left_over_from_a_finished_replacement_are_not_read(tmp_path):
    """The process ended between the rename of the index and the removal of the second names."""
    checkpoint.write(tmp_path / "m", OLD)
    for suffix in ("index", "data-00000-of-00001"):
        os.link(tmp_path / f"m.{suffix}", tmp_path / f"m.{suffix}{replace.PREVIOUS}")
    assert holds(tmp_path / "m", OLD)
    (tmp_path / f"m.data-00000-of-00001{replace.PREVIOUS}").rename(tmp_path / "kept")
    (tmp_path / f"m.index{replace.PREVIOUS}").rename(tmp_path / "kept.index")
    checkpoint.write(tmp_path / "m", NEW)
    (tmp_path / "kept").rename(tmp_path / f"m.data-00000-of-00001{replace.PREVIOUS}")
    (tmp_path / "kept.index").rename(tmp_path / f"m.index{replace.PREVIOUS}")
    assert holds(tmp_path / "m", NEW)


@pytest.mark.parametrize("is_direct", [True, False])
def test_large_files_hold_what_is_written_whatever_the_pieces(tmp_path, monkeypatch, is_direct):
    """On a system that has direct writes, and on one that has none."""
    if not is_direct:
        monkeypatch.delattr(os, "O_DIRECT", raising=False)
    drawn = np.random.default_rng(0)
    pieces = [drawn.integers(0, 256, size, dtype=np.uint8) for size in (0, 1, 5000, 9 << 20, 4096, 3 << 20, 17)]
    with replace.NewFiles() as files:
        file = files.create(str(tmp_path / "f"), is_large=True)
        for piece in pieces:
            file.write(piece)
        files.finish(str(tmp_path / "f"))
        files.place(str(tmp_path / "f"))
    assert (tmp_path / "f").read_bytes() == b"".join(piece.tobytes() for piece in pieces)


def test_a_device_that_refuses_a_direct_write_gets_it_the_usual_way(tmp_path):
    class Refusing(io.FileIO):
        refused = 0

        def write(self, data):
            if not self.refused:
                self.refused = 1
                raise OSError(errno.EINVAL, "Invalid argument")
            return super().write(bytes(data)[: 1 << 20])  # and takes less than it is given

    data = np.random.default_rng(0).integers(0, 256, 9 << 20, dtype=np.uint8)
    raw = Refusing(tmp_path / "f", "x")
    with replace.DirectFile(raw) as file:
        file.write(data)
    assert (raw.refused, (tmp_path / "f").read_bytes()) == (1, data.tobytes())
    assert raw.closed
