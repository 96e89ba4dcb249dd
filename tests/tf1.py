"""TensorFlow 1.15 in a process of its own: for tests, where $MGJAX_TF1_PYTHON names a Python that has it."""

import os
import subprocess
from pathlib import Path

import pytest

PYTHON = os.environ.get("MGJAX_TF1_PYTHON", "")
ROOT = Path(__file__).parents[1]

needs_tf1 = pytest.mark.skipif(not PYTHON, reason="MGJAX_TF1_PYTHON names no Python that has TensorFlow 1.15")


def run_in_tf1(script: str, *arguments: object) -> str:
    """Runs a script in TensorFlow 1.15, with this folder's modules at hand; what it printed."""
    header = f"import os, sys; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'; sys.path.append({str(ROOT / 'tests')!r})\n"
    header += "import tensorflow.compat.v1 as tf; tf.logging.set_verbosity('ERROR')\nimport numpy as np\n"
    command = [PYTHON, "-W", "ignore", "-c", header + script, *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
