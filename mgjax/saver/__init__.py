"""A graph's saver: its variables to and from checkpoints."""

from mgjax.saver.fit import Fit
from mgjax.saver.saver import Saver

__all__ = ["Fit", "Saver"]
