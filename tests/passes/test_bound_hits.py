"""A `ComputeAccidentalHits` gets a static size where nobody sees the hits that this adds."""

import pytest

from mgjax.ir import parse_function, verify
from mgjax.passes import bound_hits

FOUND = """
  %shape = Const() {value = int32[2]<3, 4>} : (int32[2])
  %column = Const() {value = int32[2]<-1, 1>} : (int32[2])
  %one = Const() {value = int32[]<1>} : (int32[])
  %zero = Const() {value = float32[]<0>} : (float32[])
  %h = ComputeAccidentalHits(%t, %c) {num_true = 2} : (int32[?], int64[?], float32[?])
  %p = Cast(%h:1) : (int32[?])
  %r2 = Reshape(%h, %column) : (int32[?,1])
  %p2 = Reshape(%p, %column) : (int32[?,1])
  %i = ConcatV2(%r2, %p2, %one) : (int32[?,2])
"""


def kind_of_hits(body, results="%new"):
    function = parse_function(
        f"func @main(%t: int64[3,2], %c: int64[4], %x: float32[6]) {{{FOUND}{body}\n return {results}\n}}"
    )
    verify(function)
    bound_hits(function)
    verify(function)
    (hits,) = (op for op in function.body.operations if op.name == "h")
    size = "6" if hits.kind == "bounded_accidental_hits" else "?"
    assert [str(value.type) for value in hits.results] == [f"int32[{size}]", f"int64[{size}]", f"float32[{size}]"]
    return hits.kind


DENSE = "%new = SparseToDense(%i, %shape, %h:2, %zero) {validate_indices = false} : (float32[3,4])"


def test_hits_that_end_in_a_dense_matrix_are_not_seen():
    assert kind_of_hits(DENSE) == "bounded_accidental_hits"


@pytest.mark.parametrize(
    "body, results",
    [
        (DENSE, "%new, %p"),
        (DENSE + "\n%s = Shape(%i) : (int32[2])", "%new, %s"),
        (DENSE + "\n%n = Sum(%h:2, %one) : (float32[])", "%new, %n"),
        (DENSE.replace("false", "true"), "%new"),
        (DENSE.replace("%i, %shape", "%shape, %i"), "%new"),
    ],
)
def test_hits_that_somebody_sees_stay(body, results):
    assert kind_of_hits(body, results) == "ComputeAccidentalHits"
