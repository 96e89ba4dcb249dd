"""IR to JAX."""
