"""A program: what one set of feeds and fetches compiles to.

A run is a sequence of *stages*. A stage is a device program, compiled as a whole, and the host steps that follow it. Most
runs are one stage without host steps. A value that an operation must know while it is traced, or that a host step
takes, ends a stage; tracing finds them one after another (`NeedsValue`), and the plan is made anew with each. A feed or a
variable that shapes depend on is known before the first stage, and its value is part of the key of the compiled program.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mgjax import dtypes
from mgjax.errors import FeedError, OpError, UnsupportedError
from mgjax.ir import Function, Operation, Value, walk
from mgjax.lowering.evaluate import Environment, Evaluator, NeedsValue
from mgjax.lowering.flags import NOTHING, Flags, Site, Sites
from mgjax.lowering.loops import NeedsHost
from mgjax.lowering.printing import prints_in
from mgjax.ops import ElementList, HostObject, ListVector, Optional, is_known
from mgjax.passes import GENERATOR_TYPE, OBJECT, PRINTED, REFERENCE, free_values, generator_of

LARGEST_EMBEDDED_CONSTANT = 1 << 14
"""Bytes: larger constants are handed to a device program as arguments, not compiled into it."""

MOST_VARIANTS = 8
"""Device programs that are compiled of one stage where the arguments keep changing."""

LARGEST_STATIC_FEED = 1024
"""Elements: a feed or variable with more is never taken into the key of a compiled program; the run is split instead."""


@dataclass(slots=True, eq=False)
class Stage:
    """A device program and the host steps after it.

    Attributes:
        device: operations of the device program, in order.
        host: operations that run in Python after it, in order.
        takes: values from outside that the device program is given.
        gives: values that the device program hands on.
        compiled: the jitted device program for each set of known values and shapes.
    """

    device: list[Operation] = field(default_factory=list)
    host: list[Operation] = field(default_factory=list)
    takes: list[Value] = field(default_factory=list)
    gives: list[Value] = field(default_factory=list)
    compiled: dict[Any, Compiled] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Compiled:
    """A device program for known values and shapes.

    Attributes:
        call: from the values that it takes to the values that it gives.
        takes: the values that it takes, but for those that are known.
        constants: small values that it gives and that tracing found to depend on shapes and known values alone.
        may_repeat: whether it prints, and may have to run again with more room.
    """

    call: Callable[..., Any]
    takes: list[Value]
    constants: dict[Value, np.ndarray]
    may_repeat: bool


class Session(Protocol):
    """What a run shares with others that go on while a host step of it waits."""

    def keep(self, name: str, object: Any) -> None:
        """Takes a host object that was made, so that other runs find it."""

    def changed(self) -> Sequence[Any] | None:
        """The arrays for the program's parameters, if others may have changed them since they were asked for; else None."""


