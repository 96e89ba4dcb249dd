"""Which types, and values of other attrs, TensorFlow's CPU kernels take."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from mgjax import dtypes, opdefs
from mgjax.opdefs import OpDef
from tests.ops.live import op_def_registry

from tensorflow.python.framework import kernels  # isort: skip


@functools.cache
def op_def_of(op: str) -> OpDef | None:
    """The op as the live TensorFlow defines it; None where it has no such op."""
    message = op_def_registry.get(op)
    return None if message is None else opdefs.from_proto(message)


@functools.cache
def kernels_of(op: str) -> tuple[Mapping[str, tuple[Any, ...]], ...]:
    """For each CPU kernel the types and strings that it allows, by attr; attrs that it leaves open are absent."""
    op_def = op_def_of(op)
    assert op_def is not None, op
    found: list[dict[str, tuple[Any, ...]]] = []
    for kernel in kernels.get_registered_kernels_for_op(op).kernel:
        if kernel.device_type not in ("CPU", "DEFAULT") or kernel.label:
            continue
        if any(constraint.name not in op_def.attrs for constraint in kernel.constraint):
            continue  # TileGrad's, which no call can meet
        types: dict[str, tuple[Any, ...]] = {}
        for constraint in kernel.constraint:
            if constraint.allowed_values.list.s:
                types[constraint.name] = tuple(text.decode() for text in constraint.allowed_values.list.s)
                continue
            numbers = constraint.allowed_values.list.type
            by_op = op_def.attrs[constraint.name].allowed
            known = [dtypes.BY_NUMBER[n] for n in numbers if n in dtypes.BY_NUMBER and n not in (20, 21)]
            types[constraint.name] = tuple(d for d in known if by_op is None or d in by_op)
        if all(types.values()) and types not in found:
            found.append(types)
    return tuple(found)
