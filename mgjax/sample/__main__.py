"""`python -m mgjax.sample [FOLDER]`: restores the sample, runs it, trains on, saves it to FOLDER (default: a temporary one)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

import mgjax
from mgjax import sample


def main(folder: str) -> None:
    recorded = sample.load_recorded()
    images, labels = sample.load_digits()

    fn, saver = mgjax.import_meta_graph(sample.META)
    variables = saver.restore(sample.PREFIX)
    print(
        f"restored {len(fn.variables)} variables from {Path(sample.PREFIX).name}, global_step {variables['global_step']}"
    )

    variables, (probs, accuracy) = fn(variables, {"x:0": images, "y:0": labels}, ["probs:0", "accuracy:0"])
    print(f"the first picture is a {np.argmax(probs[0])} (p = {np.max(probs[0]):.4f}); it is labelled {labels[0]}")
    print(f"accuracy on {len(labels)} pictures: {accuracy:.4f} (TensorFlow 1.15: {recorded.accuracy:.4f})")

    step = jax.jit(fn.bind(["x:0", "y:0"], ["loss:0", "train_op"]), donate_argnums=0)
    print("training on   loss      TensorFlow 1.15")
    worst = 0.0
    for number, (batch, expected) in enumerate(zip(sample.batches(), recorded.losses, strict=True), 1):
        variables, (loss, _) = step(variables, *batch)
        worst = max(worst, abs(float(loss) - expected))
        if number in (1, 2, 10, 20):
            print(f"  step {number:2}     {loss:.6f}  {expected:.6f}")
    print(f"largest difference of the 20 losses: {worst:.1e}")
    if not worst < 1e-4:
        sys.exit("the losses differ from TensorFlow's")

    _, accuracy = fn(variables, {"x:0": images, "y:0": labels}, "accuracy:0")
    print(f"accuracy now: {accuracy:.4f} (TensorFlow 1.15: {recorded.accuracy_after:.4f})")
    path = saver.save(variables, str(Path(folder) / "digits"), global_step=int(variables["global_step"]))
    print(f"saved {path}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="mgjax-sample-"))