class Program:
    """An ordered, threaded function, ready to be traced by JAX or run.

    Args:
        function: its attributes `inputs` and `outputs` say what its parameters and results are.
        evaluator: evaluates its operations.
        constants: names of feeds whose values are known while tracing.
        checked: whether the program tells what fails (see `mgjax.lowering.flags`).
        varies: whether it is run for one element after another. Then what shapes depend on is computed in a stage of its own,
            not taken into the key of a compiled program together with an argument, and after `MOST_VARIANTS` kinds of arguments
            nothing more is compiled: operations run one by one, in NumPy where they can.
        precision: of products of matrices and convolutions.
    """

    def __init__(
        self,
        function: Function,
        evaluator: Evaluator,
        constants: Sequence[str] = (),
        checked: bool = False,
        varies: bool = False,
        precision: str = "highest",
    ):
        self.function = function
        self.inputs: tuple[tuple[str, str], ...] = function.attributes["inputs"]
        self.outputs: tuple[tuple[str, str], ...] = function.attributes["outputs"]
        self._evaluator = evaluator
        self._varies = varies
        self._known: dict[Value, None] = {
            value: None
            for (role, name), value in zip(self.inputs, function.body.parameters, strict=True)
            if role == "feed" and name in constants
        }
        self._after: dict[Operation, dict[Value, None]] = {}
        self.sites = Sites() if checked else None
        self.precision = precision
        self._constants = {op: op.attributes["value"] for op in function.body.operations if _is_held(op)}
        self._on_device: dict[Value, Any] = {}
        self._lock = threading.RLock()
        self._stages: list[Stage] | None = None
        self._compiled_before: dict[Any, dict[Any, Compiled]] = {}
        self._host: dict[Operation, bool] = {}
        blocks = (function.body, *(each.body for each in evaluator.recursive.values()))
        self._prints = any(prints_in(block.operations) for block in blocks)

    @functools.cached_property
    def object_generators(self) -> dict[str, str]:
        """The generators that a host object draws from once it is made, and the object's name."""
        return {
            generator_of(operation): operation.attributes[OBJECT][0]
            for operation in walk(self.function.body)
            if (lowering := self._evaluator.lowerings.get(operation.kind)) is not None
            and lowering.makes
            and lowering.draws
        }

    def trace(self, arrays: Sequence[Any]) -> tuple[list[Any], Any]:
        """The results, computed inside whatever JAX transformation is active, and the number of the site that failed first.

        Args:
            arrays: one for each parameter; None for a variable without a value.

        Raises:
            FeedError: an operation needs to know a feed that is a tracer.
            UnsupportedError: the fetches need a host step, which no transformation can hold.
        """
        values = zip(self.function.body.parameters, arrays, strict=True)
        environment = Environment(values, self._flags(), is_inside_jit=True, needs={})
        self._refuse_context()
        with jax.enable_x64(True), jax.default_matmul_precision(self.precision):
            try:
                self._evaluator.run(self.function.body.operations, environment)
            except NeedsValue as need:
                if isinstance(need.__cause__, OpError):
                    raise need.__cause__ from need
                raise self._refusal(need, environment) from need
            except NeedsHost as need:
                if isinstance(need.__cause__, OpError):
                    raise need.__cause__ from need
                raise UnsupportedError(
                    f"{need}; it runs on the host only, so call fn outside of jit, grad and the like"
                ) from need
            failed = NOTHING if environment.flags is None else environment.flags.first()
            results = [_as_array(environment[value]) for value in self.function.body.results]
            return _spoilt(results, environment.needs or {}), failed

    def _flags(self) -> Flags | None:
        return None if self.sites is None else Flags(self.sites)

    def run(self, arrays: Sequence[Any], session: Session | None = None) -> list[Any]:
        """The results for concrete values: device programs and host steps in turn. Raises what fails, if it is checked.

        Args:
            arrays: one for each parameter; None for a variable without a value.
            session: whose state other runs may change while this one waits.
        """
        done: dict[Operation, Sequence[Any]] = {}
        printing = self._evaluator.printer.run() if self._prints else contextlib.nullcontext()
        with printing, jax.enable_x64(True), jax.default_matmul_precision(self.precision):
            while True:
                stages = self._stages or self._plan()
                try:
                    return self._run(stages, arrays, done, session)
                except NeedsValue as need:
                    self._learn(need)
                except NeedsHost as need:
                    if need.operation in self._evaluator.on_host:
                        raise UnsupportedError(
                            f"{need}, nor can it run on the host, in what is derived or mapped"
                        ) from need
                    self._move_to_host(need.operation)

    def _refuse_context(self) -> None:
        """Refuses what acts on objects and files in the midst of somebody else's program."""
        found = []
        for operation in walk(self.function.body):
            lowering = self._evaluator.lowerings.get(operation.kind)
            if lowering is not None and lowering.context:
                found.append(operation)
        # What only makes a handle gives nothing that one could feed.
        found.sort(key=lambda operation: not _feedable(operation))
        if found:
            raise UnsupportedError(_outside_of_transformations(found[0]))

    def _move_to_host(self, operation: Operation) -> None:
        """Makes a plan in which the host runs a loop, and with it the loops around it."""
        with self._lock:
            inner: Operation | None = operation
            while inner is not None:
                self._evaluator.on_host.add(inner)
                owner = inner.block.owner if inner.block is not None else None
                inner = owner if isinstance(owner, Operation) else None
            self._host.clear()
            self._stages = None

    # ---- running a plan

    def _run(
        self,
        stages: list[Stage],
        arrays: Sequence[Any],
        done: dict[Operation, Sequence[Any]],
        session: Session | None,
    ) -> list[Any]:
        """One go at a plan. What host steps made is kept in `done`: none acts twice because a plan had to be made anew."""
        environment = Environment({}, self._flags())

        def enter(arrays: Sequence[Any]) -> None:
            environment.update(zip(self.function.body.parameters, arrays, strict=True))
            for value in self._known:
                if value in environment:
                    environment[value] = _as_numpy(environment[value])

        enter(arrays)
        environment.update(self._on_device)
        known = dict.fromkeys(self._known)
        results: dict[Value, Any] = {}
        printer = self._evaluator.printer
        for stage in stages:
            if stage.device:
                while True:
                    compiled = self._compiled(stage, environment, known, is_last=stage is stages[-1])
                    taken = [environment[value] for value in compiled.takes]
                    with printer.holding(compiled.may_repeat) as forget:
                        given, failed, needs = compiled.call(taken)
                        is_complete = not needs or not self._evaluator.rooms.enlarge(needs)
                        if not is_complete:
                            forget()
                    if is_complete:
                        break
                    for key in [key for key, other in stage.compiled.items() if other is compiled]:
                        stage.compiled.pop(key, None)
                printer.end(stage.device)
                if self.sites is not None and failed != NOTHING:
                    self._raise(self.sites[int(failed)], stage, environment)
                environment.update(zip(stage.gives, given, strict=True))
                results.update((value, environment[value]) for value in compiled.constants)
                environment.update(compiled.constants)
                known.update(dict.fromkeys(compiled.constants))
                for value in stage.gives:
                    if value in self._known:
                        environment[value] = _as_numpy(environment[value])
            for operation in stage.host:
                for value in () if operation.regions else operation.operands:
                    environment[value] = _as_numpy(environment[value])
                made = done.get(operation)
                if made is None:
                    made = done[operation] = self._evaluator.results(operation, environment)
                environment.update(zip(operation.results, made, strict=True))
                if session is not None:
                    if OBJECT in operation.attributes:
                        name, place = operation.attributes[OBJECT]
                        session.keep(name, made[place])
                    if (present := session.changed()) is not None:
                        enter(present)
        return [results.get(value, environment[value]) for value in self.function.body.results]

    def _compiled(self, stage: Stage, environment: Environment, known: Mapping[Value, None], is_last: bool) -> Compiled:
        """The device program for the values that are known now and, where stages follow, the shapes of the others."""
        static = {
            v: environment[v]
            for v in stage.takes
            if _is_opaque(environment[v]) or (v in known and not isinstance(environment[v], ElementList))
        }
        takes = [value for value in stage.takes if value not in static]
        key = (
            tuple(static),
            tuple(map(_static_key, static.values())),
            None if is_last and not self._varies else tuple(_shape_key(environment[value]) for value in takes),
            is_in_order := self._prints and not any(map(_is_spread, (environment[value] for value in takes))),
        )
        compiled = stage.compiled.get(key)
        if compiled is not None:
            return compiled
        constants: dict[Value, np.ndarray] = {}

        def device_program(given: Sequence[Any]) -> tuple[list[Any], Any, Any]:
            inner = Environment({**static, **dict(zip(takes, given, strict=True))}, self._flags(), needs={})
            inner.is_in_order = is_in_order
            self._evaluator.run(stage.device, inner)
            if not is_last:
                constants.update({value: inner[value] for value in stage.gives if _is_small_constant(inner[value])})
            return [_as_array(inner[value]) for value in stage.gives], inner.flags and inner.flags.first(), inner.needs

        may_repeat = bool(prints_in(stage.device))
        if may_repeat:
            may_repeat = bool(jax.eval_shape(device_program, [environment[value] for value in takes])[2])
        if self._varies and len(stage.compiled) >= MOST_VARIANTS:
            return Compiled(device_program, takes, constants, may_repeat)
        compiled = stage.compiled[key] = Compiled(jax.jit(device_program), takes, constants, may_repeat)
        return compiled

    def _raise(self, site: Site, stage: Stage, environment: Environment) -> NoReturn:
        """Raises the error of a site, with all that the values tell: what fails is evaluated again, outside of compiled code."""
        failing = _outermost(site.operation, self.function)
        given = {value: environment[value] for value in stage.takes}
        known = {value: array for value, array in given.items() if _is_opaque(array) or is_known(array)}
        wanted = {value: None for value in _operands(failing) if value not in known}
        needed = _needed(stage.device, wanted)
        traced = {value: array for value, array in given.items() if value not in known}

        def operands(arrays: Sequence[Any]) -> dict[int, Any]:
            inner = Environment(
                {**known, **dict(zip(traced, arrays, strict=True))}, raises=False, needs={}, is_replay=True
            )
            self._evaluator.run(needed, inner)
            return {i: _as_array(inner[value]) for i, value in enumerate(wanted)}

        flags = Flags(self.sites) if self.sites is not None else None
        try:
            found = jax.jit(operands)(list(traced.values()))
            values = {value: found[i] for i, value in enumerate(wanted)}
            self._evaluator.results(failing, Environment({**values, **known}, flags, is_replay=True))
        except (NeedsValue, NeedsHost, UnsupportedError):
            raise site.failure() from None
        raise site.failure()

    # ---- planning

    def _plan(self) -> list[Stage]:
        with self._lock:
            if self._stages is None:
                self._on_device = {op.result: _on_device(array) for op, array in self._constants.items()}
                stages = _fill_stages(self.function, self._stage_of(), self._is_host)
                for stage in stages:
                    # What an earlier plan compiled of the same operations serves this one too.
                    content = (tuple(stage.device), tuple(stage.takes), tuple(stage.gives))
                    stage.compiled = self._compiled_before.setdefault(content, stage.compiled)
                self._stages = stages
            return self._stages

    def _is_host(self, operation: Operation) -> bool:
        """Whether the operation runs in Python: its lowering says so, or it takes or makes what no device holds."""
        is_host = self._host.get(operation)
        if is_host is None:
            is_host = self._host[operation] = self._find_host(operation)
        return is_host

    def _find_host(self, operation: Operation) -> bool:
        if operation.kind == PRINTED:
            return any(map(_holds_objects, free_values(operation.regions[0])))
        if operation.regions:
            # A loop or a branch with a host step in it runs on the host as a whole.
            inner = [operation_ for region in operation.regions for operation_ in region.operations]
            # All are asked: each inner loop or branch with a host step is one of its own.
            found = operation in self._evaluator.on_host or any([*map(self._is_host, inner)])
            found = found or any(map(_holds_objects, operation.results))
            if found:
                self._evaluator.on_host.add(operation)
            return found
        lowering = self._evaluator.lowerings.get(operation.kind)
        if lowering is None:
            return operation.kind == REFERENCE or operation in self._evaluator.on_host
        if _is_text(operation):
            return False
        if lowering.quotes and not lowering.host:
            operands = [v for v in operation.operands if v.producer is None or not _is_text(v.producer)]
            return any(map(_holds_objects, operands))
        if lowering.host or any(map(_holds_objects, (*operation.operands, *operation.results))):
            return True
        return any(map(self._may_be_dataset, operation.operands))

    def _may_be_dataset(self, value: Value) -> bool:
        """Whether a variant comes from the host, where it may be a dataset; else it is a list or an optional of arrays."""
        if value.type.dtype is not dtypes.variant:
            return False
        producer = value.producer
        return value.owner is self.function.body if producer is None else self._is_host(producer)

    def _stage_of(self) -> dict[Operation, int]:
        """The stage of each operation: as early as its operands allow. A host step belongs to the stage before it."""
        stage_of: dict[Operation, int] = {}
        available: dict[Value, int] = {}
        last_action = 0
        for operation in self.function.body.operations:
            if operation in self._constants:
                continue
            values: Iterable[Value] = operation.operands
            if operation.regions:
                values = [*values, *(v for region in operation.regions for v in free_values(region))]
            stage = max((available.get(value, 0) for value in values), default=0)
            for value in self._after.get(operation, ()):
                producer = value.producer
                if producer in stage_of and not self._is_host(producer):
                    stage = max(stage, stage_of[producer] + 1)
            is_host = self._is_host(operation)
            if is_host:
                stage = max(stage, *(self._host_ready(v, stage_of) for v in values), 0)
                lowering = self._evaluator.lowerings.get(operation.kind)
                stage = max(stage, *(stage_of[before] for before in operation.control if before in stage_of), 0)
                if lowering is None or lowering.effect:
                    stage = last_action = max(stage, last_action)
            elif self.sites is not None and any(map(self._asserts, _with_inner(operation))):
                # No host step that comes after an assertion acts before it has held.
                last_action = max(last_action, stage)
            stage_of[operation] = stage
            for value in operation.results:
                available[value] = stage + 1 if is_host else stage
        return self._with_the_rest_last(stage_of) if any(map(self._may_wait, stage_of)) else stage_of

    def _asserts(self, operation: Operation) -> bool:
        lowering = self._evaluator.lowerings.get(operation.kind)
        return lowering is not None and lowering.effect and bool(lowering.checks)

    def _may_wait(self, operation: Operation) -> bool:
        lowering = self._evaluator.lowerings.get(operation.kind)
        return lowering is not None and lowering.context and lowering.effect

    def _with_the_rest_last(self, stage_of: dict[Operation, int]) -> dict[Operation, int]:
        """The same, but what no host step needs comes in the last stage: variables are read and written after all waiting,
        during which other runs may change them."""
        needed: dict[Operation, None] = {}
        stack = [operation for operation in stage_of if self._is_host(operation)]
        stack += [value.producer for values in self._after.values() for value in values if value.producer in stage_of]
        while stack:
            operation = stack.pop()
            if operation in needed:
                continue
            needed[operation] = None
            stack += [value.producer for value in _operands(operation) if value.producer in stage_of]
            stack += [before for before in operation.control if before in stage_of]
        last = max(stage_of.values(), default=0)
        if any(stage_of[operation] == last for operation in needed if self._is_host(operation)):
            last += 1  # a stage's host steps come after its device program
        return {operation: stage if operation in needed else last for operation, stage in stage_of.items()}

    def _host_ready(self, value: Value, stage_of: dict[Operation, int]) -> int:
        return stage_of.get(value.producer, 0) if value.producer is not None else 0

    def _learn(self, need: NeedsValue) -> None:
        """Makes a plan in which the operation knows the value."""
        with self._lock:
            inputs = None if self._varies else self._inputs_of(need.value)
            if inputs is not None and all(value in self.function.body.parameters for value in inputs):
                learned = [value for value in inputs if value not in self._known]
            else:
                learned = []
            if learned:
                self._known.update(dict.fromkeys(learned))
            else:
                top = _outermost(need.operation, self.function)
                value = need.value
                already = self._after.setdefault(top, {})
                is_inside = _outermost_value(value, self.function) is None
                if value in already or (is_inside and need.operation in self._evaluator.on_host):
                    raise UnsupportedError(
                        f"{need.operation!r} needs {value.name!r} while it is compiled, and a loop computes it"
                    )
                if is_inside:
                    self._move_to_host(need.operation)
                    return
                already[value] = None
                self._known[value] = None
            self._stages = None

    def _inputs_of(self, value: Value) -> list[Value] | None:
        """The parameters that determine the value, if they are few and small enough to know; else None."""
        found: dict[Value, None] = {}
        seen: set[Value] = set()
        stack = [value]
        while stack:
            value = stack.pop()
            if value in seen:
                continue
            seen.add(value)
            producer = value.producer
            if producer is None:
                found[value] = None
                continue
            lowering = self._evaluator.lowerings.get(producer.kind)
            if producer.regions or lowering is None or lowering.draws or self._is_host(producer):
                return None
            if not _reads_shape_only(producer.kind):
                stack.extend(producer.operands)
        return list(found) if all(_may_be_known(value) for value in found) else None

    def _refusal(self, need: NeedsValue, environment: Environment) -> Exception:
        inputs = self._inputs_of(need.value)
        if self._is_host(need.operation):
            return UnsupportedError(_outside_of_transformations(need.operation))
        names = [value.name for value in inputs or ()]
        if not names:
            return UnsupportedError(
                f"a shape depends on data: {need.operation!r} needs {need.value.name!r} while it is compiled; "
                f"feed {need.value.name!r} as a concrete value, or call fn outside of the transformation"
            )
        return FeedError(
            f"a shape depends on {', '.join(map(repr, names))} (at {need.operation!r}), so it must be a concrete value "
            f"here: give it with fn.bind(..., constants={{{names[0]!r}: ...}}), or call fn outside of jit"
        )


