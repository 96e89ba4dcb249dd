"""How many insertions, deletions and replacements make one sequence of another."""

from __future__ import annotations

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops import lower


@lower("EditDistance", host=True)
def edit_distance(
    hypothesis_indices,
    hypothesis_values,
    hypothesis_shape,
    truth_indices,
    truth_values,
    truth_shape,
    *,
    normalize=True,
):
    """Levenshtein's distance of the sequences along the last axes of two sparse tensors; `normalize`: per true element.

    Where the truth is empty, the normalized distance is infinite, or 0 if the hypothesis is empty too.
    """
    if len(hypothesis_shape) != len(truth_shape):
        raise InvalidArgumentError(
            "Expected hypothesis_shape and truth_shape to have equal lengths, but saw: "
            f"{list(hypothesis_shape)} and {list(truth_shape)}"
        )
    if len(truth_shape) < 2:
        raise InvalidArgumentError(
            f"Input SparseTensors must have rank at least 2, but truth_shape rank is: {len(truth_shape)}"
        )
    shape = tuple(int(n) for n in np.maximum(hypothesis_shape, truth_shape)[:-1])
    hypotheses, truths = _sequences(hypothesis_indices, hypothesis_values), _sequences(truth_indices, truth_values)
    result = np.zeros(shape, np.float32)
    for place in {**hypotheses, **truths}:
        hypothesis, truth = hypotheses.get(place, []), truths.get(place, [])
        distance = np.float32(_distance(hypothesis, truth))
        if normalize:
            distance = distance / np.float32(len(truth)) if truth else np.float32(np.inf if hypothesis else 0)
        result[place] = distance
    return result


def _sequences(indices, values) -> dict[tuple[int, ...], list]:
    """The values of each sequence by its place in the other axes."""
    rows: dict[tuple[int, ...], list] = {}
    for index, value in zip(indices, values, strict=True):
        rows.setdefault(tuple(map(int, index[:-1])), []).append(value)
    return rows


def _distance(left: list, right: list) -> int:
    previous = list(range(len(right) + 1))
    for i, x in enumerate(left, 1):
        row = [i]
        for j, y in enumerate(right, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (x != y)))
        previous = row
    return previous[-1]
