import numpy as np
import pytest

from tests.ops.live import check


@pytest.mark.parametrize("shared_boxes", [True, False])
@pytest.mark.parametrize("total, pad_per_class, clip_boxes", [(6, False, True), (40, True, False), (40, False, True)])
def test_suppression_in_all_classes_equals_tensorflow(total, pad_per_class, clip_boxes, shared_boxes):
    rng = np.random.default_rng(total)
    corner = rng.uniform(-0.1, 1, [2, 15, 1 if shared_boxes else 3, 2])
    boxes = np.concatenate([corner, corner + rng.uniform(0, 0.5, corner.shape)], axis=-1).astype(np.float32)
    given = {
        "boxes": boxes,
        "scores": rng.uniform(0, 1, [2, 15, 3]).astype(np.float32),
        "max_output_size_per_class": np.int32(4),
        "max_total_size": np.int32(total),
        "iou_threshold": np.float32(0.3),
        "score_threshold": np.float32(0.2),
    }
    check("CombinedNonMaxSuppression", given, {"pad_per_class": pad_per_class, "clip_boxes": clip_boxes})
