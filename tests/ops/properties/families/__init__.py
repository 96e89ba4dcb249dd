"""The constraints of each family of ops, a few lines each. An op without an entry here is drawn as an elementwise one."""

from tests.ops.properties.families import elementwise, joining, matmul, reductions, shaping, slicing  # noqa: F401
