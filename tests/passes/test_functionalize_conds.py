"""`Switch` and `Merge` as structured `if`s: by example, and against TensorFlow's executor."""

import itertools

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mgjax import dtypes
from mgjax.ir import Block, Function, Operation, TensorType, parse_function, print_function, verify, walk
from mgjax.passes.functionalize_conds import functionalize_conds
from tests.passes.dataflow import Dead, Race, run_dataflow, run_structured
from tests.passes.traits import TestTraits

FLOAT, BOOL, INT = TensorType(dtypes.float32, ()), TensorType(dtypes.bool_, ()), TensorType(dtypes.int32, ())


def structured(text):
    function = parse_function(text)
    verify(function)
    functionalize_conds(function, TestTraits())
    verify(function)
    return function


def becomes(before, after):
    assert print_function(structured(before)) == print_function(parse_function(after))


def test_a_cond_becomes_an_if_that_captures_what_it_uses():
    becomes(
        """graph @main(%x: float32[], %p: bool[]) {
          %switch = Switch(%x, %p) : (float32[], float32[])
          %double = Add(%switch:1, %switch:1) : (float32[])
          %merge = Merge(%switch, %double) : (float32[], int32[])
          return %merge
        }""",
        """graph @main(%x: float32[], %p: bool[]) {
          %merge = if(%p) : (float32[]) then() {
            %double = Add(%x, %x) : (float32[])
            return %double
          } else() {
            return %x
          }
          return %merge
        }""",
    )


def test_reads_of_one_variable_are_one_predicate():
    """`tf.cond` of a resource variable: the pivot asks one read, and what enters the branches another."""
    becomes(
        """graph @main(%x: float32[], %v: resource[]) {
          %read = ReadVariableOp(%v) : (bool[])
          %again = ReadVariableOp(%v) : (bool[])
          %pivot = Switch(%read, %read) : (bool[], bool[])
          %switch_t = Identity(%pivot:1) : (bool[])
          %pred_id = Identity(%again) : (bool[])
          %switch = Switch(%x, %pred_id) : (float32[], float32[])
          %one = Const() [^switch_t] {value = 1.0} : (float32[])
          %add = Add(%switch:1, %one) : (float32[])
          %merge = Merge(%switch, %add) : (float32[], int32[])
          return %merge
        }""",
        """graph @main(%x: float32[], %v: resource[]) {
          %read = ReadVariableOp(%v) : (bool[])
          %again = ReadVariableOp(%v) : (bool[])
          %pred_id = Identity(%read) : (bool[])
          %merge = if(%read) : (float32[]) then() {
            %switch_t = Identity(%read) : (bool[])
            %one = Const() [^switch_t] {value = 1.0} : (float32[])
            %add = Add(%x, %one) : (float32[])
            return %add
          } else() {
            return %x
          }
          return %merge
        }""",
    )


def test_reads_that_wait_for_different_things_are_different_predicates():
    function = structured(
        """graph @main(%x: float32[], %v: resource[]) {
          %first = NoOp() : ()
          %read = ReadVariableOp(%v) : (bool[])
          %again = ReadVariableOp(%v) [^first] : (bool[])
          %s = Switch(%x, %read) : (float32[], float32[])
          %t = Switch(%x, %again) : (float32[], float32[])
          %merge = Merge(%s, %t:1) : (float32[], int32[])
          return %merge
        }"""
    )
    assert [operation.kind for operation in walk(function.body)].count("Merge") == 1


def test_a_predicate_that_an_always_alive_merge_hands_on_may_have_control_edges_on_its_way():
    """`tf.losses` asks so whether weights fit: the Identity of a Merge, one of whose operands is a constant."""
    becomes(
        """graph @main(%x: float32[], %p: bool[], %yes: bool[]) {
          %other = Switch(%p, %p) : (bool[], bool[])
          %decided = Merge(%yes, %other) : (bool[], int32[])
          %first = NoOp() : ()
          %pred_id = Identity(%decided) [^first] : (bool[])
          %switch = Switch(%x, %pred_id) : (float32[], float32[])
          %negative = Neg(%switch:1) : (float32[])
          %merge = Merge(%switch, %negative) : (float32[], int32[])
          return %merge
        }""",
        """graph @main(%x: float32[], %p: bool[], %yes: bool[]) {
          %first = NoOp() : ()
          %pred_id = Identity(%yes) [^first] : (bool[])
          %merge = if(%yes) [^pred_id] : (float32[]) then() {
            %negative = Neg(%x) : (float32[])
            return %negative
          } else() {
            return %x
          }
          return %merge
        }""",
    )


