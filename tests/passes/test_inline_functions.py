"""Library functions in the place of their calls."""

import sys

import pytest

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError, UnsupportedError
from mgjax.ir import Block, Function, Operation, TensorType, parse_function, parse_module, print_function, verify, walk
from mgjax.passes.inline_functions import inline_functions
from tests.passes.dataflow import run_structured
from tests.passes.traits import TestTraits

LIBRARY = """
graph @square(%a: float32[]) { %mul = Mul(%a, %a) : (float32[]) return %mul }
graph @same(%a: float32[]) { return %a }
graph @twice(%a: float32[]) {
  %s = PartitionedCall(%a) {f = @square} : (float32[])
  %t = square(%s) : (float32[])
  return %t
}
graph @note(%a: float32[]) targets [^note] { %note = Record(%a) : (float32[]) return }
graph @less(%i: float32[], %n: float32[]) { %l = Less(%i, %n) : (bool[]) return %l }
graph @step(%i: float32[], %n: float32[]) {
  %one = Const() {value = 1.0} : (float32[])
  %add = Add(%i, %one) : (float32[])
  %n2 = Identity(%n) : (float32[])
  return %add, %n2
}
graph @add_index(%i: int32[], %s: float32[]) { %add = Add(%s, %i) : (float32[]) return %add }
graph @forever(%a: float32[]) { %c = PartitionedCall(%a) {f = @forever} : (float32[]) return %c }
graph @old(%a: float32[], %p: bool[]) {
  %s = Switch(%a, %p) : (float32[], float32[])
  %n = Neg(%s:1) : (float32[])
  %m = Merge(%s, %n) : (float32[], int32[])
  return %m
}
"""


def library(name):
    return parse_module(LIBRARY).functions.get(name.name)


def inlined(text):
    function = parse_function(text)
    inline_functions(function, library, TestTraits())
    verify(function)
    return function


def becomes(before, after):
    assert print_function(inlined(before)) == print_function(parse_function(after))


def test_a_call_becomes_the_functions_operations_under_the_calls_name():
    becomes(
        """graph @main(%x: float32[]) {
          %y = PartitionedCall(%x) {f = @twice} : (float32[])
          return %y
        }""",
        """graph @main(%x: float32[]) {
          %y/s/mul = Mul(%x, %x) : (float32[])
          %y/t/mul = Mul(%y/s/mul, %y/s/mul) : (float32[])
          return %y/t/mul
        }""",
    )


def test_control_edges_of_a_call_are_those_of_its_operations():
    becomes(
        """graph @main(%x: float32[]) targets [^last] {
          %first = NoOp() : ()
          %call = StatefulPartitionedCall(%x) [^first] {f = @note} : ()
          %last = NoOp() [^call] : ()
          return
        }""",
        """graph @main(%x: float32[]) targets [^last] {
          %first = NoOp() : ()
          %call/note = Record(%x) [^first] : (float32[])
          %call = NoOp() [^call/note] : ()
          %last = NoOp() [^call] : ()
          return
        }""",
    )


def test_if_becomes_an_if_whose_regions_capture_the_arguments():
    becomes(
        """graph @main(%x: float32[], %p: bool[]) {
          %z = If(%p, %x) {then_branch = @square, else_branch = @same} : (float32[])
          return %z
        }""",
        """graph @main(%x: float32[], %p: bool[]) {
          %z = if(%p) : (float32[]) then() {
            %z/then/mul = Mul(%x, %x) : (float32[])
            return %z/then/mul
          } else() {
            return %x
          }
          return %z
        }""",
    )


def test_a_number_as_predicate_is_true_unless_it_is_zero():
    function = inlined(
        """graph @main(%x: float32[], %p: float32[]) {
          %z = If(%p, %x) {then_branch = @square, else_branch = @same} : (float32[])
          return %z
        }"""
    )
    assert [operation.kind for operation in function.body.operations] == ["Const", "NotEqual", "if"]


def test_while_captures_what_no_round_changes():
    function = inlined(
        """graph @main(%x: float32[], %n: float32[]) {
          %w = While(%x, %n) {cond = @less, body = @step} : (float32[], float32[])
          return %w, %w:1
        }"""
    )
    (loop,) = function.body.operations
    assert (loop.kind, len(loop.operands)) == ("while", 1)
    assert function.body.results == [loop.result, function.body.parameters[1]]
    assert run_structured(function, [0.5, 3.0])[0] == [3.5, 3.0]


