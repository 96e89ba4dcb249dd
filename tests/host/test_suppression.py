import numpy as np
import pytest

import mgjax.host  # noqa: F401
from tests.ops.live import check


def boxes(seed=0, count=30):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 1, [count, 2])
    found = np.concatenate([corner, corner + rng.uniform(0, 0.5, [count, 2])], axis=1).astype(np.float32)
    # Some have their corners the other way round, some no area.
    found[3] = found[3, [2, 3, 0, 1]]
    found[5, 2:] = found[5, :2]
    scores = rng.uniform(0, 1, count).astype(np.float32)
    scores[7] = scores[8]
    return {"boxes": found, "scores": scores}


LIMIT = {"max_output_size": np.int32(12)}
THRESHOLDS = {"iou_threshold": np.float32(0.3), "score_threshold": np.float32(0.2)}


@pytest.mark.parametrize("seed", range(3))
def test_boxes_that_stay_are_tensorflows(seed):
    given = boxes(seed) | LIMIT
    check("NonMaxSuppression", given, {"iou_threshold": 0.3})
    check("NonMaxSuppressionV2", given | {"iou_threshold": np.float32(0.3)})
    check("NonMaxSuppressionV3", given | THRESHOLDS)


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("limit", [3, 25])
def test_indices_may_be_filled_up_with_zeros(pad, limit):
    given = boxes() | THRESHOLDS | {"max_output_size": np.int32(limit)}
    check("NonMaxSuppressionV4", given, {"pad_to_max_output_size": pad})
    check("NonMaxSuppressionV5", given | {"soft_nms_sigma": np.float32(0)}, {"pad_to_max_output_size": pad})


@pytest.mark.parametrize("seed, sigma", [(0, 0.5), (1, 0.1), (2, 2.0)])
def test_scores_are_lowered_as_tensorflow_lowers_them(seed, sigma):
    given = boxes(seed) | LIMIT | {"iou_threshold": np.float32(0.9), "score_threshold": np.float32(0.1)}
    check("NonMaxSuppressionV5", given | {"soft_nms_sigma": np.float32(sigma)}, rtol=1e-5)


def test_overlaps_may_be_given():
    overlaps = np.random.default_rng(0).uniform(0, 1, [20, 20]).astype(np.float32)
    overlaps = (overlaps + overlaps.T) / 2
    given = {"overlaps": overlaps, "scores": boxes(count=20)["scores"], **LIMIT}
    check("NonMaxSuppressionWithOverlaps", given | {"overlap_threshold": np.float32(0.6), "score_threshold": 0.1})