def test_all_conds_on_one_flag_share_an_if_unless_one_needs_the_other():
    function = structured(
        """graph @main(%x: float32[], %p: bool[]) {
          %pred_id = Identity(%p) : (bool[])
          %a = Switch(%x, %p) : (float32[], float32[])
          %na = Neg(%a:1) : (float32[])
          %ma = Merge(%a, %na) : (float32[], int32[])
          %b = Switch(%x, %pred_id) : (float32[], float32[])
          %nb = Neg(%b) : (float32[])
          %mb = Merge(%nb, %b:1) : (float32[], int32[])
          %c = Switch(%ma, %p) : (float32[], float32[])
          %nc = Neg(%c:1) : (float32[])
          %mc = Merge(%c, %nc) : (float32[], int32[])
          return %mb, %mc
        }"""
    )
    conds = [operation for operation in function.body.operations if operation.kind == "if"]
    assert [operation.name for operation in conds] == ["ma", "mc"]
    assert [len(operation.results) for operation in conds] == [2, 1]


def test_pivots_keep_constants_in_their_branch():
    becomes(
        """graph @main(%p: bool[]) {
          %s = Switch(%p, %p) : (bool[], bool[])
          %switch_t = Identity(%s:1) : (bool[])
          %switch_f = Identity(%s) : (bool[])
          %one = Const() [^switch_t] {value = 1.0} : (float32[])
          %two = Const() [^switch_f] {value = 2.0} : (float32[])
          %merge = Merge(%two, %one) : (float32[], int32[])
          return %merge, %merge:1
        }""",
        """graph @main(%p: bool[]) {
          %merge = if(%p) : (float32[], int32[]) then() {
            %merge/value_index_1 = Const() {dtype = int32, value = int32[]<1>} : (int32[])
            %switch_t = Identity(%p) : (bool[])
            %one = Const() [^switch_t] {value = 1.0} : (float32[])
            return %one, %merge/value_index_1
          } else() {
            %merge/value_index_0 = Const() {dtype = int32, value = int32[]<0>} : (int32[])
            %switch_f = Identity(%p) : (bool[])
            %two = Const() [^switch_f] {value = 2.0} : (float32[])
            return %two, %merge/value_index_0
          }
          return %merge, %merge:1
        }""",
    )


def test_an_assignment_that_no_merge_collects_stays_under_its_predicate():
    becomes(
        """graph @main(%x: float32[], %p: bool[]) targets [^set] {
          %w = VariableV2() : (ref float32[])
          %r = RefSwitch(%w, %p) : (ref float32[], ref float32[])
          %s = Switch(%x, %p) : (float32[], float32[])
          %set = Assign(%r:1, %s:1) : (ref float32[])
          return
        }""",
        """graph @main(%x: float32[], %p: bool[]) targets [^r] {
          %w = VariableV2() : (ref float32[])
          %r = if(%p) : () then() {
            %set = Assign(%w, %x) : (ref float32[])
            return
          } else() {
            return
          }
          return
        }""",
    )


def test_nested_conds_become_nested_ifs():
    becomes(
        """graph @main(%x: float32[], %p: bool[], %q: bool[]) {
          %xp = Switch(%x, %p) : (float32[], float32[])
          %qp = Switch(%q, %p) : (bool[], bool[])
          %q_id = Identity(%qp:1) : (bool[])
          %xq = Switch(%xp:1, %q_id) : (float32[], float32[])
          %neg = Neg(%xq:1) : (float32[])
          %inner = Merge(%xq, %neg) : (float32[], int32[])
          %outer = Merge(%xp, %inner) : (float32[], int32[])
          return %outer
        }""",
        """graph @main(%x: float32[], %p: bool[], %q: bool[]) {
          %outer = if(%p) : (float32[]) then() {
            %q_id = Identity(%q) : (bool[])
            %inner = if(%q) : (float32[]) then() {
              %neg = Neg(%x) : (float32[])
              return %neg
            } else() {
              return %x
            }
            return %inner
          } else() {
            return %x
          }
          return %outer
        }""",
    )


