"""Candidate samplers: the classes that a sampled loss compares with the true ones, and how often each was expected."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ops import philox
from mgjax.ops.registry import lower

BLOCKS_PER_SAMPLE = 2048


@lower("UniformCandidateSampler", draws=True)
def uniform_candidate_sampler(true_classes, *, num_true, num_sampled, unique, range_max, generator):
    """Classes of [0, range_max), all equally likely; see `_sample` for the outputs."""

    def propose(bits, pending):
        if range_max & (range_max - 1) == 0:
            return bits & np.uint64(range_max - 1), jnp.ones(bits.shape, bool), pending
        # What lies below this remainder would make small classes likelier.
        rest = (2**64 - 1) % range_max + 1
        return bits % np.uint64(range_max), bits >= np.uint64(rest), pending

    def probability(classes):
        return jnp.full(classes.shape, np.float32(1) / np.float32(range_max), np.float32)

    return _sample(true_classes, generator, propose, probability, num_true, num_sampled, unique, range_max)


@lower("LogUniformCandidateSampler", draws=True)
def log_uniform_candidate_sampler(true_classes, *, num_true, num_sampled, unique, range_max, generator):
    """Classes of [0, range_max), class v with probability log((v + 2) / (v + 1)) / log(range_max + 1) (Zipf's law)."""
    log_range = math.log1p(range_max)

    def propose(bits, pending):
        classes = jnp.exp(philox.uniform64(bits) * log_range).astype(np.int64) - 1
        return (classes % range_max).astype(np.uint64), jnp.ones(bits.shape, bool), pending

    def probability(classes):
        wide = classes.astype(np.float64)
        return (jnp.log((wide + 2) / (wide + 1)) / log_range).astype(np.float32)

    return _sample(true_classes, generator, propose, probability, num_true, num_sampled, unique, range_max)


@lower("FixedUnigramCandidateSampler", draws=True)
def fixed_unigram_candidate_sampler(
    true_classes,
    *,
    num_true,
    num_sampled,
    unique,
    range_max,
    vocab_file="",
    distortion=1.0,
    num_reserved_ids=0,
    num_shards=1,
    shard=0,
    unigrams=(),
    generator,
):
    """Classes of [0, range_max) with probabilities as the `unigrams` to the power of `distortion`; reserved ones have none.

    Of several shards, each has the classes that leave the remainder `shard`.
    """
    if vocab_file:
        raise UnsupportedError(f"vocab_file {vocab_file!r} is not supported (the counts as the attr `unigrams` are)")
    powers = np.power(np.asarray(unigrams, np.float32), np.float32(distortion))
    weights = np.concatenate([np.zeros(num_reserved_ids, np.float32), powers])[shard::num_shards]
    if len(weights) != range_max:
        raise InvalidArgumentError(f"range_max is {range_max}, but the unigrams and reserved ids are {len(weights)}")
    keep, other = _alias_table(weights)
    rest = 0 if range_max & (range_max - 1) == 0 else (2**32 - 1) % range_max + 1

    def propose(bits, pending):
        # A word says whether a class or its alias is meant, the next one which class: one that is below the remainder
        # is drawn again. So it depends on the words before what a word is for; `pending` is -1 where the first is due.
        def take(level, word):
            index = (word % np.uint32(range_max)).astype(np.int32)
            picks = (level >= 0) & (word >= np.uint32(rest))
            chosen = jnp.where(level < keep[index], index, other[index])
            level = jnp.where(level < 0, philox.uniform32(word), jnp.where(picks, np.float32(-1), level))
            return level, (chosen, picks)

        pending, (classes, valid) = lax.scan(take, pending, philox.unpack(bits))
        return classes, valid, pending

    def probability(classes):
        within = (classes >= 0) & (classes < range_max)
        total = np.cumsum(weights, dtype=np.float32)[-1]
        return jnp.where(within, jnp.asarray(weights / total)[jnp.clip(classes, 0, range_max - 1)], np.float32(0))

    return _sample(true_classes, generator, propose, probability, num_true, num_sampled, unique, range_max)


def _alias_table(weights):
    """For Walker's method: the share of each class's slot that is its own, float32, and the class that has the rest."""
    # The product is of float32 as in TensorFlow, the sum in order.
    share = (weights * np.float32(len(weights))).astype(np.float64) / np.cumsum(weights, dtype=np.float64)[-1]
    other = np.arange(len(weights), dtype=np.int32)
    low, high = list(np.flatnonzero(share < 1)), list(np.flatnonzero(share >= 1))
    while low and high:
        poor, rich = low.pop(), high.pop()
        other[poor] = rich
        share[rich] -= 1 - share[poor]
        (low if share[rich] < 1 else high).append(rich)
    # What rounding left over is as good as full.
    share[low + high] = 1
    return jnp.asarray(share.astype(np.float32)), jnp.asarray(other)


@lower("AllCandidateSampler", draws=True)
def all_candidate_sampler(true_classes, *, num_true, num_sampled, unique, generator):
    """All classes below `num_sampled`, each expected once; nothing is drawn, though TensorFlow reserves as if."""
    _check_true(true_classes, num_true)
    ones = jnp.ones(true_classes.shape, np.float32), jnp.ones(num_sampled, np.float32)
    return jnp.arange(num_sampled, dtype=np.int64), *ones, _after(generator, num_sampled)


@lower("ComputeAccidentalHits", host=True)
def compute_accidental_hits(true_classes, sampled_candidates, *, num_true):
    """Where a sampled class is a true one: rows int32[n], positions int64[n] among the sampled, weights lowest
    float."""
    _check_true(true_classes, num_true)
    matches = true_classes[:, :, None] == sampled_candidates
    # A class sampled twice counts at its last position, as in TensorFlow's map from class to position.
    last = sampled_candidates[:, None] == sampled_candidates
    matches &= ~np.triu(last, 1).any(axis=1)
    row, _, position = np.nonzero(matches)
    weights = np.full(row.size, -np.finfo(np.float32).max, np.float32)
    return row.astype(np.int32), position.astype(np.int64), weights


def _sample(true_classes, generator, propose, probability, num_true, num_sampled, unique, range_max):
    """The outputs of a sampler, then the generator after the draw.

    sampled_candidates int64[num_sampled], true_expected_count float32[batch, num_true] and sampled_expected_count
    float32[num_sampled]: how often a class was to be expected among the sampled, given the number of draws it took.
    """
    _check_true(true_classes, num_true)
    if unique and num_sampled > range_max:
        raise InvalidArgumentError(f"Sampler's range is too small: {num_sampled} unique classes of {range_max}")
    generator, true_classes = jnp.asarray(generator), jnp.asarray(true_classes)
    sampled, tries = _draw(generator, propose, num_sampled, range_max if unique else 0)

    def expected(classes):
        p = probability(classes)
        at_once = p * np.float32(num_sampled)
        return jnp.where(tries == num_sampled, at_once, -jnp.expm1(tries.astype(np.float32) * jnp.log1p(-p)))

    return sampled, expected(true_classes), expected(sampled), _after(generator, num_sampled)


def _draw(generator, propose, wanted, distinct_below):
    """`wanted` proposed classes in the order drawn, all different if `distinct_below` is not 0, and the draws taken."""
    # A chunk of proposals at a time: within it a class counts at its first position, and not if an earlier chunk had it.
    chunk = 2 * max(wanted, 8) if distinct_below else wanted + wanted % 2

    def draw(carry):
        start, filled, tries, seen, out, pending = carry
        block = start + (lax.iota(np.uint64, chunk) >> np.uint64(1))
        bits = philox.pairs_at(generator, block, lax.iota(np.uint64, chunk) & np.uint64(1) == 1)
        classes, valid, pending = propose(bits, pending)
        classes, new, order = classes.astype(np.int64), valid, lax.iota(np.int64, len(classes))
        if distinct_below:
            where = jnp.where(valid, classes, distinct_below)
            first = jnp.full(distinct_below, len(classes), np.int64).at[where].min(order, mode="drop")
            new = valid & (first[classes] == order) & ~seen[classes]
        position = jnp.where(new, filled + jnp.cumsum(new, dtype=np.int64) - 1, wanted)
        taken = position < wanted
        out = out.at[position].set(classes, mode="drop")
        if distinct_below:
            seen = seen.at[jnp.where(taken, classes, distinct_below)].set(True, mode="drop")
        # Draws up to the one that fills the last place; what the generator itself refuses is not a draw.
        full = filled + jnp.sum(new, dtype=np.int64) >= wanted
        end = jnp.max(jnp.where(taken, order, -1))
        counted = valid & ((order <= end) | ~full)
        filled = jnp.minimum(filled + jnp.sum(new, dtype=np.int64), wanted)
        return start + np.uint64(chunk // 2), filled, tries + jnp.sum(counted, dtype=np.int64), seen, out, pending

    zero = jnp.zeros((), np.int64)
    seen, out = jnp.zeros(distinct_below, bool), jnp.zeros(wanted, np.int64)
    begin = (jnp.zeros((), np.uint64), zero, zero, seen, out, jnp.full((), -1, np.float32))
    _, _, tries, _, sampled, _ = lax.while_loop(lambda carry: carry[1] < wanted, draw, begin)
    return sampled, tries


def _check_true(true_classes, num_true):
    if true_classes.ndim != 2 or true_classes.shape[1] != num_true:
        raise InvalidArgumentError(
            f"true_classes must be a matrix with {num_true} columns (num_true), not of shape {true_classes.shape}"
        )


def _after(generator, num_sampled):
    return philox.skip(generator, (BLOCKS_PER_SAMPLE * num_sampled + 3) // 4)
