"""What a newcomer wants to know of an unknown graph: `print(mgjax.inspect("model.meta"))`."""

from mgjax.inspect.inspecting import Found, inspect, read_graph
from mgjax.inspect.report import Held, Input, Nearby, Output, Race, Report, TrainOp, Unsupported

__all__ = [
    "Found",
    "Held",
    "Input",
    "Nearby",
    "Output",
    "Race",
    "Report",
    "TrainOp",
    "Unsupported",
    "inspect",
    "read_graph",
]
