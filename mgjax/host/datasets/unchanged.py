"""Datasets that say how a pipeline is to run, and leave what it gives as it is (but for `OptimizeDataset`)."""

from __future__ import annotations

from collections.abc import Iterator

from mgjax.errors import UnsupportedError
from mgjax.host.datasets.dataset import Dataset, Element, Place, apart, dataset_of, description, scalar, vector
from mgjax.ops import lower


@lower(
    "ModelDataset", "NonSerializableDataset", "ExperimentalNonSerializableDataset", "OptionsDataset", "FinalizeDataset",
    host=True,
)  # fmt: skip
def same_dataset(input_dataset):
    """The dataset itself: threads, tuning and what a dataset may be used for change nothing of what it gives."""
    return dataset_of(input_dataset)


@lower("RewriteDataset", host=True)
def rewrite_dataset(input_dataset, rewrite_name):
    """The dataset itself: a rewrite keeps what it gives."""
    return dataset_of(input_dataset)


@lower("WrapDatasetVariant", host=True)
def wrap_dataset_variant(input_handle):
    return dataset_of(input_handle)


@lower("UnwrapDatasetVariant", host=True)
def unwrap_dataset_variant(input_handle):
    return dataset_of(input_handle)


@lower("PrefetchDataset", host=True)
def prefetch_dataset(input_dataset, buffer_size):
    """The dataset itself: elements are made when they are asked for."""
    return dataset_of(input_dataset)


@lower("MaxIntraOpParallelismDataset", "ExperimentalMaxIntraOpParallelismDataset", host=True)
def max_intra_op_parallelism_dataset(input_dataset, max_intra_op_parallelism):
    return dataset_of(input_dataset)


@lower("PrivateThreadPoolDataset", "ExperimentalPrivateThreadPoolDataset", host=True)
def private_thread_pool_dataset(input_dataset, num_threads):
    return dataset_of(input_dataset)


@lower("AssertNextDataset", "ExperimentalAssertNextDataset", host=True)
def assert_next_dataset(input_dataset, transformations):
    """The dataset itself: which rewrites TensorFlow's optimizer has made is nothing that could fail here."""
    return dataset_of(input_dataset)


@lower("BytesProducedStatsDataset", "ExperimentalBytesProducedStatsDataset", host=True)
def bytes_produced_stats_dataset(input_dataset, tag):
    return dataset_of(input_dataset)


@lower("LatencyStatsDataset", "ExperimentalLatencyStatsDataset", host=True)
def latency_stats_dataset(input_dataset, tag):
    return dataset_of(input_dataset)


@lower("ChooseFastestDataset", "ExperimentalChooseFastestDataset", host=True)
def choose_fastest_dataset(input_datasets):
    """The first dataset: all are said to have the same elements."""
    return dataset_of(input_datasets[0])


@lower("AutoShardDataset", "ExperimentalAutoShardDataset", host=True)
def auto_shard_dataset(input_dataset, num_workers, index):
    """The dataset itself where there is one worker."""
    if scalar(num_workers, "num_workers") != 1:
        raise UnsupportedError("a pipeline is not divided among several workers; use Dataset.shard")
    return dataset_of(input_dataset)


@description
class Optimized(Dataset):
    """Elements as they come once TensorFlow's own rewrites, which can change the order of a shuffle, were made."""

    input: Dataset
    optimizations: frozenset[str]

    def iterate(self, place: Place) -> Iterator[Element]:
        return self.input.iterate(place.at("Optimize").optimized(self.optimizations))

    def cardinality(self) -> int:
        return self.input.cardinality()


@lower("OptimizeDataset", host=True)
def optimize_dataset(input_dataset, optimizations):
    """Of the rewrites, those that change what a pipeline gives are made."""
    wanted = {name.decode() for name in vector(optimizations, "optimizations")}
    # TensorFlow writes the dataset as a graph, in which an input that is used twice stands twice.
    return Optimized(apart(dataset_of(input_dataset)), frozenset(wanted))


@lower("OptimizeDatasetV2", host=True)
def optimize_dataset_v2(input_dataset, optimizations_enabled, optimizations_disabled, optimizations_default):
    """The dataset itself: the rewrites of TensorFlow 2 keep what a pipeline gives."""
    return dataset_of(input_dataset)
