"""The verifier finds each kind of damage, and names the rule and the operation."""

import re

import pytest

from mgjax import dtypes
from mgjax.errors import VerifyError
from mgjax.ir import Operation, TensorType, parse_function, parse_module, verify

INT = TensorType(dtypes.int32, ())


def refused(function, message):
    with pytest.raises(VerifyError, match=re.escape(message)):
        verify(function)


def ordered(body, parameters="%x: int32[], %p: bool[]"):
    return parse_function(f"func @f({parameters}) {{\n{body}\n}}")


def test_a_use_before_the_definition_is_refused_in_an_ordered_function():
    text = "{}\n  %b = Neg(%a) : (int32[])\n  %a = Neg(%x) : (int32[])\n  return %b\n}}"
    refused(parse_function(text.format("func @f(%x: int32[]) {")), "dominance: Neg 'b' takes %a:0: int32[]")
    verify(parse_function(text.format("graph @f(%x: int32[]) {")))


def test_a_value_of_a_region_is_not_seen_outside():
    function = ordered(
        "%i = if(%p) : (int32[]) then() { %a = Neg(%x) : (int32[]) return %a } else() { return %x }\n"
        "%b = Neg(%a) : (int32[])\nreturn %b"
    )
    refused(function, "dominance: Neg 'b' takes %a:0: int32[], where that cannot be seen")


def test_a_value_of_the_other_region_is_not_seen():
    function = ordered(
        "%i = if(%p) : (int32[]) then() { %a = Neg(%x) : (int32[]) return %a } else() { return %a } return %i"
    )
    refused(function, "dominance: the results of region 'else' takes %a:0")


def test_a_region_sees_the_enclosing_blocks_but_not_what_comes_later():
    verify(
        ordered("%a = Neg(%x) : (int32[]) %i = if(%p) : (int32[]) then() { return %a } else() { return %x } return %i")
    )
    function = ordered(
        "%i = if(%p) : (int32[]) then() { return %a } else() { return %x } %a = Neg(%x) : (int32[]) return %i"
    )
    refused(function, "dominance")


def test_stale_and_missing_uses_are_refused():
    function = ordered("%a = Neg(%x) : (int32[]) %b = Neg(%a) : (int32[]) return %b")
    a, b = function.body.operations
    function.body.set_operations([a])
    function.body.results = [a.result]
    refused(function, "uses: %a:0: int32[] has the use Neg 'b', which is not in the function")
    function.body.set_operations([a, b])
    a.result.uses.clear()
    refused(function, "uses: Neg 'b' reads %a:0: int32[] as operand 0")


def test_a_name_stands_once_in_a_function_regions_included():
    function = ordered("%i = if(%p) : () then() { return } else() { return } return")
    inner = Operation("Neg", "i", [function.body.parameters[0]], {}, [INT])
    function.body.operations[0].regions[0].append(inner)
    refused(function, "names: 'i', of Neg 'i', is the name of something else too")


def test_control_edges_stand_in_graphs_only_and_join_operations_of_one_block():
    text = "@f(%p: bool[]) { %a = NoOp() : () %b = NoOp() [^a] : () return }"
    verify(parse_function("graph " + text))
    refused(parse_function("func " + text), "control: NoOp 'b' of an ordered function has control edges")
    across = (
        "graph @f(%p: bool[]) { %i = if(%p) : () then() { %a = NoOp() : () return } else() { return }"
        " %b = NoOp() [^a] : () return }"
    )
    refused(parse_function(across), "control: NoOp 'b' waits for NoOp 'a', which is not in its block")


def test_owners_are_checked():
    function = ordered("%a = Neg(%x) : (int32[]) return %a")
    function.body.operations[0].block = None
    refused(function, "ownership: Neg 'a' stands in a block that is not its own")
    function = ordered("%a = Neg(%x) : (int32[]) return %a")
    function.body.operations.append(function.body.operations[0])
    refused(function, "ownership: Neg 'a' stands twice")


@pytest.mark.parametrize(
    "body, message",
    [
        ("%i = if(%p, %x) : () then() { return } else() { return }", "it takes the predicate only"),
        ("%i = if(%p) : () else() { return } then() { return }", "its regions are to be 'then' and 'else'"),
        ("%i = if(%p) : (int32[]) then() { return %x } else() { return }", "else: 0 values, where 1 are wanted"),
        (
            "%i = if(%p) : (int32[]) then() { return %x } else() { return %p }",
            "else: %p: bool[], where int32[] is wanted",
        ),
        (
            "%i = while(%x) : (int32[]) cond(%a: int32[]) { return } body(%b: int32[]) { return %b }",
            "its condition has 0 results, not one",
        ),
        (
            "%i = while(%x) : (int32[]) cond(%a: int32[]) { return %p } body(%b: int32[]) { return }",
            "results of the body: 0 values, where 1 are wanted",
        ),
    ],
)
def test_if_and_while_have_their_regions(body, message):
    refused(ordered(body + " return"), message)


def test_all_problems_of_a_module_come_in_one_error_with_their_functions():
    module = parse_module(
        "func @f() { %a = NoOp() : () %b = NoOp() [^a] : () return }"
        "func @g() { %a = NoOp() : () %b = NoOp() [^a] : () return }"
    )
    with pytest.raises(VerifyError) as caught:
        verify(module)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["@f", "@g"]
