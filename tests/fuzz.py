"""Damaged files by the hundred thousand: `python -m tests.fuzz --tries 100000 --seed 1`.

Edits the bytes of small files (`.index`, `.data`, V1 checkpoints, `checkpoint`, `.meta`), reads them, and holds that what
comes is a documented error or a right answer, in time and within memory. In half of the tries on tables the checksums are
made to fit again, so that the edit reaches what lies behind them; such a table may well say something else. A find is
kept in a folder of its own with the traceback; `fuzz_finds/` beside this file holds those of the past, which
`checkpoint/test_fuzz_finds.py` reads. `fuzz.md` says what has been tried so far.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
from google.protobuf import text_format

import mgjax
from mgjax import checkpoint, errors
from mgjax.checkpoint.checksum import masked_crc32c
from mgjax.proto import graph_pb2, meta_graph_pb2, variable_pb2

DATA = Path(__file__).parent / "checkpoint" / "data"
DOCUMENTED = (
    errors.ReadError, errors.UnsupportedError, errors.RestoreError, errors.UnknownNameError, errors.FeedError,
)  # fmt: skip
#: What one file may cost: seconds of time, and bytes of memory beyond what the process has (the files have some kilobytes).
MOST_SECONDS = 5.0
MOST_BYTES = 1 << 30

#: The files that are edited, and the checkpoint that each belongs to.
TABLES = {
    "v2.index": "v2", "v2-partitioned.index": "v2-partitioned", "v2-sharded.index": "v2-sharded",
    "v1": "v1", "v1-partitioned": "v1-partitioned",
}  # fmt: skip
BLOCKS = {"v2.data-00000-of-00001": "v2", "v2-partitioned.data-00000-of-00001": "v2-partitioned"}
STATE = b"""model_checkpoint_path: "v2"
all_model_checkpoint_paths: "v1"
all_model_checkpoint_paths: "v2"
all_model_checkpoint_timestamps: 1.5
all_model_checkpoint_timestamps: 2.5
last_preserved_timestamp: 1.5
"""
INTERESTING = [
    b"\0",
    b"\1",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff" * 9 + b"\1",
    b"\x80" * 9 + b"\1",
    b"\xff\xff\xff\xff\x0f",
    b"\xff" * 4,
]


def small_meta_graph() -> bytes:
    """A graph of a few nodes with what a .meta may have: a variable, a loop, a function, collections, a saver."""
    message = meta_graph_pb2.MetaGraphDef()
    graph = message.graph_def

    def node(name: str, op: str, *inputs: str, **types: int) -> graph_pb2.NodeDef:
        made = graph.node.add(name=name, op=op, input=inputs)
        for key, number in types.items():
            made.attr[key].type = number
        return made

    node("x", "Placeholder", dtype=1).attr["shape"].shape.dim.add(size=-1)
    node("w", "VariableV2", dtype=1).attr["shape"].shape.dim.add(size=2)
    value = node("v", "Const", dtype=1).attr["value"].tensor
    value.dtype, value.tensor_content = 1, struct.pack("<2f", 1, 2)
    value.tensor_shape.dim.add(size=2)
    node("w/Assign", "Assign", "w", "v", T=1)
    node("w/read", "Identity", "w", T=1)
    node("y", "Add", "x", "w/read", "^w/Assign", T=1)
    node("call", "twice", "y")
    enter = node("enter", "Enter", "y", T=1)
    enter.attr["frame_name"].s = b"loop"
    node("names", "Const", dtype=7).attr["value"].tensor.string_val.append(b"w")
    graph.node[-1].attr["value"].tensor.dtype = 7
    graph.versions.producer = 134
    twice = graph.library.function.add()
    twice.signature.name = "twice"
    twice.signature.input_arg.add(name="a", type=1)
    twice.signature.output_arg.add(name="b", type=1)
    inner = twice.node_def.add(name="sum", op="Add", input=["a", "a"])
    inner.attr["T"].type = 1
    twice.ret["b"] = "sum:z:0"
    variable = variable_pb2.VariableDef(variable_name="w:0", initializer_name="w/Assign", snapshot_name="w/read:0")
    message.collection_def["variables"].bytes_list.value.append(variable.SerializeToString())
    message.collection_def["ops"].node_list.value.append("y:0")
    message.collection_def["numbers"].int64_list.value.append(-5)
    message.meta_info_def.tensorflow_version = "1.15.5"
    message.saver_def.restore_op_name = "save/restore_all"
    message.signature_def["s"].inputs["x"].name = "x:0"
    return message.SerializeToString(deterministic=True)


def edited(data: bytes, choose: random.Random) -> bytes:
    """The bytes with one to four edits."""
    changed = bytearray(data)
    for _ in range(choose.choice((1, 1, 2, 4))):
        place = choose.randrange(len(changed) + 1)
        kind = choose.randrange(8)
        if kind <= 2 and place < len(changed):
            changed[place] ^= 1 << choose.randrange(8)
        elif kind == 3 and place < len(changed):
            changed[place] = choose.randrange(256)
        elif kind == 4:
            changed[place:place] = choose.choice(INTERESTING)
        elif kind == 5:
            replacement = choose.choice(INTERESTING)
            changed[place : place + len(replacement)] = replacement
        elif kind == 6:
            del changed[place : place + choose.choice((1, 2, 8, 64))]
        else:
            start = choose.randrange(len(changed) + 1)
            changed[place:place] = changed[start : start + choose.choice((1, 4, 16, 100))]
    return bytes(changed[: choose.randrange(len(changed) + 1)] if choose.random() < 0.05 else changed)


def with_edited_block(data: bytes, choose: random.Random) -> bytes:
    """A table with one block edited, made whole again: its checksum fits, and the footer and the other handles too.

    Edits keep the block's size.
    """
    places = block_places(data)
    offset, size = choose.choice(places)
    block = bytearray(data[offset : offset + size + 1])
    for _ in range(choose.choice((1, 1, 2, 4))):
        place = choose.randrange(len(block))
        replacement = choose.choice(
            [*INTERESTING, bytes([choose.randrange(256)]), bytes([block[place] ^ 1 << choose.randrange(8)])]
        )
        block[place : place + len(replacement)] = replacement
    block = block[: size + 1]
    if choose.random() < 0.9:
        block[-1] = 0
    return data[:offset] + bytes(block) + struct.pack("<I", masked_crc32c(bytes(block))) + data[offset + size + 5 :]


def block_places(data: bytes) -> list[tuple[int, int]]:
    """(offset, size) of each block of an undamaged table."""
    from mgjax.checkpoint.wire import decode_varint

    places, position = [], len(data) - 48
    for _ in range(2):
        offset, position = decode_varint(data, position)
        size, position = decode_varint(data, position)
        places.append((offset, size))
    places.append((0, places[0][0] - 5))  # the samples have one data block
    return places


class Campaign:
    """Tries with one seed, in a folder of its own.

    Attributes:
        counts: how many tries of each kind ended in what.
        finds: paths of what should not have happened.
    """

    def __init__(self, seed: int, keep: Path):
        self.choose = random.Random(seed)
        self.keep = keep
        self.counts: Counter[str] = Counter()
        self.finds: list[Path] = []
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        for path in DATA.iterdir():
            if path.suffix != ".py" and path.is_file():
                shutil.copy(path, self.folder)
        self.right = {prefix: read_checkpoint(self.folder / prefix) for prefix in {*TABLES.values(), *BLOCKS.values()}}
        self.meta = small_meta_graph()
        self.text = text_format.MessageToString(meta_graph_pb2.MetaGraphDef.FromString(self.meta)).encode()
        self.good = {name: (self.folder / name).read_bytes() for name in (*TABLES, *BLOCKS)}

    def run(self, tries: int) -> None:
        try:
            for _ in range(tries):
                self.try_one()
        finally:
            shutil.rmtree(self.folder)

    def try_one(self) -> None:
        draw = self.choose.random()
        if draw < 0.55:
            name = self.choose.choice(list(TABLES))
            sealed = self.choose.random() < 0.5
            change = with_edited_block if sealed else edited
            kind = f"{'V1' if name.startswith('v1') else 'index'}{', checksums made to fit' if sealed else ''}"
            self.read_damaged(kind, name, TABLES[name], change(self.good[name], self.choose), must_be_right=not sealed)
        elif draw < 0.70:
            name = self.choose.choice(list(BLOCKS))
            self.read_damaged("data", name, BLOCKS[name], edited(self.good[name], self.choose), must_be_right=True)
        elif draw < 0.80:
            self.hold("checkpoint", edited(STATE, self.choose), self.read_state)
        elif draw < 0.97:
            self.hold("meta", edited(self.meta, self.choose), read_meta_graph)
        else:
            self.hold("meta as text", edited(self.text, self.choose), read_meta_graph)

    def read_damaged(self, kind: str, name: str, prefix: str, data: bytes, *, must_be_right: bool) -> None:
        path = self.folder / name

        def read(data: bytes) -> None:
            # A new file: the old one may still be mapped.
            path.unlink()
            path.write_bytes(data)
            found = read_checkpoint(self.folder / prefix)
            if must_be_right and found != self.right[prefix]:
                raise AssertionError("an answer that is not right")

        self.hold(kind, data, read)
        path.unlink()
        path.write_bytes(self.good[name])

    def read_state(self, data: bytes) -> None:
        (self.folder / "checkpoint").write_bytes(data)
        checkpoint.read_state(str(self.folder))
        checkpoint.latest_checkpoint(self.folder)

    def hold(self, kind: str, data: bytes, read) -> None:
        start = time.monotonic()
        try:
            read(data)
            outcome = "answer"
        except DOCUMENTED:
            outcome = "documented error"
        except Exception as error:  # whatever else comes is what is looked for
            outcome = f"FIND {type(error).__name__}"
            self.find(kind, data)
        if time.monotonic() - start > MOST_SECONDS:
            outcome = "FIND slow"
            self.find(kind, data)
        self.counts[f"{kind}: {outcome}"] += 1

    def find(self, kind: str, data: bytes) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"{kind.split(',')[0]}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(f"{kind}\n{traceback.format_exc()}")
        self.finds.append(path)


def read_checkpoint(prefix: Path) -> dict[str, tuple[str, tuple[int, ...], object]]:
    """All that a checkpoint holds, in a form that compares by bits."""
    opened = checkpoint.open(prefix)
    return {
        name: (opened.dtype(name).name, array.shape, array.tolist() if array.dtype == object else array.tobytes())
        for name, array in opened.read_all().items()
    }


def read_meta_graph(data: bytes) -> None:
    """What an import looks at, and what those see who look at everything."""
    function, saver = mgjax.import_meta_graph(data, unbound_inputs_col_name="")
    _ = function.variables, function.collections, function.feeds, function.signatures
    if saver is not None:
        _ = saver.saved
    function.module()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "mgjax-fuzz", help="where finds go")
    parser.add_argument("--record", type=Path, help="a file to add a line of JSON to")
    chosen = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, hard))
    campaign = Campaign(chosen.seed, chosen.keep)
    start = time.monotonic()
    campaign.run(chosen.tries)
    summary = {"seed": chosen.seed, "tries": chosen.tries, "seconds": round(time.monotonic() - start)}
    summary["counts"] = dict(sorted(campaign.counts.items()))
    print(json.dumps(summary, indent=1))
    if chosen.record is not None:
        with chosen.record.open("a") as file:
            file.write(json.dumps(summary) + "\n")
    return 1 if campaign.finds else 0


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
