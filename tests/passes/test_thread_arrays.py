"""TensorArrays and stacks as values."""

from mgjax.ir import parse_function, print_function, verify
from mgjax.passes.effects import Effects
from mgjax.passes.thread_arrays import thread_arrays


class ListTraits:
    def effects(self, operation):
        changes = ("StackPushV2", "StackPopV2", "TensorArrayWriteV3", "TensorArrayScatterV3")
        return Effects(updates=(0,)) if operation.kind in changes else Effects()

    def variable(self, operation):
        return None

    def forwards(self, operation):
        return operation.kind == "Identity"


def threaded(text):
    function = parse_function(text)
    verify(function)
    thread_arrays(function, ListTraits())
    verify(function)
    return function


def becomes(before, after):
    assert print_function(threaded(before)) == print_function(parse_function(after))


def test_each_change_takes_the_present_list_and_gives_the_next():
    becomes(
        """func @main(%n: int32[], %x: float32[]) {
          %s = StackV2(%n) : (resource[])
          %same = Identity(%s) : (resource[])
          %push = StackPushV2(%same, %x) : (float32[])
          %pop = StackPopV2(%s) : (float32[])
          return %pop
        }""",
        """func @main(%n: int32[], %x: float32[]) {
          %s = StackV2(%n) : (variant[])
          %push = StackPushV2(%s, %x) : (variant[], float32[])
          %pop = StackPopV2(%push) : (variant[], float32[])
          return %pop:1
        }""",
    )


def test_a_list_that_a_loop_changes_is_carried():
    becomes(
        """func @main(%n: int32[], %x: float32[], %p: bool[]) {
          %a = TensorArrayV3(%n) : (resource[2], float32[])
          %w = while(%x) : (float32[]) cond(%c: float32[]) {
            return %p
          } body(%b: float32[]) {
            %write = TensorArrayWriteV3(%a, %n, %b, %a:1) : (float32[])
            return %write
          }
          %read = TensorArrayReadV3(%a, %n, %w) : (float32[])
          return %read
        }""",
        """func @main(%n: int32[], %x: float32[], %p: bool[]) {
          %a = TensorArrayV3(%n) : (variant[], float32[])
          %w = while(%x, %a) : (float32[], variant[]) cond(%c: float32[], %w/cond/list_0: variant[]) {
            return %p
          } body(%b: float32[], %w/body/list_0: variant[]) {
            %write = TensorArrayWriteV3(%w/body/list_0, %n, %b, %a:1) : (variant[], float32[])
            return %write:1, %write
          }
          %read = TensorArrayReadV3(%w:1, %n, %w) : (float32[])
          return %read
        }""",
    )


def test_the_list_of_gradients_is_one_for_each_source_and_made_before_the_loop_that_asks():
    function = threaded(
        """func @main(%n: int32[], %x: float32[], %p: bool[]) {
          %a = TensorArrayV3(%n) : (resource[2], float32[])
          %w = while(%x) : (float32[]) cond(%c: float32[]) {
            return %p
          } body(%b: float32[]) {
            %g = TensorArrayGradV3(%a, %a:1) {source = "gradients"} : (resource[2], float32[])
            %write = TensorArrayWriteV3(%g, %n, %b, %g:1) : (float32[])
            return %write
          }
          %g2 = TensorArrayGradV3(%a, %w) {source = "gradients"} : (resource[2], float32[])
          %read = TensorArrayReadV3(%g2, %n, %g2:1) : (float32[])
          return %read
        }"""
    )
    assert [operation.kind for operation in function.body.operations] == [
        "TensorArrayV3",
        "Const",
        "TensorArrayGradV3",
        "while",
        "TensorArrayReadV3",
    ]
    made, loop, read = function.body.operations[2:]
    assert loop.operands[1] is made.results[0]
    assert read.operands[0] is loop.results[1]


def test_a_list_made_in_a_branch_is_a_result_of_it():
    function = threaded(
        """func @main(%n: int32[], %x: float32[], %p: bool[]) {
          %i = if(%p) : (resource[]) then() {
            %s = StackV2(%n) : (resource[])
            %push = StackPushV2(%s, %x) : (float32[])
            return %s
          } else() {
            %u = undefined() : (resource[])
            return %u
          }
          %pop = StackPopV2(%i) : (float32[])
          return %pop
        }"""
    )
    branch, pop = function.body.operations
    then = branch.regions[0]
    assert then.results == [then.operations[1].results[0]]
    assert pop.operands[0] is branch.results[0]


def test_a_stack_pushed_on_a_stack_is_pushed_as_the_round_leaves_it():
    function = threaded(
        """func @main(%n: int32[], %x: float32[], %p: bool[]) {
          %outer = StackV2(%n) : (resource[])
          %w = while(%x) : (float32[]) cond(%c: float32[]) {
            return %p
          } body(%b: float32[]) {
            %inner = StackV2(%n) : (resource[])
            %keep = StackPushV2(%outer, %inner) : (resource[])
            %push = StackPushV2(%inner, %b) : (float32[])
            return %push
          }
          %pop = StackPopV2(%outer) : (resource[])
          %value = StackPopV2(%pop) : (float32[])
          return %value
        }"""
    )
    body = function.body.operations[1].regions[1]
    assert [operation.name for operation in body.operations] == ["inner", "push", "keep"]
    assert body.operations[2].operands[1] is body.operations[1].results[0]
    pop, value = function.body.operations[2:]
    assert value.operands[0] is pop.results[1]
