"""Structured loops as JAX's: `scan` where the number of rounds is known while tracing, else `while_loop`.

The number of rounds comes from an analysis of the condition: a comparison of a counter with what is known, or a
conjunction of such. If only some parts of a conjunction can be read so, they are a bound. A list that rounds make longer
(`mgjax.ops.element_lists`) gets room for all of them before the first. That takes the number of rounds or a bound; where
there is none it is guessed. The compiled loop then counts its rounds, and gives the number as something that it *needs* where
there was not room for so many (`Environment.needs`): whoever runs the program makes room and runs it again. In the caller's
own `jit` nobody can do that, and the caller has to give a bound.

What no compiled loop can hold runs on the host (`mgjax.lowering.on_host`): a loop that changes a shape, carries strings, or
has a host step in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.errors import OpError, ResourceExhaustedError, UnsupportedError
from mgjax.ir import Block, Operation, Value, walk
from mgjax.lowering.evaluate import Environment, Evaluator, NeedsHost, NotComputedError
from mgjax.lowering.flags import NOTHING
from mgjax.lowering.on_host import run_loop
from mgjax.ops import ANY, ElementList, PieceList, claim, fitted, is_known
from mgjax.passes import PRINTED, free_values

_FIRST_ROOM = 32
"""Rounds: the first guess for how many a loop needs room."""

_MOST_BEYOND = 16
"""How many times the rounds that there is room for a loop goes on without it, to find out how many it needs.

Not for ever: what it computes then may be wrong, and its end depend on that."""

_LARGEST_ROOM = 1 << 28
"""Bytes: a list that would be larger, by a bound that is not exact, starts with a guess."""


class _TooLarge(Exception):
    """Room for all rounds that a bound allows takes too much memory to be taken unasked."""


class _ShapeChange(Exception):
    """A carried value has another shape or structure after a round."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often a loop goes round: at most `most` times, exactly so often if `is_exact`; None if nothing is known."""

    most: int | None
    is_exact: bool


@dataclass(slots=True)
class Room:
    """For how many rounds a loop's lists have room, and what comes of it.

    Attributes:
        rounds: how many; None where the caller would have to say it.
        is_sure: whether more are impossible.
        growth: for each list that gets longer, its place among what is carried, how many elements it had room for, and how
            many a round adds.
        is_tight: whether a list must not be larger than `_LARGEST_ROOM`.
    """

    rounds: int | None
    is_sure: bool
    is_tight: bool
    growth: dict[int, tuple[int, int]] = field(default_factory=dict)


def evaluate_while(evaluator: Evaluator, operation: Operation, environment: Environment) -> Sequence[Any]:
    """The final values of what the loop carries; those that are known while tracing stay NumPy."""
    initial = [environment[value] for value in operation.operands]
    if operation in evaluator.placement.on_host:
        return _run_on_host(evaluator, operation, initial, environment)
    if _holds_objects(operation):
        raise NeedsHost(operation, "it carries values that no device holds")
    rounds = count_rounds(evaluator, operation, environment)
    if rounds.is_exact and rounds.most == 0:
        if _prints(operation.regions[0]):
            with environment.region():
                evaluator.block(operation.regions[0], initial, environment)
        return initial
    while True:
        results, need = _compiled_loop(evaluator, operation, environment, initial, rounds)
        if need is None:
            return results
        number = evaluator.rooms.number(operation)
        if environment.needs is not None:
            environment.add_needs({number: need})
            return results
        if isinstance(need, jax.core.Tracer):
            raise NeedsHost(operation, "nothing bounds its rounds")
        if not evaluator.rooms.enlarge({number: need}):
            return results


def _run_on_host(
    evaluator: Evaluator, operation: Operation, initial: list[Any], environment: Environment
) -> Sequence[Any]:
    if environment.needs is None:
        return run_loop(evaluator, operation, initial, environment)
    captured = [environment[v] for region in operation.regions for v in free_values(region) if v in environment]
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves([initial, captured])):
        raise NeedsHost(operation, "it is part of what is compiled")
    with jax.ensure_compile_time_eval():
        return run_loop(evaluator, operation, initial, environment)


