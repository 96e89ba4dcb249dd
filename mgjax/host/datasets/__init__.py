"""Input pipelines: datasets, which are values, and iterators, which are host objects. `dataset` says how they work."""

from mgjax.host.datasets import (  # noqa: F401
    batching,
    databases,
    iterators,
    mapping,
    multi_device,
    ordering,
    parsing,
    records,
    shuffling,
    sources,
    unchanged,
)
from mgjax.host.datasets.dataset import Dataset, LibraryFunction

__all__ = ["Dataset", "LibraryFunction"]
