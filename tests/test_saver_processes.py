"""A state restored into shards of two processes: each reads the rows of its own device, and no others."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from mgjax import checkpoint
from tests.live import meta_graph_of, tf

ROOT = Path(__file__).parents[1]
WIDE = np.arange(4000, dtype=np.float32).reshape(40, 100)

SCRIPT = """
import sys
import jax
import numpy as np

import mgjax
from mgjax import checkpoint

address, process, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
jax.distributed.initialize(address, 2, process)
asked = []
read_rows = checkpoint.bundle.Bundle.read_rows


def counted(bundle, name, start, stop):
    asked.append((name, start, stop))
    return read_rows(bundle, name, start, stop)


checkpoint.bundle.Bundle.read_rows = counted
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("x",))
rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
fn, saver = mgjax.import_meta_graph(f"{folder}/m.meta")
state = saver.restore(f"{folder}/m", shardings={"wide": rows, "part/part_1": rows})
(shard,) = state["wide"].addressable_shards
np.testing.assert_array_equal(shard.data, np.arange(4000, dtype=np.float32).reshape(40, 100)[20 * process :][:20])
(shard,) = state["part/part_1"].addressable_shards
np.testing.assert_array_equal(shard.data, np.arange(8, dtype=np.float32).reshape(4, 2)[2 + process : 3 + process])
assert sorted(asked) == [("part", 2 + process, 3 + process), ("wide", 20 * process, 20 * process + 20)], asked
assert int(state["step"]) == 7 and state["step"].dtype == np.int64
print("done")
"""


def build():
    tf.get_variable("wide", [40, 100], use_resource=False)
    tf.get_variable("part", [4, 2], partitioner=tf.fixed_size_partitioner(2), use_resource=False)
    tf.get_variable("step", [], tf.int64, use_resource=False)


def test_each_process_reads_the_rows_of_its_own_shards(tmp_path):
    (tmp_path / "m.meta").write_bytes(meta_graph_of(build).SerializeToString())
    part = np.arange(8, dtype=np.float32).reshape(4, 2)
    checkpoint.write(tmp_path / "m", {"wide": WIDE, "part": part, "step": np.int64(7)})
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, address, str(process), str(tmp_path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for process in range(2)
    ]  # fmt: skip
    try:
        for process in started:
            out, err = process.communicate(timeout=120)
            assert (process.returncode, out) == (0, "done\n"), err[-3000:]
    finally:
        for process in started:
            process.kill()
