"""Datasets of parsed examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mgjax.host.datasets.batching import sparse as boxed
from mgjax.host.datasets.dataset import Dataset, Element, Place, Taking, dataset_of, description
from mgjax.host.examples import parse_example
from mgjax.ops import lower


@description
class ParseExample(Dataset):
    """Batches of serialized examples as a component for each key, in the order of the keys; a sparse one is its three parts."""

    input: Dataset
    sparse_keys: Sequence[Any]
    dense_keys: Sequence[Any]
    dense_defaults: Sequence[np.ndarray]
    types: Mapping[str, Any]

    def iterate(self, place: Place) -> Iterator[Element]:
        return _ParseExampleIterator(self, place)

    def cardinality(self) -> int:
        return self.input.cardinality()


class _ParseExampleIterator(Taking):
    def __init__(self, dataset: ParseExample, place: Place):
        super().__init__(dataset.input.iterate(place.at("ParseExample")))
        self._dataset = dataset

    def __next__(self) -> Element:
        dataset = self._dataset
        (serialized,) = next(self.input)
        *sparse, dense = parse_example(
            serialized, (), dataset.sparse_keys, dataset.dense_keys, dataset.dense_defaults, **dataset.types
        )
        components = dict(zip(dataset.dense_keys, dense, strict=True))
        components |= {key: boxed(*parts) for key, *parts in zip(dataset.sparse_keys, *sparse, strict=True)}
        return tuple(components[key] for key in sorted(components))


@lower("ParseExampleDataset", "ExperimentalParseExampleDataset", host=True)
def parse_example_dataset(
    input_dataset,
    num_parallel_calls,
    dense_defaults,
    *,
    sparse_keys,
    dense_keys,
    sparse_types,
    Tdense,
    dense_shapes,
):
    types = {"sparse_types": sparse_types, "Tdense": Tdense, "dense_shapes": dense_shapes}
    return ParseExample(dataset_of(input_dataset), sparse_keys, dense_keys, list(dense_defaults), types)
