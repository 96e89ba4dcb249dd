"""Decoding of what a network trained with the CTC loss gives; the results are sparse and of data-dependent size."""

import heapq
import itertools

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.ops import lower


def _sparse(rows):
    """Indices, values and dense shape of a matrix of ragged rows."""
    lengths = np.array([len(row) for row in rows], np.int64)
    values = np.concatenate([np.zeros(0, np.int64), *rows]).astype(np.int64)
    places = [np.arange(n) for n in lengths]
    columns = np.concatenate([np.zeros(0, np.int64), *places]).astype(np.int64)
    indices = np.stack([np.repeat(np.arange(len(rows)), lengths), columns], axis=1)
    return indices, values, np.array([len(rows), lengths.max(initial=0)], np.int64)


def _check(inputs, sequence_length):
    time, batch, _ = inputs.shape
    if sequence_length.shape != (batch,):
        raise InvalidArgumentError(f"sequence_length has shape {sequence_length.shape}, inputs have batch size {batch}")
    if np.any(sequence_length > time):
        raise InvalidArgumentError(f"sequence_length({int(np.argmax(sequence_length > time))}) <= {time}")


@lower("CTCGreedyDecoder", host=True)
def ctc_greedy_decoder(inputs, sequence_length, *, merge_repeated=False):
    """The likeliest class of each step, blanks left out; the score is minus the sum of the raw maxima."""
    _check(inputs, sequence_length)
    blank = inputs.shape[-1] - 1
    rows = []
    for entry, length in enumerate(sequence_length):
        best = np.argmax(inputs[:length, entry], axis=-1)
        keep = best != blank
        if merge_repeated:
            keep[1:] &= best[1:] != best[:-1]
        rows.append(best[keep])
    within = np.arange(inputs.shape[0])[:, None] < sequence_length
    score = -np.sum(np.where(within, inputs.max(-1), 0), 0, dtype=inputs.dtype)[:, None]
    return (*_sparse(rows), score)


@lower("CTCBeamSearchDecoder", host=True)
def ctc_beam_search_decoder(inputs, sequence_length, *, beam_width, top_paths, merge_repeated=True):
    """The likeliest label sequences, found among the `beam_width` best prefixes at each step.

    Returns lists of `top_paths` indices, values and shapes, and the log probabilities `[batch, top_paths]`.
    """
    _check(inputs, sequence_length)
    if top_paths > beam_width:
        raise InvalidArgumentError(f"top_paths {top_paths} exceeds beam_width {beam_width}")
    decoded = [_beam_search(inputs[:n, b], beam_width, top_paths) for b, n in enumerate(sequence_length)]
    scores = np.array([score for _, score in decoded], inputs.dtype).reshape(len(decoded), top_paths)
    paths = [[_merged(rows[k]) if merge_repeated else rows[k] for rows, _ in decoded] for k in range(top_paths)]
    indices, values, shapes = zip(*map(_sparse, paths), strict=True)
    return list(indices), list(values), list(shapes), scores


def _merged(labels):
    """Labels without repetitions; TensorFlow merges even those that a blank parted (ctc_beam_entry.h)."""
    labels = np.asarray(labels, np.int64)
    return labels[np.append(True, labels[1:] != labels[:-1])] if len(labels) else labels


class _Prefix:
    """A node of the tree of label sequences; its log probabilities after the step before, and after this one.

    Attributes:
        old, new: total, of sequences that end in a blank, and of those that end in the label; None outside the beam.
    """

    __slots__ = ("children", "label", "new", "old", "parent")

    def __init__(self, parent, label):
        self.parent, self.label, self.children = parent, label, {}
        self.old = self.new = None

    def labels(self):
        node, path = self, []
        while node.parent is not None:
            path.append(node.label)
            node = node.parent
        return path[::-1]


def _beam_search(logits, beam_width, top_paths):
    """The `top_paths` best label sequences of one entry, `logits` `[time, class]`, and their log probabilities.

    The order of the visits is TensorFlow's (ctc_beam_search.h), as it decides what leaves the beam.
    """
    root = _Prefix(None, -1)
    root.new = (0.0, 0.0, -np.inf)
    beam = [root]
    for row in logits.astype(np.float64):
        shifted = row - row.max()
        scores = shifted - np.log(np.sum(np.exp(shifted)))
        beam = _step(beam, scores[:-1], scores[-1], beam_width)
    beam.sort(key=lambda node: -node.new[0])
    if len(beam) < top_paths:
        raise InvalidArgumentError(f"fewer than {top_paths} sequences found in a beam of {beam_width}")
    return [node.labels() for node in beam[:top_paths]], [node.new[0] for node in beam[:top_paths]]


def _step(beam, scores, blank_score, beam_width):
    """The beam after one more step: what stays, and what grows by a label."""
    for node in beam:
        node.old = node.new
    for node in beam:
        total, _, by_label = node.old
        if node.parent is not None:
            if node.parent.new is not None:
                by_label = np.logaddexp(by_label, node.parent.old[node.parent.label == node.label])
            by_label += scores[node.label]
        by_blank = total + blank_score
        node.new = (np.logaddexp(by_blank, by_label), by_blank, by_label)

    ages = itertools.count()
    heap = [(node.new[0], next(ages), node) for node in beam]
    heapq.heapify(heap)
    for node in sorted(beam, key=lambda node: -node.old[0]):
        floor = heap[0][0] if len(heap) == beam_width else -np.inf
        if node.old is None or node.old[0] <= floor:
            continue
        totals = node.old[0] + scores
        if node.label >= 0:
            totals[node.label] = node.old[1] + scores[node.label]
        # A child that has left the beam in this step is considered anew, and if refused does not grow either.
        fallen = [k for k, child in node.children.items() if child.new is None and child.old is not None]
        for label in sorted({*np.flatnonzero(totals > floor).tolist(), *fallen}):
            child = node.children.get(label)
            if child is not None and child.new is not None:
                continue
            total = float(totals[label])
            if total == -np.inf or (len(heap) == beam_width and total <= heap[0][0]):
                if child is not None:
                    child.old = None
                continue
            if child is None:
                child = node.children[label] = _Prefix(node, label)
            if len(heap) == beam_width:
                heapq.heappop(heap)[2].new = None
            child.new = (total, -np.inf, total)
            heapq.heappush(heap, (total, next(ages), child))
    return [node for _, _, node in heap]
