"""mgjax brings TensorFlow 1 models back to life on JAX.

fn, saver = mgjax.import_meta_graph("my-model-10000.meta")
variables = saver.restore("my-model-10000")
variables, probs = fn(variables, {"x:0": images}, "probs:0")
"""

from mgjax import errors
from mgjax.exporting import export_meta_graph
from mgjax.function import GraphFunction, State
from mgjax.importing import import_graph_def, import_meta_graph, load_saved_model
from mgjax.inspect import inspect
from mgjax.ops import JAX_RANDOM, Static, lower
from mgjax.saver import Saver

__version__ = "0.1.0"

__all__ = [
    "JAX_RANDOM",
    "GraphFunction",
    "Saver",
    "State",
    "Static",
    "errors",
    "export_meta_graph",
    "import_graph_def",
    "import_meta_graph",
    "inspect",
    "load_saved_model",
    "lower",
]
