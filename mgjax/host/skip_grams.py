"""Skip-grams: pairs of words that stand near each other, as tf.contrib.text draws them."""

from __future__ import annotations

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.streams import Words, below
from mgjax.ops import lower, philox


@lower("SkipGramGenerateCandidates", host=True, draws=True)
def skip_gram_generate_candidates(input_tensor, min_skips, max_skips, start, limit, emit_self_as_target, *, generator):
    """Each token from `start` on, `limit` of them or all if that is negative, with those around it: [pairs], [pairs].

    How far the pairs of a token reach is drawn anew for each, from `min_skips` to `max_skips`.
    """
    least, most, first, count = (int(x) for x in (min_skips, max_skips, start, limit))
    if input_tensor.ndim != 1:
        raise InvalidArgumentError(f"input_tensor must have one dimension, not {input_tensor.ndim}")
    if least < 0 or most < 0:
        raise InvalidArgumentError("Both min_skips and max_skips must be >= 0.")
    if least > most:
        raise InvalidArgumentError("min_skips must be <= max_skips.")
    if first < 0:  # where the kernel would read what lies before the tokens
        raise InvalidArgumentError(f"start must not be negative, got {first}")
    end = len(input_tensor) if count < 0 else min(first + count, len(input_tensor))
    words = Words.of(generator)
    tokens, labels = [], []
    for i in range(first, end):
        skips = least + below(most - least + 1, words)
        near = [j for j in range(max(i - skips, first), min(i + skips + 1, end)) if j != i or emit_self_as_target]
        tokens += [i] * len(near)
        labels += near
    after = philox.skip(generator, (max(end - first + 1, 0) + 3) // 4)
    return input_tensor[np.array(tokens, int)], input_tensor[np.array(labels, int)], np.asarray(after)
