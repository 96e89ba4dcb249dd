"""One V2 checkpoint of several: what sharded saves end with."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mgjax.checkpoint.bundle import Bundle, data_path
from mgjax.checkpoint.replace import NewFiles, replace_bundle
from mgjax.checkpoint.slices import decode_name
from mgjax.checkpoint.table import TableWriter
from mgjax.errors import ReadError
from mgjax.proto.checkpoint_pb2 import BundleEntryProto, BundleHeaderProto


def merge(prefixes: Sequence[str], destination: str) -> None:
    """Makes one V2 checkpoint of several; their data files become its own, and they are no longer there.

    Pieces of one partitioned tensor may come from several.

    Raises:
        ValueError: two of them hold a tensor of the same name, or pieces of different tensors of one name.
        ReadError, MissingFileError: one of them is not there, or is damaged.
    """
    bundles = [Bundle(prefix) for prefix in prefixes]
    sources = [(prefix, bundle, shard) for prefix, bundle in zip(prefixes, bundles, strict=True)
               for shard in range(bundle.shard_count)]  # fmt: skip
    header = BundleHeaderProto(num_shards=len(sources))
    header.version.producer = 1
    entries: dict[bytes, BundleEntryProto] = {}
    first = 0
    for bundle in bundles:
        if bundle.is_big_endian:
            raise ReadError(f"{bundle}: of the other byte order; merge it on a machine of its own")
        for key, value in bundle.items():
            _add(entries, key, BundleEntryProto.FromString(value), first)
        first += bundle.shard_count
    paths = [data_path(destination, shard, len(sources)) for shard in range(len(sources))]
    with NewFiles() as files:
        for path, (prefix, bundle, shard) in zip(paths, sources, strict=True):
            files.adopt(path, data_path(prefix, shard, bundle.shard_count))
        index = f"{destination}.index"
        table = TableWriter(files.create(index))
        table.add(b"", header.SerializeToString())
        for key in sorted(entries):
            table.add(key, entries[key].SerializeToString())
        table.finish()
        files.finish(index)
        replace_bundle(destination, files, paths)
    for prefix in prefixes:
        os.unlink(f"{prefix}.index")


def _add(entries: dict[bytes, BundleEntryProto], key: bytes, entry: BundleEntryProto, first_shard: int) -> None:
    known = entries.get(key)
    if known is None:
        entries[key] = entry
        if not entry.slices:
            entry.shard_id += first_shard
        return
    if not (known.slices and entry.slices):
        raise ValueError(f"Adding duplicate key: {decode_name(key)!r}")
    if (known.dtype, known.shape) != (entry.dtype, entry.shape):
        raise ValueError(f"{decode_name(key)!r} is of another type or shape in another shard")
    known.slices.extend(entry.slices)