def _feedable(operation: Operation) -> list[Value]:
    """The results that a caller could feed: neither handles nor what carries state."""
    results = operation.results
    return [value for value in results if value.type.dtype is not dtypes.resource and value.type is not GENERATOR_TYPE]


def _outside_of_transformations(operation: Operation) -> str:
    names = " or ".join(repr(value.name) for value in _feedable(operation))
    feed = f"feed {names} instead, or " if names else ""
    return (
        f"{operation!r} runs on the host and cannot stand inside jit, grad or another transformation; {feed}call fn "
        "outside of it"
    )


def _fill_stages(
    function: Function, stage_of: dict[Operation, int], is_host: Callable[[Operation], bool]
) -> list[Stage]:
    stages = [Stage() for _ in range(1 + max(stage_of.values(), default=0))]
    for operation, index in stage_of.items():
        (stages[index].host if is_host(operation) else stages[index].device).append(operation)
    wanted: dict[Value, None] = dict.fromkeys(function.body.results)
    for stage in reversed(stages):
        for operation in stage.host:
            wanted.update(dict.fromkeys(operation.operands))
            for region in operation.regions:
                wanted.update(free_values(region))
        made = {value: None for operation in stage.device for value in operation.results}
        stage.gives = [value for value in made if value in wanted]
        taken: dict[Value, None] = {}
        for operation in stage.device:
            taken.update(dict.fromkeys(operation.operands))
            for region in operation.regions:
                taken.update(free_values(region))
        stage.takes = [value for value in taken if value not in made]
        wanted.update(dict.fromkeys(stage.takes))
    return stages


