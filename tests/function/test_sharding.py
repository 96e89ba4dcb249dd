"""`fn` over several devices: sharded `jit` and `shard_map`, on two devices that XLA makes of one CPU."""

import subprocess
import sys

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from tests.live import meta_graph_of, tf

PROGRAM = """
import sys
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
import mgjax

fn, _ = mgjax.import_meta_graph(sys.argv[1])
mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
x = np.arange(8, dtype=np.float32).reshape(4, 2)
state = fn.init()

step = jax.jit(fn.bind(["x:0"], ["y:0", "train_op"]),
               in_shardings=(NamedSharding(mesh, P()), NamedSharding(mesh, P("batch"))))
after, (y, _) = step(state, x)
assert len(y.sharding.device_set) == 2
mapped = jax.shard_map(lambda x: fn(state, {"x:0": x}, "y:0")[1], mesh=mesh, in_specs=P("batch"), out_specs=P("batch"))
np.savez(sys.argv[2], y=y, mapped=mapped(x), w=after["w"])
"""


def build():
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    w = tf.get_variable("w", [2, 1], initializer=tf.constant_initializer([[1.0], [10.0]]))
    y = tf.matmul(x, w, name="y")
    tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(y), name="train_op")


def test_sharded_jit_and_shard_map_compute_what_one_device_does(tmp_path, monkeypatch):
    (tmp_path / "model.meta").write_bytes(meta_graph_of(build).SerializeToString())
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "model.meta"), str(tmp_path / "out.npz")]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    with np.load(tmp_path / "out.npz") as out:
        assert_array_equal(out["y"], [[10], [32], [54], [76]])
        assert_array_equal(out["mapped"], out["y"])
        # The sums of the columns of x are 12 and 16.
        assert_allclose(out["w"], [[1 - 6], [10 - 8]])
