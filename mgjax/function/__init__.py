"""An imported graph as a pure function, and its state."""

from mgjax.function.elements import GraphOperation, Signature, SparseTensor, Tensor, Variable, element_name
from mgjax.function.graph_function import GraphFunction
from mgjax.function.state import HostObjects, SessionState, State, as_state, join_words, split_words
from mgjax.function.structures import flatten, map_leaves, rebuild
from mgjax.lowering import Failure

__all__ = [
    "Failure",
    "GraphFunction",
    "GraphOperation",
    "HostObjects",
    "SessionState",
    "Signature",
    "SparseTensor",
    "State",
    "Tensor",
    "Variable",
    "as_state",
    "element_name",
    "flatten",
    "join_words",
    "map_leaves",
    "rebuild",
    "split_words",
]
