"""Non-maximum suppression for all classes of a batch, whose results are of fixed size; see `mgjax.host.suppression`."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mgjax.ops.registry import Static, lower


@lower("CombinedNonMaxSuppression")
def combined_non_max_suppression(
    boxes,
    scores,
    max_output_size_per_class: Static,
    max_total_size: Static,
    iou_threshold,
    score_threshold,
    *,
    pad_per_class=False,
    clip_boxes=True,
):
    """The best boxes of each image over all classes, their scores, their classes (float32), and their number.

    `boxes` is `[batch, box, class or 1, 4]`, `scores` is `[batch, box, class]`; results are filled up with zeros.
    """
    classes, total = scores.shape[2], int(max_total_size)
    limit = min(int(max_output_size_per_class), scores.shape[1])
    size = min(total, int(max_output_size_per_class) * classes) if pad_per_class else total
    boxes = jnp.broadcast_to(jnp.asarray(boxes), (*scores.shape, 4))

    def of_class(boxes, scores):
        chosen, kept, _ = suppress(scores, overlaps_of(boxes), limit, iou_threshold, score_threshold)
        return boxes[chosen], kept

    def of_image(boxes, scores):
        kept_boxes, kept_scores = jax.vmap(of_class)(jnp.moveaxis(boxes, 1, 0), scores.T)
        kept = kept_scores.ravel()
        order = jnp.argsort(-kept, stable=True)[:size]
        valid = kept[order] > -np.inf
        chosen = jnp.where(valid[:, None], kept_boxes.reshape(-1, 4)[order], 0)
        chosen = jnp.clip(chosen, 0, 1) if clip_boxes else chosen
        found = (chosen, jnp.where(valid, kept[order], 0), jnp.where(valid, order // limit, 0).astype(np.float32))
        fill = [jnp.pad(x, [(0, size - x.shape[0]), *[(0, 0)] * (x.ndim - 1)]) for x in found]
        return *fill, jnp.sum(valid, dtype=np.int32)

    return jax.vmap(of_image)(boxes, jnp.asarray(scores))


def overlaps_of(boxes):
    """From an index to the overlap (intersection over union) of each of `boxes` `[box, 4]` with that one."""
    boxes = jnp.asarray(boxes).astype(np.float32)
    low, high = jnp.minimum(boxes[:, :2], boxes[:, 2:]), jnp.maximum(boxes[:, :2], boxes[:, 2:])
    areas = jnp.prod(high - low, axis=1)

    def overlaps_with(index):
        shared = jnp.prod(jnp.maximum(jnp.minimum(high, high[index]) - jnp.maximum(low, low[index]), 0), axis=1)
        united = areas + areas[index] - shared
        return jnp.where((areas > 0) & (areas[index] > 0), shared / jnp.where(united > 0, united, 1), 0)

    return overlaps_with


def suppress(scores, overlaps_with, length, overlap_threshold, score_threshold, *, limit=None, sigma=0.0):
    """Takes the best box, and out of the running those that overlap it, and so on.

    Args:
        scores: `[box]`.
        overlaps_with: from an index to the overlaps of all boxes with that one.
        length: how many are taken; static.
        limit: the most that may be taken, if fewer; it may be traced.
        sigma: if positive, what overlaps a box less than the threshold has its score lowered by a Gaussian of the overlap
            (Bodla et al., 2017).

    Returns:
        int32[length] indices by descending score, of equal ones the first, and their scores, -inf where no more are found;
        and the scores of those that are left, -inf for those that were taken or are out of the running.
    """
    scores = jnp.asarray(scores).astype(np.float32)
    sigma = jnp.asarray(sigma, np.float32)
    scale = jnp.where(sigma > 0, np.float32(-0.5) / jnp.where(sigma > 0, sigma, 1), 0)
    limit = length if limit is None else limit
    order = lax.iota(np.int32, len(scores))

    def step(left, round_):
        best = lax.argmax(left, 0, np.int32)
        taken = jnp.where(round_ < limit, left[best], -np.inf)
        overlaps = overlaps_with(best).astype(np.float32)
        lowered = jnp.where(overlaps > overlap_threshold, -np.inf, left * jnp.exp(scale * overlaps * overlaps))
        lowered = jnp.where((lowered > score_threshold) & (order != best), lowered, -np.inf)
        return jnp.where(taken > -np.inf, lowered, left), (best, taken)

    eligible = jnp.where(scores > score_threshold, scores, -np.inf)
    left, (chosen, kept) = lax.scan(step, eligible, np.arange(length, dtype=np.int32))
    return chosen, kept, left
