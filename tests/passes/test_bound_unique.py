"""A `Unique` gets a static size where nobody sees the rows that this adds."""

import pytest

from mgjax.ir import parse_function, verify
from mgjax.passes import bound_unique

SUMS = """
  %zero = Const() {value = int32[1]<0>} : (int32[1])
  %one = Const() {value = int32[1]<1>} : (int32[1])
  %rate = Const() {value = float32[]<0.5>} : (float32[])
  %axis = Const() {value = int32[]<0>} : (int32[])
  %u = Unique(%i) : (int64[?], int32[5])
  %s = Shape(%u) : (int32[1])
  %n = StridedSlice(%s, %zero, %one, %one) {shrink_axis_mask = 1} : (int32[])
  %g = UnsortedSegmentSum(%v, %u:1, %n) : (float32[?,3])"""


def kind_of_unique(body, results="%new"):
    function = parse_function(
        f"func @main(%i: int64[5], %v: float32[5,3], %w: float32[9,3], %x: float32[5,3]) {{{SUMS}{body}\n return {results}\n}}"
    )
    verify(function)
    bound_unique(function)
    verify(function)
    (unique,) = (op for op in function.body.operations if op.name == "u")
    assert str(unique.results[0].type) == ("int64[5]" if unique.kind == "bounded_unique" else "int64[?]")
    return unique.kind


@pytest.mark.parametrize(
    "body",
    [
        "%new = ScatterAdd(%w, %u, %g) : (float32[9,3])",
        "%new = SparseApplyAdagrad(%w, %w, %rate, %g, %u) : (float32[9,3])",
        "%new = ResourceSparseApplyMomentum(%w, %w, %rate, %g, %u, %rate) : (float32[9,3])",
        """%same = Identity(%u) : (int64[?])
           %two = Add(%rate, %rate) : (float32[*])
           %scaled = Mul(%g, %two) : (float32[?,3])
           %square = Square(%scaled) : (float32[?,3])
           %new = ScatterSub(%w, %same, %square) : (float32[9,3])""",
        """%rows = GatherV2(%w, %u, %axis) : (float32[?,3])
           %sum = AddV2(%rows, %g) : (float32[?,3])
           %new = ScatterUpdate(%w, %u, %sum) : (float32[9,3])""",
        """%rows = GatherV2(%w, %u, %axis) : (float32[?,3])
           %new = GatherV2(%rows, %u:1, %axis) : (float32[5,3])""",
        """%rows = Gather(%w, %u) : (float32[?,3])
           %new = SparseSegmentMean(%rows, %u:1, %zero) : (float32[*])""",
        """%all = Shape(%g) : (int32[2])
           %rest = StridedSlice(%all, %one, %one, %one) {end_mask = 1} : (int32[1])
           %new = ScatterAdd(%w, %u, %g) [] : (float32[9,3])
           %more = Fill(%rest, %rate) : (float32[3])""",
    ],
)
def test_rows_that_end_in_updates_are_not_seen(body):
    assert kind_of_unique(body) == "bounded_unique"


@pytest.mark.parametrize(
    "body, results",
    [
        ("%new = ScatterAdd(%w, %u, %g) : (float32[9,3])", "%new, %u"),
        ("%new = ScatterAdd(%w, %u, %g) : (float32[9,3])", "%n"),
        ("%new = ScatterAdd(%w, %u, %x) : (float32[9,3])", "%new"),
        ("%sum = Sum(%g, %axis) : (float32[3])\n%new = ScatterAdd(%w, %u, %g) : (float32[9,3])", "%new"),
        ("%sum = Add(%g, %x) : (float32[*])\n%new = ScatterAdd(%w, %u, %sum) : (float32[9,3])", "%new"),
        ("%new = UnsortedSegmentSum(%g, %u, %axis) : (float32[?,3])", "%new"),
        ("%new = GatherV2(%u, %u:1, %axis) : (int64[5])", "%new"),
        (
            "%rows = GatherV2(%w, %u, %axis) : (float32[?,3])\n%new = GatherV2(%rows, %i, %axis) : (float32[5,3])",
            "%new",
        ),
        ("%rows = GatherV2(%w, %u, %one) : (float32[9,?])\n%new = ScatterAdd(%w, %u, %rows) : (float32[9,3])", "%new"),
    ],
)
def test_rows_that_somebody_sees_are_not_added(body, results):
    assert kind_of_unique(body, results) == "Unique"
