"""Makes the variables of an ordered function SSA values: what is left is a pure function of state.

Every variable and every generator of random numbers becomes a parameter with the value before the run; what changes it
makes its next value; the last values become results. An operation that writes takes the present values in the place of its
references and handles, and gives the next values first, then its results that are no references, then its generator.

    func @main(%x:0: float32[]) {                                            func @main(%x:0: float32[], %w: float32[]) {
      %w = VariableV2() {dtype = float32, shape = []} : (ref float32[])        %y = Neg(%w) : (float32[])
      %y = Neg(%w) : (float32[])                                         ->    %set = Assign(%w, %x:0) : (float32[])
      %set = Assign(%w, %x:0) : (ref float32[])                                return %y, %set
      return %y                                                              }
    }

A host object (a table, a queue) is threaded as a variable is, but the operation that makes its handle stays: it takes the
object that there is, or nothing, as its last operand, and gives the object that there is from then on. An operation that takes
the run's context gets it as its last operand. An operation that keeps an object of its own takes it after its operands and
gives it after its results, before its generator. An operation that calls functions later on takes, in the place of what it
captures of variables and host objects, a `reference` that leads to what the state holds then.

The function's attributes say what is what: `inputs` has a pair (role, name) for each parameter and `outputs` one for each
result; roles are "feed", "fetch", "variable", "resource", "generator", "function seeds" (a generator of seeds for functions
that are called later on) and "context".
"""

from __future__ import annotations

from mgjax import dtypes
from mgjax.errors import UnsupportedError
from mgjax.ir import Block, Function, Operation, TensorType, Value, walk
from mgjax.passes.effects import Effects, Traits, VariableUses, generator_of

Key = tuple[str, str]

GENERATOR_TYPE = TensorType(dtypes.uint32, (6,))
RESOURCE_TYPE = TensorType(dtypes.resource, ())

CONTEXT: Key = ("context", "")

REFERENCE = "reference"
"""The kind of the operation that gives a reference to what its attributes `role` and `name` tell."""

OBJECT = "mgjax.object"
"""The attribute of an operation that makes a host object: the name under which that is held, and which result it is."""


def thread_variables(function: Function, traits: Traits) -> None:
    """Replaces references, handles and hidden generators by values; see the module's docstring."""
    if "inputs" in function.attributes:
        return
    inputs: list[Key] = [("feed", parameter.label) for parameter in function.body.parameters]
    outputs: list[Key] = [("fetch", str(i)) for i in range(len(function.body.results))]
    threading = _Threading(function, traits)
    present: dict[Key, Value] = {}
    for key, type in threading.state_types(function.body).items():
        inputs.append(key)
        present[key] = function.body.add_parameter(type, _label(key))
    before = dict(present)
    threading.run(function.body, present)
    for operation in threading.dropped:
        operation.set_operands(())
    for key, value in present.items():
        if value is not before[key]:
            function.body.results.append(value)
            outputs.append(key)
    function.attributes["inputs"] = tuple(inputs)
    function.attributes["outputs"] = tuple(outputs)


def _label(key: Key) -> str:
    role, name = key
    return f"{name}#{role}" if role in ("generator", "function seeds", "context") else name


def _generator_key(operation: Operation, effects: Effects) -> Key:
    return "function seeds" if effects.seeds_functions else "generator", generator_of(operation)


