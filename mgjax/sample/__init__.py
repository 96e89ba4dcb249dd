"""A small model that TensorFlow 1.15 trained, to try things on: it tells digits of 8 by 8 pixels apart.

`make_sample.py` beside this file made it. `python -m mgjax.sample` restores it, runs it, trains on, and saves it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
#: What `saver.restore` takes; with ".meta" behind it, what `import_meta_graph` takes.
PREFIX = str(FOLDER / "digits-1500")
META = PREFIX + ".meta"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What TensorFlow 1.15 computed from the checkpoint, on `load_digits()`.

    Attributes:
        probs_of_first: the fetch "probs:0" for the first picture, before training on.
        accuracy, accuracy_after: the fetch "accuracy:0" for all pictures, before and after training on.
        losses: the fetch "loss:0" of each further training step, on `batches()`.
    """

    probs_of_first: list[float]
    accuracy: float
    losses: list[float]
    accuracy_after: float


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """Pictures, float32[320, 8, 8] of levels 0 to 15, and their digits, int64[320]."""
    with np.load(FOLDER / "digits.npz") as data:
        return data["images"].astype(np.float32), data["labels"]


def load_recorded() -> Recorded:
    """What TensorFlow 1.15 computed."""
    found = json.loads((FOLDER / "recorded.json").read_text())
    return Recorded(**{name: found[name] for name in Recorded.__slots__})


def batches(steps: int = 20, size: int = 32) -> list[tuple[np.ndarray, np.ndarray]]:
    """The batches of further training steps: pictures float32[size, 8, 8] and digits int64[size], round and round."""
    images, labels = load_digits()
    rows = [np.arange(start, start + size) % len(images) for start in range(0, steps * size, size)]
    return [(images[row], labels[row]) for row in rows]
