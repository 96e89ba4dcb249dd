"""IR to JAX."""

import mgjax.host  # noqa: F401  (its steps enter the registry)
