"""The paths that people try."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mgjax import checkpoint
from mgjax.errors import MissingFileError, ReadError

DATA = Path(__file__).parent / "data"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two checkpoints, the older of which comes later in the alphabet."""
    monkeypatch.chdir(tmp_path)
    for name, time in (("model-9", 1000), ("model-10", 2000)):
        checkpoint.write(name, {"w": np.zeros(1)})
        os.utime(f"{name}.index", (time, time))
        Path(f"{name}.meta").write_bytes(b"graph")
    return tmp_path


@pytest.mark.parametrize("suffix", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_prefix_and_its_files_are_the_checkpoint(folder, suffix):
    assert checkpoint.find(f"model-9{suffix}") == "model-9"
    assert checkpoint.open(folder / f"model-9{suffix}").names() == ["w"]


def test_a_folder_is_what_its_checkpoint_file_says(folder):
    checkpoint.write_state(str(folder), str(folder / "model-9"))
    assert checkpoint.find(folder) == str(folder / "model-9")
    assert checkpoint.find(folder / "checkpoint") == str(folder / "model-9")


def test_a_folder_without_a_checkpoint_file_is_its_newest(folder):
    assert checkpoint.find(folder) == str(folder / "model-10")


def test_a_moved_folder_is_understood(folder):
    checkpoint.write_state(str(folder), str(folder / "model-9"))
    moved = folder.with_name("moved")
    folder.rename(moved)
    assert checkpoint.latest_checkpoint(moved) == str(moved / "model-9")
    assert checkpoint.find(moved) == str(moved / "model-9")


def test_a_saved_model_s_variables_are_found(tmp_path):
    (tmp_path / "variables").mkdir()
    checkpoint.write(tmp_path / "variables" / "variables", {"w": np.zeros(1)})
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    assert checkpoint.find(tmp_path) == str(tmp_path / "variables" / "variables")


@pytest.mark.parametrize(
    "name, prefix",
    [
        ("v1", "v1"),
        ("v1-sharded", "v1-sharded"),
        ("v1-sharded-?????-of-00002", "v1-sharded-?????-of-00002"),
        ("v1-sharded-00001-of-00002", "v1-sharded"),
        ("v1.meta", "v1"),
    ],
)
def test_v1_files_are_found(tmp_path, name, prefix):
    for file in DATA.glob("v1*"):
        shutil.copy(file, tmp_path)
    assert checkpoint.find(tmp_path / name) == str(tmp_path / prefix)
    assert len(checkpoint.open(tmp_path / name)) == 16


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("weights.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        ("a.npz", b"PK\x03\x04", "a zip archive"),
        ("frozen.pb", b"\x0a\x05", "a graph"),
        ("saved_model.pb", b"\x08\x01", "'variables' beside it"),
        ("events.out.tfevents.1", b"\x18", "events for TensorBoard"),
        ("empty", b"", "an empty file"),
        ("notes.txt", b"hello", "begins with b'hello'"),
    ],
)
def test_another_file_is_told_by_what_it_is(folder, name, content, message):
    Path(name).write_bytes(content)
    with pytest.raises(ReadError, match=re.escape(message)) as raised:
        checkpoint.find(name)
    assert "model-10, model-9" in str(raised.value)


@pytest.mark.parametrize(
    "name, message",
    [
        ("model-11", "no such checkpoint; checkpoints in .: model-10, model-9"),
        ("model-11.index", "no such checkpoint"),
        ("nowhere/model-9", "the folder nowhere does not exist"),
        ("lost.meta", "a graph without values; those would be in lost.index"),
        ("lost.data-00000-of-00001", "whose index lost.index is missing"),
    ],
)
def test_a_missing_checkpoint_says_what_is_near(folder, name, message):
    if name.startswith("lost"):
        Path(name).write_bytes(b"x")
    with pytest.raises(MissingFileError, match=re.escape(message)):
        checkpoint.find(name)


def test_a_folder_without_a_checkpoint_says_what_it_holds(tmp_path):
    with pytest.raises(MissingFileError, match="it holds nothing"):
        checkpoint.find(tmp_path)
    (tmp_path / "notes.txt").write_text("x" * 100)
    with pytest.raises(MissingFileError, match=r"it holds notes\.txt"):
        checkpoint.find(tmp_path)


def test_a_removed_checkpoint_leaves_its_neighbours(folder):
    checkpoint.write("model-9-a", {"w": np.zeros(1)})
    checkpoint.remove("model-9")
    checkpoint.remove("model-9")
    left = ["model-10", "model-9-a"]
    assert sorted(os.listdir()) == sorted(
        [f"{name}{suffix}" for name in left for suffix in (".index", ".data-00000-of-00001")]
        + ["model-10.meta", "model-9.meta"]
    )


def test_a_removed_v1_checkpoint_is_gone(tmp_path):
    for file in DATA.glob("v1*"):
        shutil.copy(file, tmp_path)
    checkpoint.remove(tmp_path / "v1-sharded")
    assert sorted(os.listdir(tmp_path)) == ["v1", "v1-partitioned"]


def test_names_with_glob_characters_are_taken_literally(tmp_path):
    checkpoint.write(tmp_path / "m[1]*", {"w": np.zeros(1)})
    assert checkpoint.find(tmp_path / "m[1]*") == str(tmp_path / "m[1]*")
    with pytest.raises(MissingFileError):
        checkpoint.find(tmp_path / "m[1]")