def _is_held(operation: Operation) -> bool:
    """Whether it is a constant that is made once: a large one, or strings."""
    if operation.kind != "Const" or operation.result.type.dtype is dtypes.variant:
        return False
    array = operation.attributes.get("value")
    return isinstance(array, np.ndarray) and (array.dtype.kind == "O" or array.nbytes > LARGEST_EMBEDDED_CONSTANT)


def _with_inner(operation: Operation) -> Iterator[Operation]:
    """The operation and all that stand in its regions."""
    yield operation
    for region in operation.regions:
        yield from walk(region)


def _is_text(operation: Operation) -> bool:
    return operation.kind == "Const" and _holds_objects(operation.result)


def _operands(operation: Operation) -> list[Value]:
    return [*operation.operands, *(value for region in operation.regions for value in free_values(region))]


def _needed(operations: Iterable[Operation], values: Iterable[Value]) -> list[Operation]:
    """Those of the operations that the values depend on, in order."""
    wanted = set(values)
    needed = []
    for operation in reversed(list(operations)):
        if not wanted.isdisjoint(operation.results):
            needed.append(operation)
            wanted.update(_operands(operation))
    return needed[::-1]


def _on_device(array: np.ndarray) -> Any:
    return array if array.dtype.kind == "O" else jnp.asarray(array)


