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

    def of_image(boxes, scores):
        select = jax.vmap(lambda b, s: _select(b, s, limit, iou_threshold, score_threshold))
        kept_boxes, kept_scores = select(jnp.moveaxis(boxes, 1, 0), scores.T)
        kept = kept_scores.ravel()
        order = jnp.argsort(-kept, stable=True)[:size]
        valid = kept[order] > -np.inf
        chosen = jnp.where(valid[:, None], kept_boxes.reshape(-1, 4)[order], 0)
        chosen = jnp.clip(chosen, 0, 1) if clip_boxes else chosen
        found = (chosen, jnp.where(valid, kept[order], 0), jnp.where(valid, order // limit, 0).astype(np.float32))
        fill = [jnp.pad(x, [(0, size - x.shape[0]), *[(0, 0)] * (x.ndim - 1)]) for x in found]
        return *fill, jnp.sum(valid, dtype=np.int32)

    return jax.vmap(of_image)(boxes, jnp.asarray(scores))


def _select(boxes, scores, limit, iou_threshold, score_threshold):
    """The boxes that stay, by descending score, and their scores; -inf where there are fewer than `limit`."""
    low, high = jnp.minimum(boxes[:, :2], boxes[:, 2:]), jnp.maximum(boxes[:, :2], boxes[:, 2:])
    areas = jnp.prod(high - low, axis=1)

    def step(remaining, _):
        best = lax.argmax(remaining, 0, np.int32)
        shared = jnp.prod(jnp.maximum(jnp.minimum(high, high[best]) - jnp.maximum(low, low[best]), 0), axis=1)
        united = areas + areas[best] - shared
        both = (areas > 0) & (areas[best] > 0)
        overlaps = both & (shared / jnp.where(united > 0, united, 1) > iou_threshold)
        gone = overlaps | (jnp.arange(len(remaining)) == best)
        return jnp.where(gone, -np.inf, remaining), (boxes[best], remaining[best])

    eligible = jnp.where(scores > score_threshold, scores, -np.inf)
    return lax.scan(step, eligible, length=limit)[1]
