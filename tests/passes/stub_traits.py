"""Traits of the few ops that the tests' functions are made of."""

from mgjax.passes import NO_EFFECTS, Effects

_EFFECTS = {
    "Assign": Effects(overwrites=(0,)),
    "AssignAdd": Effects(updates=(0,)),
    "AssignVariableOp": Effects(overwrites=(0,)),
    "RandomUniform": Effects(draws=True),
}


class StubTraits:
    def effects(self, operation):
        return _EFFECTS.get(operation.kind, NO_EFFECTS)

    def variable(self, operation):
        return operation.name if operation.kind in ("VariableV2", "VarHandleOp") else None

    def forwards(self, operation):
        return operation.kind == "Identity"
