"""Every lowering under JAX's transformations, on calls drawn from the op's definition.

A batch is what a loop over it gives, and derivatives are those of TensorFlow's registered gradients. Values are drawn spread
around zero, away from ties and poles: of derivatives there one is as good as another, and TensorFlow's changed with its versions.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from mgjax import dtypes
from mgjax.ops import REGISTRY
from tests.ops.properties import families  # noqa: F401
from tests.ops.properties.gaps import DRAWN, NOT_BATCHED, NOT_DERIVED
from tests.ops.properties.recipes import Call, calls
from tests.ops.properties.transformed import Compared, compare, has_gradient

EXPLORED = int(os.environ.get("MGJAX_EXPLORE") or 0)
TRACED = [op for op in DRAWN if op not in NOT_BATCHED]


@pytest.mark.parametrize("op", TRACED)
def test_batch_is_a_loop_and_derivatives_are_those_of_tensorflow(op):
    compared: list[Compared] = []
    derive = op not in NOT_DERIVED

    def has_all() -> bool:
        derived = any(one.derivatives for one in compared) or not (derive and has_gradient(op))
        return derived and any(one.batch for one in compared)

    @settings(max_examples=max(8, EXPLORED), suppress_health_check=list(HealthCheck))
    @given(calls(op, ("plain",), (dtypes.float32, dtypes.float64)))
    def both(call: Call) -> None:
        # One call is compiled, or of those that have no derivative as many as are drawn.
        if EXPLORED or not has_all():
            compared.append(compare(call, derive=derive))

    both()
    assert has_all(), f"of {len(compared)} calls of {op}: {compared}"


def test_every_row_of_the_gaps_is_about_a_drawn_op():
    assert sorted({*NOT_BATCHED, *NOT_DERIVED} - set(REGISTRY)) == []
