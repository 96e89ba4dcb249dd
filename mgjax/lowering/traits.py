"""What passes may know of operations, from the registered lowerings."""

from __future__ import annotations

from collections.abc import Mapping

from mgjax.ir import Operation
from mgjax.ops import Lowering
from mgjax.passes import NO_EFFECTS, Effects

VARIABLE_KINDS = frozenset({"VariableV2", "Variable", "VarHandleOp", "TemporaryVariable"})
FORWARDING_KINDS = frozenset({"Identity", "RefIdentity", "RefEnter", "Enter", "RefExit", "Exit"})
STRUCTURED_KINDS = frozenset(
    {
        "Switch", "RefSwitch", "Merge", "RefMerge",
        "Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "RefNextIteration", "LoopCond",
        "PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "Case", "StatelessCase",
        "While", "StatelessWhile", "For",
    }
)  # fmt: skip
"""What passes turn into structured operations, or inline: no lowering ever sees it."""


class RegisteredTraits:
    """The traits of operations as their lowerings declare them."""

    def __init__(self, lowerings: Mapping[str, Lowering]):
        self._lowerings = lowerings
        self._fixed: dict[str, Effects] = {}

    def effects(self, operation: Operation) -> Effects:
        known = self._fixed.get(operation.kind)
        if known is None:
            known = self._fixed[operation.kind] = self._effects(operation)
        return known

    def _effects(self, operation: Operation) -> Effects:
        lowering = self._lowerings.get(operation.kind)
        if lowering is None or not (lowering.writes or lowering.draws or lowering.effect):
            return NO_EFFECTS
        # Ops that write take their variables before any list of inputs, so that places do not depend on the attributes.
        place = {name: i for i, name in enumerate(lowering.parameters)}
        return Effects(
            updates=tuple(place[name] for name in lowering.updates),
            overwrites=tuple(place[name] for name in lowering.overwrites),
            draws=lowering.draws,
            acts=lowering.effect,
        )

    def variable(self, operation: Operation) -> str | None:
        return variable_name(operation) if operation.kind in VARIABLE_KINDS else None

    def forwards(self, operation: Operation) -> bool:
        return operation.kind in FORWARDING_KINDS


def variable_name(operation: Operation) -> str:
    """The name under which a variable's value is held: `shared_name`, or the node's name where that is empty."""
    attributes = operation.attributes
    return str(attributes.get("var_name") or attributes.get("shared_name") or operation.name)


__all__ = ["FORWARDING_KINDS", "STRUCTURED_KINDS", "VARIABLE_KINDS", "RegisteredTraits", "variable_name"]