def _compiled_loop(
    evaluator: Evaluator, operation: Operation, environment: Environment, initial: list[Any], rounds: Rounds
) -> tuple[Sequence[Any], Any]:
    """The results, and how many rounds there was no room for: None where that cannot be, 0 where it was not so."""
    condition, body = operation.regions
    flags = environment.flags
    count = len(body.parameters)
    # Whose rounds are counted before it runs need not be asked, unless that can be seen.
    asks = rounds.is_exact and _prints(condition)

    def step(carried: Sequence[Any]) -> list[Any]:
        with environment.region() as flags:
            if asks:
                evaluator.block(condition, carried[:count], environment)
            arrays = evaluator.block(body, carried[:count], environment)
            if flags is not None:
                if not rounds.is_exact and _may_fail(evaluator, condition):
                    evaluator.block(condition, arrays, environment)
                arrays = [*arrays, jnp.where(carried[count] == NOTHING, flags.first(), carried[count])]
            environment.add_needs(carried[-1])
            arrays = [*arrays, environment.needs]
        return [_like(_as_carried(array), before) for array, before in zip(arrays, carried, strict=True)]

    def goes_on(carried: Sequence[Any]) -> Any:
        with environment.region():
            go = jnp.reshape(evaluator.block(condition, carried[:count], environment)[0], ())
            if environment.needs:
                raise NeedsHost(operation, "its condition has a loop without a bound")
        for need in carried[-1].values():
            go &= need == 0
        return go if flags is None else go & (carried[count] == NOTHING)

    if flags is not None:
        if not rounds.is_exact and _may_fail(evaluator, condition):
            evaluator.block(condition, initial, environment)
        initial = [*initial, NOTHING]
    initial = [*initial, {}]
    room = _room(evaluator, operation, environment, rounds)
    start = [_as_carried(array) for array in initial]
    start = [array.with_(is_carried=True) if isinstance(array, ElementList) else array for array in start]
    try:
        try:
            carried, added = _settle(step, start, operation, room)
        except _TooLarge:
            room = Room(evaluator.rooms.rounds(operation, _FIRST_ROOM), is_sure=False, is_tight=False)
            carried, added = _settle(step, start, operation, room)
    except _ShapeChange as change:
        raise NeedsHost(operation, str(change)) from change
    except NotComputedError:
        raise
    except OpError as error:
        # A round fails whenever it runs, which is no error as long as there is none.
        if flags is None:
            raise NeedsHost(operation, f"a round fails, {error}") from error
        if rounds.is_exact:
            raise
        flags.add(jnp.where(goes_on(start), flags.failed(error, operation, "round"), NOTHING))
        return initial[:count], None
    need: Any = None
    if rounds.is_exact:
        assert rounds.most is not None
        final, _ = jax.lax.scan(lambda carry, _: (step(carry), None), carried, None, length=rounds.most)
        if asks:
            goes_on(final)
    elif room.growth and not room.is_sure:
        assert room.rounds is not None
        most = np.int32(room.rounds + 1 if environment.is_inside_jit else _MOST_BEYOND * room.rounds)
        final, ran = jax.lax.while_loop(
            lambda state: goes_on(state[0]) & (state[1] < most),
            lambda state: (step(state[0]), state[1] + np.int32(1)),
            (carried, np.int32(0)),
        )
        need = jnp.where(ran > room.rounds, ran, np.int32(0))
    else:
        final = jax.lax.while_loop(goes_on, step, carried)
    for i, (capacity, growth) in room.growth.items():
        if final[i].skips:
            missing = -((capacity - final[i].length) // np.int32(growth))
            missing = jnp.where(final[i].length > final[i].capacity, missing, np.int32(0))
            need = missing if need is None else jnp.maximum(need, missing)
    environment.add_needs(final[-1]) if final[-1] else None
    if flags is not None:
        flags.add(final[count])
        if need is not None and environment.is_inside_jit:
            problem = f"it ran more rounds than loop_bounds gives it, {room.rounds}"
            flags.require(claim(need == 0, problem, error=ResourceExhaustedError), operation, "rounds")
    released = [_released(*known, rounds) for known in zip(final, initial, added, strict=True)]
    return released[: len(operation.results)], need


def _room(evaluator: Evaluator, operation: Operation, environment: Environment, rounds: Rounds) -> Room:
    rooms = evaluator.rooms
    if rounds.most is not None:
        is_tight = not rounds.is_exact and not environment.is_inside_jit
        return Room(max(rounds.most, rooms.rounds(operation, 0)), is_sure=True, is_tight=is_tight)
    given = rooms.bounds.get(loop_name(operation))
    if environment.is_inside_jit:
        return Room(given, is_sure=False, is_tight=False)
    return Room(rooms.rounds(operation, given or _FIRST_ROOM), is_sure=False, is_tight=False)


def loop_name(operation: Operation) -> str:
    """The name by which a caller speaks of a loop: that of its scope, or of its `While` operation."""
    return operation.name.removesuffix("/LoopCond")


def _may_fail(evaluator: Evaluator, block: Block) -> bool:
    lowerings = (evaluator.lowerings.get(operation.kind) for operation in walk(block))
    return any(lowering is not None and lowering.checks for lowering in lowerings)


def _prints(block: Block) -> bool:
    return any(operation.kind == PRINTED for operation in walk(block))


def _as_carried(array: Any) -> Any:
    return array if array is None or not is_plain(array) else jnp.asarray(array)


def is_plain(array: Any) -> bool:
    """Whether it is an array, not a structure of arrays such as a list."""
    return isinstance(array, (jax.Array, np.ndarray, np.generic, int, float, bool, complex))


def _like(array: Any, before: Any) -> Any:
    """A value after a round, in the structure that it had before, as far as nothing is lost."""
    if isinstance(array, ElementList) and isinstance(before, ElementList):
        if not isinstance(before.length, int) and isinstance(array.length, int):
            array = array.with_(length=jnp.asarray(array.length, np.int32))
        known = array.known if before.known == array.known else None
        return array.with_(
            is_fixed=before.is_fixed,
            is_carried=before.is_carried,
            shape=before.shape,
            known=known if before.known != ANY else array.known,
            marks=None if before.marks is None else array.marks,
            limit=None if before.limit is None else array.limit,
        )
    return array


def _structure(tree: Any) -> Any:
    return jax.tree.structure(tree)


def _settle(step: Callable, carried: list[Any], operation: Operation, room: Room) -> tuple[list[Any], list[int | None]]:
    """The values before the first round in the structure that a round keeps: buffers made, and large enough.

    Also how many elements a round adds to each list, where that is the same whatever the round does.
    """
    carried = list(carried)
    added: list[int | None] = [None] * len(carried)
    for _ in range(8):
        after = jax.eval_shape(step, carried)
        if _structure(after) == _structure(carried) and _same_types(after, carried):
            return carried, added
        for i, (before, found) in enumerate(zip(carried, after, strict=True)):
            if isinstance(before, ElementList) and isinstance(found, ElementList):
                if isinstance(before.length, int) and isinstance(found.length, int):
                    added[i] = found.length - before.length
                carried[i] = _settled_list(before, found, operation, room, i)
            elif isinstance(before, dict):
                carried[i] = {loop: np.int32(0) for loop in found}
            elif before is None and found is not None:
                # A variable without a value that a round gives one.
                carried[i] = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), found)
            elif is_plain(before) and (before.shape, before.dtype) != (found.shape, found.dtype):
                raise _ShapeChange(f"it carries {before.dtype}{list(before.shape)} and then {list(found.shape)}")
            elif _structure(before) != _structure(found):
                raise _ShapeChange("what it carries changes in structure")
    raise _ShapeChange("what it carries changes from round to round")


