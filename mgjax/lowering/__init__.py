"""IR to JAX."""

import mgjax.host  # noqa: F401  (its steps enter the registry)
from mgjax.lowering.compile import compile_program, make_pure, makers, structure_control_flow
from mgjax.lowering.flags import NOTHING, Failure
from mgjax.lowering.printing import PrintCounts
from mgjax.lowering.program import Program
from mgjax.lowering.traits import FORWARDING_KINDS, STRUCTURED_KINDS, VARIABLE_KINDS, RegisteredTraits

__all__ = [
    "FORWARDING_KINDS",
    "NOTHING",
    "STRUCTURED_KINDS",
    "VARIABLE_KINDS",
    "Failure",
    "PrintCounts",
    "Program",
    "RegisteredTraits",
    "compile_program",
    "make_pure",
    "makers",
    "structure_control_flow",
]
