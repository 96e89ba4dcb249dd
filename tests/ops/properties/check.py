"""The one check of a call: TensorFlow and the lowering give the same, or both refuse."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from mgjax.ops import REGISTRY
from tests.ops.properties import graphs, lowered, tensorflow
from tests.ops.properties.comparison import difference
from tests.ops.properties.gaps import differences
from tests.ops.properties.processes import Refused, Unanswered
from tests.ops.properties.recipes import Call, family_of


def check(call: Call, *, compiled: bool = True) -> bool:
    """Asserts that the lowering does what TensorFlow does; returns whether TensorFlow computed."""
    rows = differences(call)
    try:
        wanted = tensorflow.run(call)
    except Refused as refusal:
        if not rows and not isinstance(refusal, Unanswered):
            _refuses(call, refusal)
        return False
    if any(not row.only for row in rows):
        return True
    may_refuse = any(row.only == "refusal" for row in rows)
    ways: list[tuple[str, Callable[[Call], list[np.ndarray]]]] = [("with known operands", lowered.run_known)]
    on_device = (
        not REGISTRY[call.op].host and not lowered.has_strings(call) and not any(x.dtype == object for x in wanted)
    )
    if compiled and on_device and not rows:
        in_graph = graphs.is_graph_call(call.op)
        ways.append(("imported", graphs.run_imported) if in_graph else ("compiled", lowered.run_compiled))
    family = family_of(call.op)
    wanted = family.view(wanted, call)
    for way, run in ways:
        with warnings.catch_warnings():
            # NumPy's, of overflow and invalid values.
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                found = family.view(run(call), call)
            except lowered.REFUSALS as error:
                if may_refuse:
                    return True
                raise AssertionError(f"{way}, {call}: {type(error).__name__}: {error}") from error
        assert len(found) == len(wanted), f"{way}, {call}: {len(found)} outputs, TensorFlow has {len(wanted)}"
        for i, (x, y) in enumerate(zip(found, wanted, strict=True)):
            problem = difference(x, y, family.bound)
            assert problem is None, f"{way}, {call}: output {i}: {problem}"
    return True


def _refuses(call: Call, refusal: Refused) -> None:
    try:
        lowered.run_known(call)
    except lowered.REFUSALS as error:
        found = lowered.class_of(error)
        assert found in (None, refusal.kind) or not refusal.kind, f"{call}: {found} ({error}), TensorFlow has {refusal}"
        return
    raise AssertionError(f"{call} is computed; TensorFlow refuses it: {refusal}")
