"""Hypothesis draws the same examples on every run, so that a change fails for what it is; MGJAX_EXPLORE=1 draws new ones."""

import os

from hypothesis import settings

# Whichever test imports TensorFlow first: the plain kernels, since oneDNN's round differently on each kind of processor.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("explore" if os.environ.get("MGJAX_EXPLORE") else "repeatable")