class _Threading:
    def __init__(self, function: Function, traits: Traits):
        self.traits = traits
        self.roles: dict[str, str] = {}
        self.uses = VariableUses(function, traits)
        # What each value refers to is found before operands change.
        for operation in walk(function.body):
            for value in operation.results:
                self.uses.variable(value)
        self.dropped: list[Operation] = []

    def state_types(self, block: Block) -> dict[Key, TensorType]:
        """All state that the block touches, with the types of the values that hold it."""
        types: dict[Key, TensorType] = {}
        for operation in walk(block):
            effects = self.traits.effects(operation)
            if (name := self.traits.variable(operation)) is not None:
                role = self.roles[name] = "resource" if effects.makes else "variable"
                types.setdefault((role, name), RESOURCE_TYPE if effects.makes else self._variable_type(operation))
            if effects.keeps:
                types["resource", self.traits.kept_object(operation)] = RESOURCE_TYPE
            if effects.draws:
                types[_generator_key(operation, effects)] = GENERATOR_TYPE
            if effects.takes_context:
                types[CONTEXT] = RESOURCE_TYPE
        return types

    def key(self, name: str) -> Key:
        """The state of a variable or host object."""
        return self.roles[name], name

    def _variable_type(self, operation: Operation) -> TensorType:
        dtype, shape = operation.attributes.get("dtype"), operation.attributes.get("shape")
        return TensorType(dtype, shape if isinstance(shape, tuple) else None)

    def written(self, block: Block) -> dict[Key, None]:
        """The state that the block changes."""
        keys: dict[Key, None] = {}
        for operation in walk(block):
            effects = self.traits.effects(operation)
            keys.update({self.key(name): None for name in self.uses.written(operation)})
            if effects.makes and (name := self.traits.variable(operation)) is not None:
                keys[self.key(name)] = None
            if effects.keeps:
                keys["resource", self.traits.kept_object(operation)] = None
            if effects.draws:
                keys[_generator_key(operation, effects)] = None
        return keys

    def value(self, value: Value, present: dict[Key, Value]) -> Value:
        """What stands for `value` now: the variable's present value if it refers to one."""
        name = self.uses.variable(value)
        return value if name is None else present[self.key(name)]

    def run(self, block: Block, present: dict[Key, Value]) -> None:
        """Threads one block; `present` holds the values before it and, afterwards, after it."""
        kept = []
        for operation in list(block.operations):
            makes = self.traits.effects(operation).makes
            if (self.traits.variable(operation) is not None and not makes) or self._only_forwards_state(operation):
                self.dropped.append(operation)
                continue
            if makes:
                operation = self._thread_maker(operation, present)
            elif operation.kind == "if":
                operation = self._thread_if(operation, present)
            elif operation.kind == "while":
                operation = self._thread_while(operation, present)
            elif operation.regions:
                operation = self._thread_gradient(operation, present)
            else:
                if self.traits.effects(operation).calls:
                    kept.extend(self._refer(operation))
                operation = self._thread_plain(operation, present)
            kept.append(operation)
        block.set_operations(kept)
        block.results = [self.value(value, present) for value in block.results]

    def _only_forwards_state(self, operation: Operation) -> bool:
        if not (self.traits.forwards(operation) and operation.operands):
            return False
        return all(self.uses.variable(value) is not None for value in operation.operands)

    def _thread_maker(self, operation: Operation, present: dict[Key, Value]) -> Operation:
        name = self.traits.variable(operation)
        assert name is not None
        key = self.key(name)
        effects = self.traits.effects(operation)
        operands = [self.value(value, present) for value in operation.operands]
        operands.append(present[key])
        if effects.takes_context:
            operands.append(present[CONTEXT])
        generator = _generator_key(operation, effects)
        if effects.draws:
            operands.append(present[generator])
        operation.set_operands(operands)
        operation.attributes[OBJECT] = name, 0
        operation.results = []
        present[key] = operation.add_result(RESOURCE_TYPE)
        if effects.draws:
            present[generator] = operation.add_result(GENERATOR_TYPE)
        return operation

    def _refer(self, operation: Operation) -> list[Operation]:
        """The references that the operation then takes; a variable of the old kind is captured by its value."""
        references: dict[Key, Operation] = {}
        operands = list(operation.operands)
        for i, value in enumerate(operands):
            name = self.uses.variable(value)
            if name is None or value.type.is_ref:
                continue
            key = self.key(name)
            if key not in references:
                attributes = dict(zip(("role", "name"), key, strict=True))
                references[key] = Operation(
                    REFERENCE, f"{operation.name}/{REFERENCE}/{name}", (), attributes, [RESOURCE_TYPE]
                )
                references[key].block = operation.block
            operands[i] = references[key].results[0]
        operation.set_operands(operands)
        return list(references.values())

    def _thread_plain(self, operation: Operation, present: dict[Key, Value]) -> Operation:
        effects: Effects = self.traits.effects(operation)
        names = [self.uses.variable(operation.operands[i]) for i in effects.writes]
        operands = [self.value(value, present) for value in operation.operands]
        own: Key = ("resource", self.traits.kept_object(operation) if effects.keeps else "")
        if effects.keeps:
            operands.append(present[own])
        if effects.takes_context:
            operands.append(present[CONTEXT])
        if any(name is None for name in names) or not (effects.draws or effects.keeps or names):
            # What it writes to is no variable: a list, or something that is refused later, by name.
            if operands != operation.operands:
                operation.set_operands(operands)
            return operation
        keys: list[Key] = [self.key(str(name)) for name in names]
        outputs = [result for result in operation.results if not result.type.is_ref]
        if effects.draws:
            generator = _generator_key(operation, effects)
            operands.append(present[generator])
        operation.set_operands(operands)
        operation.results = []
        for key in keys:
            present[key] = operation.add_result(present[key].type)
        for value in outputs:
            value.index = len(operation.results)
            operation.results.append(value)
        if effects.keeps:
            operation.attributes[OBJECT] = own[1], len(operation.results)
            present[own] = operation.add_result(RESOURCE_TYPE)
        if effects.draws:
            present[generator] = operation.add_result(GENERATOR_TYPE)
        return operation

    def _thread_if(self, operation: Operation, present: dict[Key, Value]) -> Operation:
        operation.set_operands([self.value(value, present) for value in operation.operands])
        changed = {key: None for region in operation.regions for key in self.written(region)}
        for region in operation.regions:
            inner = dict(present)
            self.run(region, inner)
            region.results.extend(inner[key] for key in changed)
        for key in changed:
            present[key] = operation.add_result(present[key].type)
        return operation

    def _thread_while(self, operation: Operation, present: dict[Key, Value]) -> Operation:
        _, body = operation.regions
        changed = {key: None for region in operation.regions for key in self.written(region)}
        operation.set_operands(
            [self.value(value, present) for value in operation.operands] + [present[key] for key in changed]
        )
        for region in operation.regions:
            inner = dict(present)
            for key in changed:
                inner[key] = region.add_parameter(present[key].type, f"{operation.name}/{region.label}/{key[1]}")
            self.run(region, inner)
            if region is body:
                region.results.extend(inner[key] for key in changed)
        for key in changed:
            present[key] = operation.add_result(present[key].type)
        return operation

    def _thread_gradient(self, operation: Operation, present: dict[Key, Value]) -> Operation:
        """A function with parameters for what it takes: a variable arrives as its value, which its parameter then is."""
        changed = {key: None for region in operation.regions for key in self.written(region)}
        if variables := [name for role, name in changed if role == "variable" or operation.kind == "map"]:
            raise UnsupportedError(
                f"{operation!r}, a {operation.kind} of a function, changes {', '.join(map(repr, variables))}, which this "
                "version cannot run; fetch what does not need it"
            )
        operation.set_operands([self.value(value, present) for value in operation.operands])
        for region in operation.regions:
            inner = dict(present)
            for parameter in region.parameters:
                if (name := self.uses.variable(parameter)) is not None:
                    parameter.type = present["variable", name].type
                    inner["variable", name] = parameter
            self.run(region, inner)
            region.results.extend(inner[key] for key in changed)
        for key in changed:
            present[key] = operation.add_result(present[key].type)
        return operation
