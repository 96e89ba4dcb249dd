"""The file named `checkpoint`, with the contents that TensorFlow 1.15 writes for the same calls."""

import pytest

from mgjax import checkpoint
from mgjax.errors import ReadError


@pytest.mark.parametrize(
    "folder, latest, paths, options, lines",
    [
        ("d", "d/m-1", ["d/m-0"], {}, ["m-1", "m-0", "m-1"]),
        ("{cwd}/d", "{cwd}/d/m-1", ["{cwd}/d/m-0"], {}, ["{cwd}/d/m-1", "{cwd}/d/m-0", "{cwd}/d/m-1"]),
        ("{cwd}/d", "{cwd}/d/m-1", ["{cwd}/d/m-0"], {"save_relative_paths": True}, ["m-1", "m-0", "m-1"]),
        ("d", "d/m-1", ["d/m-0", "{cwd}/d/q"], {"save_relative_paths": True}, ["m-1", "m-0", "q", "m-1"]),
        ("d", "d/m-1", ["d/m-0", "d/m-1"], {}, ["m-1", "m-0", "m-1"]),
        ("d/sub", "d/sub/m", ["d/rel"], {}, ["m", "../rel", "m"]),
    ],
)
def test_paths_are_written_as_tensorflow_does(folder, latest, paths, options, lines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d" / "sub").mkdir(parents=True)

    def here(text):
        return text.format(cwd=tmp_path)

    checkpoint.write_state(here(folder), here(latest), list(map(here, paths)), **options)
    keys = ["model_checkpoint_path"] + ["all_model_checkpoint_paths"] * (len(lines) - 1)
    text = "".join(f'{key}: "{here(line)}"\n' for key, line in zip(keys, lines, strict=True))
    assert (tmp_path / here(folder) / "checkpoint").read_text() == text


def test_odd_characters_are_escaped(tmp_path):
    checkpoint.write_state(str(tmp_path), 'm-é"\n\x01-1')
    line = r'"m-\303\251\"\n\001-1"'
    text = f"model_checkpoint_path: {line}\nall_model_checkpoint_paths: {line}\n"
    assert (tmp_path / "checkpoint").read_text() == text
    assert checkpoint.read_state(str(tmp_path)).latest == str(tmp_path / 'm-é"\n\x01-1')


def test_times_are_kept(tmp_path):
    folder = str(tmp_path)
    checkpoint.write_state(folder, "m", ["k"], timestamps=[1.5, 2.25], last_preserved=3.0, latest_filename="other")
    assert (
        (tmp_path / "other")
        .read_text()
        .endswith(
            "all_model_checkpoint_timestamps: 1.5\nall_model_checkpoint_timestamps: 2.25\nlast_preserved_timestamp: 3.0\n"
        )
    )
    state = checkpoint.read_state(folder, "other")
    assert state == checkpoint.State(f"{folder}/m", (f"{folder}/k", f"{folder}/m"), (1.5, 2.25), 3.0)


def test_relative_paths_are_joined_to_the_folder(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "a"\nall_model_checkpoint_paths: "/b"\n')
    state = checkpoint.read_state(str(tmp_path))
    assert (state.latest, state.paths) == (str(tmp_path / "a"), ("/b",))


def test_no_file_is_no_state(tmp_path):
    assert checkpoint.read_state(str(tmp_path)) is None
    assert checkpoint.latest_checkpoint(tmp_path) is None


def test_a_checkpoint_that_is_gone_is_not_the_latest(tmp_path):
    checkpoint.write_state(str(tmp_path), str(tmp_path / "gone"))
    assert checkpoint.latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("content", [b"nonsense", b"\xff\xfe", b'model_checkpoint_path: "a', b"", b"unknown: 3"])
def test_another_text_is_an_error(content, tmp_path):
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(ReadError, match="checkpoint"):
        checkpoint.read_state(str(tmp_path))


def test_a_checkpoint_of_the_same_name_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="conflicts with path used for checkpoint state"):
        checkpoint.write_state(str(tmp_path), str(tmp_path / "checkpoint"))