def test_what_a_gradient_uses_of_a_branch_is_handed_out_of_the_first_if():
    becomes(
        """graph @main(%x: float32[], %p: bool[]) {
          %s = Switch(%x, %p) : (float32[], float32[])
          %noise = RandomUniform(%s:1) : (float32[])
          %y = Mul(%noise, %s:1) : (float32[])
          %m = Merge(%s, %y) : (float32[], int32[])
          %loss = Neg(%m) : (float32[])
          %gs = Switch(%loss, %p) : (float32[], float32[])
          %gy = Mul(%gs:1, %noise) : (float32[])
          %gm = Merge(%gs, %gy) : (float32[], int32[])
          return %gm
        }""",
        """graph @main(%x: float32[], %p: bool[]) {
          %m = if(%p) : (float32[], float32[]) then() {
            %noise = RandomUniform(%x) : (float32[])
            %y = Mul(%noise, %x) : (float32[])
            return %y, %noise
          } else() {
            %m/else/undefined = undefined() : (float32[])
            return %x, %m/else/undefined
          }
          %loss = Neg(%m) : (float32[])
          %gm = if(%p) : (float32[]) then() {
            %gy = Mul(%loss, %m:1) : (float32[])
            return %gy
          } else() {
            return %loss
          }
          return %gm
        }""",
    )


def test_shapes_that_a_gradient_needs_are_taken_in_its_own_branch():
    function = structured(
        """graph @main(%x: float32[*], %p: bool[]) {
          %s = Switch(%x, %p) : (float32[*], float32[*])
          %shape = Shape(%s:1) : (int32[*])
          %y = Fill(%shape, %s:1) : (float32[*])
          %m = Merge(%s, %y) : (float32[*], int32[])
          %gs = Switch(%m, %p) : (float32[*], float32[*])
          %rank = Size(%shape) : (int32[*])
          %gy = Reshape(%gs:1, %rank) : (float32[*])
          %gm = Merge(%gs, %gy) : (float32[*], int32[])
          return %gm
        }"""
    )
    first, second = (operation for operation in function.body.operations if operation.kind == "if")
    assert len(first.results) == 1
    assert [operation.name for operation in second.regions[0].operations] == ["shape/again", "rank", "gy"]
    assert second.regions[0].operations[0].operands[0] is function.body.parameters[0]


def test_control_edges_across_a_region_are_lifted_to_its_if():
    becomes(
        """graph @main(%x: float32[], %p: bool[]) targets [^last] {
          %first = Print(%x) : (float32[])
          %s = Switch(%x, %p) [^first] : (float32[], float32[])
          %in = Print(%s:1) : (float32[])
          %second = Neg(%s:1) [^in] : (float32[])
          %m = Merge(%s, %second) : (float32[], int32[])
          %last = NoOp() [^m] : ()
          return
        }""",
        """graph @main(%x: float32[], %p: bool[]) targets [^last] {
          %first = Print(%x) : (float32[])
          %m = if(%p) [^first] : (float32[]) then() {
            %in = Print(%x) : (float32[])
            %second = Neg(%x) [^in] : (float32[])
            return %second
          } else() {
            return %x
          }
          %last = NoOp() [^m] : ()
          return
        }""",
    )


def test_an_order_that_only_the_predicates_identity_kept_stays():
    function = structured(
        """graph @main(%x: float32[], %p: bool[]) {
          %first = Print(%x) : (float32[])
          %pred_id = Identity(%p) [^first] : (bool[])
          %s = Switch(%x, %pred_id) : (float32[], float32[])
          %in = Print(%s:1) : (float32[])
          %m = Merge(%s, %in) : (float32[], int32[])
          return %m
        }"""
    )
    (cond,) = (operation for operation in function.body.operations if operation.kind == "if")
    assert [source.name for source in cond.control] == ["pred_id"]