def _settled_list(before: ElementList, found: ElementList, operation: Operation, room: Room, place: int) -> ElementList:
    if before.known != found.known:
        before = before.with_(known=found.known if before.known == ANY else None)
    for name in ("marks", "limit"):
        if getattr(found, name) is None:
            before = before.with_(**{name: None})
    if found.skips and not before.skips:
        before = before.with_(skips=True)
    if isinstance(before.length, int) and not isinstance(found.length, int):
        before = before.with_(length=jnp.asarray(before.length, np.int32))
    elif isinstance(before.length, int) and found.length != before.length:
        return before.with_(length=jnp.asarray(before.length, np.int32))
    elif found.capacity > before.capacity:
        if room.rounds is None:
            name = loop_name(operation)
            raise UnsupportedError(
                f"nothing bounds the rounds of the loop {name!r}, which makes lists longer (a TensorArray, or what its "
                "gradient takes), and inside of jit, grad and the like it cannot be run again with more room: give a bound "
                f"with fn.bind(..., loop_bounds={{{name!r}: ...}}), or call fn outside of them"
            )
        growth = found.capacity - before.capacity
        size = sum(math.prod(x.shape[1:]) * x.dtype.itemsize for x in jax.tree.leaves(found.buffer))
        if room.is_tight and size * growth * room.rounds > _LARGEST_ROOM:
            raise _TooLarge
        room.growth[place] = before.capacity, growth
        before = before.with_capacity(before.capacity + growth * room.rounds).with_(is_fixed=True)
    if isinstance(found, PieceList):
        raise _ShapeChange("the elements of a list differ in shape")
    return before if before.buffer is not None and is_plain(before.buffer) else fitted(before, found)


def _same_types(a: Any, b: Any) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.shape == y.shape and x.dtype == y.dtype for x, y in pairs)


def _released(array: Any, before: Any, added: int | None, rounds: Rounds) -> Any:
    """A list after the loop: it may grow again, and its length is known where every round added as much."""
    if not isinstance(array, ElementList) or not isinstance(before, ElementList):
        return array
    array = array.with_(is_fixed=before.is_fixed, is_carried=before.is_carried)
    if isinstance(before.length, int) and added is not None and rounds.is_exact and rounds.most is not None:
        return array.with_(length=before.length + added * rounds.most)
    return array


# ---- the number of rounds


