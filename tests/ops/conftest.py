import jax
import pytest


@pytest.fixture(autouse=True)
def wide():
    """JAX's 64-bit mode, in which every lowering is traced."""
    with jax.enable_x64(True):
        yield