@pytest.mark.parametrize(
    "cond, body, problem",
    [("less", "less", "body returned 1 arguments. Expected: 2"), ("step", "step", "got 2 tensors")],
)
def test_a_while_wants_one_predicate_and_as_many_values_as_it_takes(cond, body, problem):
    """The words of TensorFlow's kernel (functional_ops.cc), which counts in the first round."""
    text = """graph @main(%x: float32[], %n: float32[]) {
      %w = While(%x, %n) {cond = @COND, body = @BODY} : (float32[], float32[])
      return %w
    }"""
    with pytest.raises(InvalidArgumentError, match=problem):
        inlined(text.replace("COND", cond).replace("BODY", body))


def test_a_call_wants_as_many_values_as_the_function_returns():
    with pytest.raises(InvalidArgumentError, match="'step' returns 2 values, and 1 are wanted"):
        inlined(
            """graph @main(%x: float32[], %n: float32[]) {
              %c = PartitionedCall(%x, %n) {f = @step} : (float32[])
              return %c
            }"""
        )


@pytest.mark.parametrize("index, result", [(0, 9.0), (1, 3.0), (2, 81.0), (3, 81.0), (-1, 81.0)])
def test_case_takes_its_last_branch_for_an_index_that_is_no_branchs(index, result):
    function = inlined(
        """graph @main(%i: int32[], %x: float32[]) {
          %z = Case(%i, %x) {branches = [@square, @same, @twice]} : (float32[])
          return %z
        }"""
    )
    assert "Case" not in {operation.kind for operation in walk(function.body)}
    assert run_structured(function, [index, 3.0])[0] == [result]


def test_a_case_of_one_branch_is_that_branch():
    function = inlined(
        """graph @main(%i: int32[], %x: float32[]) {
          %z = Case(%i, %x) {branches = [@square]} : (float32[])
          return %z
        }"""
    )
    assert run_structured(function, [5, 3.0])[0] == [9.0]


def test_for_becomes_a_while_over_its_index():
    function = inlined(
        """graph @main(%start: int32[], %limit: int32[], %delta: int32[], %s: float32[]) {
          %f = For(%start, %limit, %delta, %s) {body = @add_index} : (float32[])
          return %f
        }"""
    )
    start, loop = function.body.operations
    assert (start.kind, loop.kind, [result.type.dtype for result in loop.results]) == (
        "for_start",
        "while",
        [dtypes.int32, dtypes.float32],
    )
    assert function.body.results == [loop.results[1]]


def test_a_function_that_calls_itself_stays_a_function():
    function = parse_function("""graph @main(%x: float32[]) {
      %y = PartitionedCall(%x) {f = @forever} : (float32[])
      return %y
    }""")
    functions = inline_functions(function, library, TestTraits())
    assert [operation.kind for operation in function.body.operations] == ["recursion"]
    assert [operation.kind for operation in functions["forever"].body.operations] == ["recursion"]


def test_switch_and_merge_in_a_function_are_structured():
    function = inlined(
        """graph @main(%x: float32[], %p: bool[]) {
          %y = PartitionedCall(%x, %p) {f = @old} : (float32[])
          return %y
        }"""
    )
    assert [operation.kind for operation in function.body.operations] == ["if"]


def test_a_thousand_calls_are_inlined():
    block = Block()
    kind = TensorType(dtypes.float32, ())
    value = block.add_parameter(kind, "x")
    for i in range(1000):
        value = block.append(Operation("same", f"call{i}", [value], {}, [kind])).result
    block.results = [value]
    function = Function("main", block)
    inline_functions(function, library, TestTraits())
    assert function.body.results == function.body.parameters


def test_a_library_that_doubles_with_each_call_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules[inline_functions.__module__], "MOST_OPERATIONS", 1000)
    calls = "%s = PartitionedCall(%a) {f = @f{0}} : (float32[]) %t = PartitionedCall(%s) {f = @f{0}} : (float32[])"
    text = "graph @f0(%a: float32[]) { %n = Neg(%a) : (float32[]) return %n }"
    for i in range(40):
        text += f"graph @f{i + 1}(%a: float32[]) {{ {calls.replace('{0}', str(i))} return %t }}"
    function = parse_function("graph @main(%x: float32[]) { %y = f40(%x) : (float32[]) return %y }")
    functions = parse_module(text).functions
    copies = lambda name: parse_function(print_function(functions[name.name])) if name.name in functions else None  # noqa: E731
    with pytest.raises(UnsupportedError, match="more than 1000 operations"):
        inline_functions(function, copies, TestTraits())
