"""Readers, and whole files, beside a live TensorFlow."""

import gzip
import os
import zlib

import numpy as np
import pytest

import mgjax
from mgjax import errors
from tests.host.live_state import check_runs
from tests.live import meta_graph_of, tf

raw = tf.raw_ops

READERS = {
    "text": (raw.TextLineReaderV2, {}, ["a.txt", "empty", "b.txt"]),
    "headless": (raw.TextLineReaderV2, {"skip_header_lines": 2}, ["a.txt", "b.txt", "empty"]),
    "whole": (raw.WholeFileReaderV2, {}, ["b.txt", "empty"]),
    "identity": (raw.IdentityReaderV2, {}, ["b.txt", "empty"]),
    "fixed": (raw.FixedLengthRecordReaderV2, {"header_bytes": 2, "record_bytes": 2, "footer_bytes": 1}, ["fixed", "fixed"]),
    "hop": (raw.FixedLengthRecordReaderV2, {"record_bytes": 4, "header_bytes": 2, "hop_bytes": 2}, ["fixed"]),
    "packed": (raw.FixedLengthRecordReaderV2, {"record_bytes": 3, "encoding": "ZLIB"}, ["fixed.z"]),
    "records": (raw.TFRecordReaderV2, {}, ["records", "records"]),
    "gzip": (raw.TFRecordReaderV2, {"compression_type": "GZIP"}, ["records.gz"]),
    "zlib": (raw.TFRecordReaderV2, {"compression_type": "ZLIB"}, ["records.z"]),
    "flipped": (raw.TFRecordReaderV2, {}, ["flipped"]),
    "longer": (raw.TFRecordReaderV2, {}, ["longer"]),
    "cut": (raw.TFRecordReaderV2, {}, ["cut"]),
    "tail": (raw.TFRecordReaderV2, {}, ["tail"]),
    "missing": (raw.TextLineReaderV2, {}, ["missing"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    with tf.io.TFRecordWriter(str(folder / "records")) as writer:
        for record in (b"one", b"", b"three" * 100):
            writer.write(record)
    records = (folder / "records").read_bytes()
    flipped, longer = bytearray(records), bytearray(records)
    flipped[13] ^= 1
    longer[0] ^= 1
    contents = {
        "a.txt": b"h1\nh2\nx\r\ny\n\nz", "b.txt": b"q\nr\n", "empty": b"", "fixed": b"HHaabbccddF",
        "fixed.z": zlib.compress(b"aaabbbcc"), "records.gz": gzip.compress(records), "records.z": zlib.compress(records),
        "flipped": bytes(flipped), "longer": bytes(longer), "cut": records[:-30], "tail": records + b"123",
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def reading(folder):
    for name, (reader, attributes, files) in READERS.items():
        queue = raw.FIFOQueueV2(component_types=[tf.string], shapes=[[]])
        handle = reader(**attributes)
        paths = tf.constant([str(folder / file) for file in files])
        raw.QueueEnqueueManyV2(handle=queue, components=[paths], name=f"{name}_fill")
        raw.QueueCloseV2(handle=queue, name=f"{name}_close")
        raw.ReaderReadV2(reader_handle=handle, queue_handle=queue, name=f"{name}_read")
        raw.ReaderReadUpToV2(reader_handle=handle, queue_handle=queue, num_records=3, name=f"{name}_some")
        raw.ReaderNumRecordsProducedV2(reader_handle=handle, name=f"{name}_records")
        raw.ReaderNumWorkUnitsCompletedV2(reader_handle=handle, name=f"{name}_files")
        raw.ReaderSerializeStateV2(reader_handle=handle, name=f"{name}_state")
        state = b"\x08\x02\x10\x02\x18\x05\x22\x03abc"
        raw.ReaderRestoreStateV2(reader_handle=handle, state=state, name=f"{name}_restore")
        raw.ReaderResetV2(reader_handle=handle, name=f"{name}_reset")


@pytest.mark.parametrize("name", READERS)
def test_readers_give_tensorflows_records(folder, name):
    counts = [f"{name}_records:0", f"{name}_files:0"]
    one = [([f"{name}_read:0", f"{name}_read:1"], {}), (counts, {})]
    some = [([f"{name}_some:0", f"{name}_some:1"], {}), (counts, {})]
    ends = name in ("flipped", "longer", "cut", "missing")
    runs = [(f"{name}_fill", {}), (f"{name}_close", {}), *(one[:1] * 3 if ends else one * 9)]
    runs += (
        []
        if ends
        else [(f"{name}_state:0", {}), (f"{name}_reset", {}), (counts, {}), (f"{name}_restore", {}), (counts, {})]
    )
    runs += [] if ends else [(f"{name}_state:0", {})]
    if ends:
        runs = runs[:3]
    check_runs(lambda: reading(folder), runs, allow_files=folder)
    if not ends:
        runs = [(f"{name}_fill", {}), (f"{name}_close", {}), *some * 4]
        check_runs(lambda: reading(folder), runs, allow_files=folder)


def test_whole_files_and_their_names(folder):
    patterns = ["*.txt", "?.txt", "[ab].txt", "nothing*", "a.txt", "[!a].txt"]

    def build():
        for i, pattern in enumerate(patterns):
            raw.MatchingFiles(pattern=str(folder / pattern), name=f"match{i}")
        raw.MatchingFiles(pattern=[str(folder / "b*"), str(folder / "a*")], name="several")
        for name in ("a.txt", "empty", "", "missing"):
            raw.ReadFile(filename=str(folder / name), name=f"read_{name or 'folder'}")

    names = [f"match{i}:0" for i in range(len(patterns))] + ["several:0", "read_a.txt:0", "read_empty:0"]
    check_runs(build, [(name, {}) for name in [*names, "read_folder:0", "read_missing:0"]], allow_files=folder)


def test_files_are_written_only_where_that_is_allowed(tmp_path):
    path = tmp_path / "out" / "file"

    def build():
        raw.WriteFile(filename=str(path), contents=b"written", name="write")
        raw.ReadFile(filename=str(path), name="read")

    meta_graph = meta_graph_of(build)
    for options in ({}, {"allow_files": tmp_path}):
        fn, _ = mgjax.import_meta_graph(meta_graph, **options)
        with pytest.raises(errors.PermissionDeniedError, match="allow_writing"):
            fn({}, {}, "write")
    assert not path.parent.exists()
    fn, _ = mgjax.import_meta_graph(meta_graph, allow_writing=tmp_path)
    fn({}, {}, "write")
    assert path.read_bytes() == b"written"
    assert fn({}, {}, "read:0")[1] == b"written"


def test_folders_that_are_not_allowed_are_not_listed(tmp_path):
    for name in ("mine", "other"):
        (tmp_path / name).write_bytes(b"")
    meta_graph = meta_graph_of(lambda: raw.MatchingFiles(pattern=os.fspath(tmp_path / "*"), name="match"))
    fn, _ = mgjax.import_meta_graph(meta_graph)
    with pytest.raises(errors.PermissionDeniedError, match="allow_files"):
        fn({}, {}, "match:0")
    fn, _ = mgjax.import_meta_graph(meta_graph, allow_files=tmp_path / "mine")
    assert fn({}, {}, "match:0")[1].tolist() == [os.fsencode(tmp_path / "mine")]


def test_constants_are_read_from_files_that_are_allowed(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(np.arange(6, dtype=np.float32).tobytes())

    def build():
        for name, shape in (("all", [2, 3]), ("first", [2, 2]), ("more", [7])):
            raw.ImmutableConst(dtype=tf.float32, shape=shape, memory_region_name=os.fspath(path), name=name)

    fn, _ = mgjax.import_meta_graph(meta_graph_of(build))
    with pytest.raises(errors.PermissionDeniedError, match="allow_files"):
        fn({}, {}, "all:0")
    fn, _ = mgjax.import_meta_graph(meta_graph_of(build), allow_files=path)
    assert fn({}, {}, "all:0")[1].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert fn({}, {}, "first:0")[1].tolist() == [[0, 1], [2, 3]]
    with pytest.raises(errors.InternalError, match="wrong length"):
        fn({}, {}, "more:0")
