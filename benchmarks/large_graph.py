"""The cost of importing a graph of 60,000 nodes, and whether it grows with the number of nodes alone."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from google.protobuf import message

import mgjax
from benchmarks.table import Row, alternate

#: CPU seconds that importing 60,000 nodes may take.
SECONDS = 1.0
#: What 60,000 nodes may cost beside a part of them, node for node.
LINEARITY = 1.3
#: Transformer blocks of each graph: some 15,000, 30,000 and 60,000 nodes.
BLOCKS = {"15k": 15, "30k": 29, "60k": 58}
FOLDER = Path(__file__).parents[1] / "build" / "benchmarks"


def measure() -> Iterator[Row]:
    metas = {name: _meta(blocks) for name, blocks in BLOCKS.items()}
    found = alternate({name: _import_time(meta) for name, meta in metas.items()}, rounds=5)
    nodes = {name: len(mgjax.import_meta_graph(meta)[0].operations) for name, meta in metas.items()}
    yield Row(f"import of {nodes['60k']:,} nodes, CPU", found["60k"], "the seconds allowed", SECONDS, "s", 1)
    for name in ("30k", "15k"):
        fair = found[name] * nodes["60k"] / nodes[name]
        yield Row(
            f"import of {nodes['60k']:,} nodes, CPU",
            found["60k"],
            f"that of {nodes[name]:,}, times the nodes",
            fair,
            "s",
            LINEARITY,
        )
    yield Row(
        f"import of {nodes['60k']:,} nodes, CPU",
        found["60k"],
        "the parsing of its bytes alone",
        _parse_time(metas["60k"]),
        "s",
    )


def _meta(blocks: int) -> str:
    """The path of a .meta of that many blocks, made by TensorFlow on first use (half a minute for the largest)."""
    path = FOLDER / f"transformer-{blocks}.meta"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.make_transformer", str(blocks), str(path)], check=True
        )
    return str(path)


def _import_time(meta: str) -> Callable[[], float]:
    def measure() -> float:
        gc.collect()
        start = time.process_time()
        mgjax.import_meta_graph(meta)
        return time.process_time() - start

    return measure


def _parse_time(meta: str) -> float:
    from mgjax.proto.meta_graph_pb2 import MetaGraphDef

    kind: type[message.Message] = MetaGraphDef
    content = Path(meta).read_bytes()
    start = time.process_time()
    kind.FromString(content)
    return time.process_time() - start
