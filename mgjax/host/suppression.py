"""Non-maximum suppression: of boxes that overlap, the one with the highest score stays, so that their number varies."""

import heapq

import numpy as np

from mgjax.ops import lower


def _overlaps(boxes, box):
    """Intersection over union of each of `boxes` with `box`, as (y1, x1, y2, x2) with the corners in any order."""
    boxes, box = boxes.astype(np.float32), box.astype(np.float32)
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    box_low, box_high = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])
    shared = np.prod(np.maximum(np.minimum(high, box_high) - np.maximum(low, box_low), 0), axis=1)
    areas, area = np.prod(high - low, axis=1), np.prod(box_high - box_low)
    united = areas + area - shared
    return np.where((areas > 0) & (area > 0), shared / np.where(united > 0, united, 1), 0)


def _select(scores, overlaps_with, limit, threshold, score_threshold=-np.inf):
    """Indices of the boxes that stay, by descending score, of equal ones the first.

    Args:
        overlaps_with: from an index to the overlaps of all boxes with that one.
    """
    remaining = scores > score_threshold
    chosen = []
    for index in np.argsort(-scores.astype(np.float32), kind="stable"):
        if len(chosen) >= limit:
            break
        if remaining[index]:
            chosen.append(index)
            remaining &= ~(overlaps_with(index) > threshold)
    return np.array(chosen, np.int32)


def _by_boxes(boxes):
    return lambda index: _overlaps(boxes, boxes[index])


@lower("NonMaxSuppression", host=True)
def non_max_suppression(boxes, scores, max_output_size, *, iou_threshold=0.5):
    """Indices of at most `max_output_size` boxes, none of which overlap by more than the threshold."""
    return _select(scores, _by_boxes(boxes), int(max_output_size), np.float32(iou_threshold))


@lower("NonMaxSuppressionV2", host=True)
def non_max_suppression_v2(boxes, scores, max_output_size, iou_threshold):
    """`non_max_suppression` with the threshold as an operand."""
    return _select(scores, _by_boxes(boxes), int(max_output_size), iou_threshold)


@lower("NonMaxSuppressionV3", host=True)
def non_max_suppression_v3(boxes, scores, max_output_size, iou_threshold, score_threshold):
    """`non_max_suppression_v2` of the boxes whose score exceeds `score_threshold`."""
    return _select(scores, _by_boxes(boxes), int(max_output_size), iou_threshold, score_threshold)


@lower("NonMaxSuppressionV4", host=True)
def non_max_suppression_v4(
    boxes, scores, max_output_size, iou_threshold, score_threshold, *, pad_to_max_output_size=False
):
    """`non_max_suppression_v3`, filled up with zeros if asked, and the number of indices before that."""
    chosen = _select(scores, _by_boxes(boxes), int(max_output_size), iou_threshold, score_threshold)
    return _padded(chosen, max_output_size, pad_to_max_output_size), np.int32(len(chosen))


def _padded(values, size, pad):
    return np.pad(values, (0, int(size) - len(values))) if pad else values


@lower("NonMaxSuppressionV5", host=True)
def non_max_suppression_v5(
    boxes,
    scores,
    max_output_size,
    iou_threshold,
    score_threshold,
    soft_nms_sigma,
    *,
    pad_to_max_output_size=False,
):
    """Indices, their scores and their number; with a positive sigma overlaps lower scores instead of removing boxes."""
    if soft_nms_sigma > 0:
        given = (boxes, scores, int(max_output_size), iou_threshold, score_threshold, float(soft_nms_sigma))
        chosen, kept = _select_softly(*given)
    else:
        chosen = _select(scores, _by_boxes(boxes), int(max_output_size), iou_threshold, score_threshold)
        kept = scores[chosen]
    pad = (max_output_size, pad_to_max_output_size)
    return _padded(chosen, *pad), _padded(kept, *pad), np.int32(len(chosen))


def _select_softly(boxes, scores, limit, threshold, score_threshold, sigma):
    """Takes the best box, lowers the scores of those that overlap it, and so on (Bodla et al., 2017)."""
    heap = [(-float(score), index, 0) for index, score in enumerate(scores) if score > score_threshold]
    heapq.heapify(heap)
    chosen, kept = [], []
    while heap and len(chosen) < limit:
        negative, index, seen = heapq.heappop(heap)
        score = original = -negative
        if seen < len(chosen):
            overlaps = _overlaps(boxes[chosen[seen:]], boxes[index])
            weights = np.where(overlaps <= threshold, np.exp(-0.5 / sigma * overlaps * overlaps), 0)
            score = float(original * np.prod(weights))
        if score == original:
            chosen.append(index)
            kept.append(score)
        elif score > score_threshold:
            heapq.heappush(heap, (-score, index, len(chosen)))
    return np.array(chosen, np.int32), np.array(kept, scores.dtype)


@lower("NonMaxSuppressionWithOverlaps", host=True)
def non_max_suppression_with_overlaps(overlaps, scores, max_output_size, overlap_threshold, score_threshold):
    """`non_max_suppression_v3` with the overlap of each pair given."""
    return _select(scores, lambda index: overlaps[:, index], int(max_output_size), overlap_threshold, score_threshold)