def test_a_read_that_the_graph_does_not_order_against_a_write_goes_into_the_if_before_it():
    function = structured(
        """graph @main(%x: float32[], %p: bool[]) targets [^set] {
          %w = VariableV2() : (ref float32[])
          %set = Assign(%w, %x) : (ref float32[])
          %r = RefSwitch(%w, %p) : (ref float32[], ref float32[])
          %read = Neg(%r:1) : (float32[])
          %m = Merge(%r, %read) : (float32[], int32[])
          %after = Switch(%set, %p) : (float32[], float32[])
          %ma = Merge(%after, %after:1) : (float32[], int32[])
          return %m, %ma
        }"""
    )
    assert [operation.name for operation in function.body.operations] == ["w", "m", "set", "ma"]


def test_a_fetched_value_that_may_be_dead_is_checked():
    becomes(
        """graph @main(%x: float32[], %p: bool[]) {
          %s = Switch(%x, %p) : (float32[], float32[])
          return %s:1
        }""",
        """graph @main(%x: float32[], %p: bool[]) {
          %s/alive = alive(%x, %p) {never = false, sides = [true], tensor = "s:1"} : (float32[])
          return %s/alive
        }""",
    )


def test_a_merge_of_sides_that_do_not_complete_each_other_stays():
    function = structured(
        """graph @main(%x: float32[], %p: bool[], %q: bool[]) {
          %a = Switch(%x, %p) : (float32[], float32[])
          %b = Switch(%x, %q) : (float32[], float32[])
          %m = Merge(%a, %b:1) : (float32[], int32[])
          return %m
        }"""
    )
    assert "Merge" in [operation.kind for operation in function.body.operations]


def test_a_switch_of_n_sides_becomes_a_chain_of_ifs():
    text = """graph @main(%x: float32[], %i: int32[]) {
      %s = _SwitchN(%x, %i) {num_outs = 3} : (float32[], float32[], float32[])
      %a = Neg(%s) : (float32[])
      %b = Add(%s:1, %s:1) : (float32[])
      %m = Merge(%a, %b, %s:2) : (float32[], int32[])
      return %m, %m:1
    }"""
    function = structured(text)
    results = [run_structured(function, [5.0, i])[0] for i in (0, 1, 2, 7, -1)]
    assert results == [[-5.0, 0], [10.0, 1], [5.0, 2], [5.0, 2], [5.0, 2]]


def test_a_thousand_conds_in_a_row_are_structured():
    lines = ["graph @main(%v0: float32[], %p: bool[]) {"]
    for i in range(1000):
        lines.append(f"%s{i} = Switch(%v{i}, %p) : (float32[], float32[])")
        lines.append(f"%n{i} = Neg(%s{i}:1) : (float32[])")
        lines.append(f"%v{i + 1} = Merge(%s{i}, %n{i}) : (float32[], int32[])")
    function = structured("\n".join([*lines, "return %v1000 }"]))
    assert [operation.kind for operation in function.body.operations] == ["if"] * 1000


# Against the executor


class Graph:
    """Builds random graphs; `random` draws every choice."""

    def __init__(self, random):
        self.random = random
        self.block = Block()
        self.count = 0
        self.predicates = [self.block.add_parameter(BOOL, f"p{i}") for i in range(3)]
        self.numbers = [self.block.add_parameter(FLOAT, f"x{i}") for i in range(2)]

    def add(self, kind, operands, types, control=(), **attributes):
        self.count += 1
        name = f"{kind.lower()}{self.count}"
        return self.block.append(Operation(kind, name, operands, attributes, types, control=control))

    def plain(self, numbers, control=()):
        kind = self.random.choice(["Add", "Mul", "Neg", "Record", "Identity"])
        operands = [self.random.choice(numbers) for _ in range(2 if kind in ("Add", "Mul") else 1)]
        return self.add(kind, operands, [FLOAT], control).results[0]