def count_rounds(evaluator: Evaluator, operation: Operation, environment: Environment) -> Rounds:
    """How often the loop goes round, as far as its condition says it from what is known while tracing."""
    condition, body = operation.regions
    known = _known_values(evaluator, condition, environment)
    known_in_body = _known_values(evaluator, body, environment)

    def step_of(index: int) -> int | None:
        """What each round adds to a carried value."""
        value = _seen_through(body.results[index])
        producer, parameter = value.producer, body.parameters[index]
        if producer is None or producer.kind not in ("Add", "AddV2", "Sub"):
            return None
        a, b = (_seen_through(operand) for operand in producer.operands)
        other = b if a is parameter else a if b is parameter and producer.kind != "Sub" else None
        step = known_in_body.get(other) if other is not None else None
        if step is None or np.size(step) != 1 or np.asarray(step).dtype.kind not in "iu":
            return None
        return -int(step) if producer.kind == "Sub" else int(step)

    def compare(kind: str, a: Value, b: Value) -> Rounds:
        a, b = _seen_through(a), _seen_through(b)
        if b in condition.parameters and a not in condition.parameters:
            mirrored = {"Less": "Greater", "LessEqual": "GreaterEqual", "Greater": "Less", "GreaterEqual": "LessEqual"}
            return compare(mirrored[kind], b, a)
        if a not in condition.parameters:
            return Rounds(None, False)
        index = condition.parameters.index(a)
        start, step = environment[operation.operands[index]], step_of(index)
        limit, is_exact = _limit(b, known, upper=kind in ("Less", "LessEqual"))
        if limit is None or step is None or not step:
            return Rounds(None, False)
        rising = kind in ("Less", "LessEqual")
        if (step > 0) is not rising:
            return Rounds(None, False)
        if is_plain(start) and is_known(start):
            first = int(start)
        else:
            bound = evaluator.bounds.get(operation.operands[index])
            if bound is None or rising:
                return Rounds(None, False)
            first, is_exact = bound, False
        distance = limit - first if rising else first - limit
        distance += 1 if kind in ("LessEqual", "GreaterEqual") else 0
        return Rounds(max(0, math.ceil(distance / abs(step))), is_exact)

    def rounds_of(value: Value) -> Rounds:
        producer = _seen_through(value).producer
        if producer is None:
            return Rounds(None, False)
        if producer.kind == "LogicalAnd":
            a, b = (rounds_of(operand) for operand in producer.operands)
            counts = [x.most for x in (a, b) if x.most is not None]
            return Rounds(min(counts) if counts else None, a.is_exact and b.is_exact)
        if producer.kind in ("Less", "LessEqual", "Greater", "GreaterEqual"):
            return compare(producer.kind, *producer.operands)
        fixed = known.get(_seen_through(value))
        if fixed is not None and np.size(fixed) == 1 and not bool(fixed):
            return Rounds(0, True)
        return Rounds(None, False)

    rounds = rounds_of(condition.results[0])
    for index, result in enumerate(operation.results):
        start, step = environment[operation.operands[index]], step_of(index)
        if rounds.most is not None and step is not None and is_plain(start) and is_known(start) and np.size(start) == 1:
            evaluator.bounds[result] = int(start) + max(0, step) * rounds.most
        else:
            evaluator.bounds.pop(result, None)
    return rounds


def _limit(value: Value, known: dict[Value, Any], upper: bool) -> tuple[int | None, bool]:
    """What a counter is compared with, or an upper bound of it; whether it is exact."""
    value = _seen_through(value)
    found = known.get(value)
    if found is not None and np.size(found) == 1 and np.asarray(found).dtype.kind in "iu":
        return int(found), True
    producer = value.producer
    if upper and producer is not None and producer.kind == "Minimum":
        bounds = [_limit(operand, known, upper)[0] for operand in producer.operands]
        counts = [bound for bound in bounds if bound is not None]
        return (min(counts) if counts else None), False
    return None, False


def _seen_through(value: Value) -> Value:
    while value.producer is not None and value.producer.kind == "Identity":
        value = value.producer.operands[0]
    return value


def _known_values(evaluator: Evaluator, block: Block, environment: Environment) -> dict[Value, Any]:
    """The values of the block, and those that it captures, that are known while tracing and the same in every round."""
    known = Environment(
        {
            value: environment[value]
            for value in free_values(block)
            if value in environment and is_plain(environment[value]) and is_known(environment[value])
        },
        raises=False,
    )
    for operation in block.operations:
        lowering = evaluator.lowerings.get(operation.kind)
        if lowering is None or lowering.draws or lowering.writes or lowering.effect or lowering.host:
            continue
        if all(value in known for value in operation.operands):
            try:
                results = evaluator.results(operation, known)
            except OpError:
                continue  # it fails if it runs
            known.update((v, x) for v, x in zip(operation.results, results, strict=True) if is_plain(x) and is_known(x))
    return known


def _holds_objects(operation: Operation) -> bool:
    return any(value.type.dtype is not None and value.type.dtype.name == "string" for value in operation.results)