def _shape_key(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        return array.shape, array.dtype
    leaves, structure = jax.tree.flatten(array)
    return structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


def _is_spread(array: Any) -> bool:
    """Whether the array lies on several devices."""
    return any(isinstance(x, jax.Array) and len(x.sharding.device_set) > 1 for x in jax.tree.leaves(array))


def _is_small_constant(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype != object and array.size <= LARGEST_STATIC_FEED


def _reads_shape_only(kind: str) -> bool:
    return kind in ("Shape", "ShapeN", "Rank", "Size", "ZerosLike", "OnesLike", "VariableShape")


def _may_be_known(value: Value) -> bool:
    """Whether a parameter is of a kind that shapes are made from: a small array of integers or booleans."""
    dtype, shape = value.type.dtype, value.type.shape
    if dtype is None or not (dtype.is_integer or dtype.name in ("bool", "string")):
        return False
    return shape is None or (len(shape) <= 1 and all(n is None or n <= LARGEST_STATIC_FEED for n in shape))


def _outermost(operation: Operation, function: Function) -> Operation:
    """The operation of the function's own block in which the operation stands, at any depth."""
    while operation.block is not None and operation.block is not function.body:
        owner = operation.block.owner
        if not isinstance(owner, Operation):
            break
        operation = owner
    return operation


def _outermost_value(value: Value, function: Function) -> Value | None:
    """The value if the function's own block defines it, else None."""
    block = value.owner.block if isinstance(value.owner, Operation) else value.owner
    return value if block is function.body else None


def _spoilt(arrays: list[Any], needs: Mapping[int, Any]) -> list[Any]:
    """Results that nobody takes for right where a loop ran more rounds than the caller said: NaN, or the least integer."""
    if not needs:
        return arrays
    is_wrong = jnp.any(jnp.stack(list(needs.values())) > 0)

    def spoilt(array: Any) -> Any:
        if not hasattr(array, "dtype") or array.dtype.kind not in "fciuV":
            return array
        is_integer = jnp.issubdtype(array.dtype, jnp.integer)
        wrong = jnp.iinfo(array.dtype).min if is_integer else jnp.nan
        return jnp.where(is_wrong, jnp.asarray(wrong, array.dtype), array)

    return [spoilt(array) if isinstance(array, (jax.Array, np.ndarray)) else array for array in arrays]


def _as_array(array: Any) -> Any:
    """A result of a trace: NumPy arrays of numbers stay what they are in dtype; None stays None."""
    is_kept = array is None or isinstance(array, (jax.Array, ElementList, HostObject, ListVector, Optional))
    return array if is_kept else np.asarray(array)


def _as_numpy(array: Any) -> Any:
    if isinstance(array, (ListVector, Optional)):
        return jax.tree.map(_as_numpy, array)
    if isinstance(array, ElementList):
        return array.with_(length=int(array.length))
    return array if array is None or is_known(array) else np.asarray(array)


def _holds_objects(value: Value) -> bool:
    dtype = value.type.dtype
    return dtype is not None and not dtype.is_numeric and dtype is not dtypes.variant


def _is_opaque(array: Any) -> bool:
    """Whether JAX cannot take the value: no value, or an array of objects such as strings."""
    if isinstance(array, ElementList):
        return array.holds_strings
    if array is None or isinstance(array, (HostObject, ListVector, Optional)):
        return array is None or isinstance(array, HostObject)
    return not isinstance(array, jax.Array) and np.asarray(array).dtype.kind in "OSU"


def _static_key(array: Any) -> Any:
    if array is None or isinstance(array, HostObject):
        return array
    if isinstance(array, ElementList):
        return tuple(map(_static_key, array.buffer))
    array = np.asarray(array)
    content = tuple(array.ravel().tolist()) if array.dtype.kind == "O" else array.tobytes()
    return array.dtype.str, array.shape, content
