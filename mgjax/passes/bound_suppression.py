"""Keeps on the device a non-maximum suppression that is asked to fill its result up to `max_output_size`.

Its size depends on no scores, so it need not run between two device programs, or take the loop over a batch to the host.

    func @main(%b: float32[9,4], %s: float32[9], %n: int32[], %t: float32[]) {
      %i = NonMaxSuppressionV4(%b, %s, %n, %t, %t) {pad_to_max_output_size = true} : (int32[?], int32[])
      return %i
    }
        ->
    func @main(%b: float32[9,4], %s: float32[9], %n: int32[], %t: float32[]) {
      %i = padded_suppression(%b, %s, %n, %t, %t) {of = "NonMaxSuppressionV4", pad_to_max_output_size = true} : (int32[?], int32[])
      return %i
    }
"""

from __future__ import annotations

from mgjax.ir import Function, walk

SUPPRESSIONS = frozenset(
    {
        "NonMaxSuppression",
        "NonMaxSuppressionV2",
        "NonMaxSuppressionV3",
        "NonMaxSuppressionV4",
        "NonMaxSuppressionV5",
        "NonMaxSuppressionWithOverlaps",
    }
)


def bound_suppression(function: Function) -> None:
    """Bounds every suppression of the function that fills its result up."""
    for operation in walk(function.body):
        if operation.kind in SUPPRESSIONS and operation.attributes.get("pad_to_max_output_size"):
            operation.attributes["of"] = operation.kind
            operation.kind = "padded_suppression"