def random_dataflow(random):
    """Switches and Merges between anything."""
    graph = Graph(random)
    for _ in range(random.randint(3, 14)):
        control = [random.choice(graph.block.operations)] if graph.block.operations and random.random() < 0.2 else []
        match random.choice(["switch", "switch", "merge", "plain", "const", "predicate"]):
            case "switch":
                data = random.choice(graph.numbers + graph.predicates)
                switch = graph.add("Switch", [data, random.choice(graph.predicates)], [data.type] * 2, control)
                (graph.predicates if data.type is BOOL else graph.numbers).extend(switch.results)
            case "merge":
                operands = [random.choice(graph.numbers) for _ in range(random.randint(2, 3))]
                merge = graph.add("Merge", operands, [FLOAT, INT], control)
                graph.numbers += merge.results
            case "plain":
                graph.numbers.append(graph.plain(graph.numbers, control))
            case "const":
                graph.numbers.append(graph.add("Const", [], [FLOAT], control, value=float(graph.count)).results[0])
            case "predicate":
                operands = [random.choice(graph.numbers), random.choice(graph.numbers)]
                graph.predicates.append(graph.add("Less", operands, [BOOL], control).results[0])
    graph.block.results = [random.choice(graph.numbers) for _ in range(random.randint(1, 2))]
    return Function("main", graph.block, targets=list(graph.block.operations))


def random_conds(random):
    """Conds as `tf.cond` builds them, nested, with branches that use what earlier ones under the predicate computed."""
    graph = Graph(random)
    inner: dict = {}

    def region(numbers, path, depth):
        for _ in range(random.randint(1, 4)):
            if depth < 3 and random.random() < 0.5:
                predicate = random.choice(graph.predicates[:3])
                if predicate.name in dict(path):
                    continue
                source = predicate
                for outer, side in path:
                    source = graph.add("Switch", [source, pivots[outer]], [BOOL] * 2).results[side]
                identity = graph.add("Identity", [source], [BOOL]).results[0]
                pivots_before = pivots.get(predicate.name)
                pivots[predicate.name] = identity
                results = []
                for side in (0, 1):
                    here = (*path, (predicate.name, side))
                    pivot = graph.add("Switch", [identity, identity], [BOOL] * 2).results[side]
                    hold = graph.add("Identity", [pivot], [BOOL])
                    given = []
                    for number in random.sample(numbers, min(2, len(numbers))):
                        given.append(graph.add("Switch", [number, identity], [number.type] * 2).results[side])
                    given.append(graph.add("Const", [], [FLOAT], [hold], value=float(graph.count)).results[0])
                    given += inner.get(here, [])
                    found = region(given, here, depth + 1)
                    inner.setdefault(here, []).extend(found[-2:])
                    results.append(random.choice(found))
                pivots[predicate.name] = pivots_before
                numbers = [*numbers, graph.add("Merge", results, [FLOAT, INT]).results[0]]
            else:
                numbers = [*numbers, graph.plain(numbers)]
        return numbers

    pivots: dict = {}
    numbers = region(graph.numbers, (), 0)
    graph.block.results = [numbers[-1]]
    return Function("main", graph.block, targets=list(graph.block.operations))


def outcome(run, function, feeds):
    try:
        return run(function, feeds)
    except Dead:
        return "dead"


@pytest.mark.parametrize("make", [random_dataflow, random_conds])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(random=st.randoms(use_true_random=False))
def test_the_structure_computes_what_the_executor_computes(make, random):
    function = make(random)
    verify(function)
    text = print_function(function)
    cases = [[*flags, 2.0, 3.0] for flags in itertools.product([False, True], repeat=3)]
    try:
        wanted = [outcome(run_dataflow, function, feeds) for feeds in cases]
    except Race:
        assume(False)
    functionalize_conds(function, TestTraits())
    verify(function)
    kinds = {operation.kind for operation in walk(function.body)}
    assert "Switch" not in kinds
    assume("Merge" not in kinds)
    assert [outcome(run_structured, function, feeds) for feeds in cases] == wanted, text
