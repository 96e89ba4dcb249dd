"""The text form: what is printed reads back as the same module."""

import contextlib
import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from mgjax import dtypes
from mgjax.attributes import FunctionName
from mgjax.errors import ReadError
from mgjax.ir import (
    Block,
    Function,
    Module,
    Operation,
    TensorType,
    parse_function,
    parse_module,
    print_attribute,
    print_function,
    print_module,
    verify,
)

GRAPH = """\
graph @main(%x:0: float32[?,3], %p: bool[]) targets [^train, ^"odd name"] attributes {version = 1} {
  %w = VariableV2() {container = "", dtype = float32, shape = [3, 2]} @"/job:ps/task:0" : (ref float32[3,2])
  %a/MatMul = MatMul(%x:0, %w) [^init, ^train] {transpose_a = false} : (float32[?,2])
  %s = Switch(%a/MatMul, %p) : (float32[?,2], float32[?,2])
  %merge = Merge(%s:1, %next) : (float32[*], int32[])
  %next = NextIteration(%merge) : (float32[*])
  %init = NoOp() : ()
  %train = NoOp() [^init] : ()
  %"odd name" = "Vendor>Op"(%merge:1) : (?[*])
  return %a/MatMul, %x:0, %"odd name"
}
"""

ORDERED = """\
func @loop(%n: int32[], %p: bool[]) {
  %zero = Const() {dtype = int32, value = int32[]<0>} : (int32[])
  %loop = while(%zero) : (int32[]) cond(%i: int32[]) {
    %less = Less(%i, %n) : (bool[])
    return %less
  } body(%j: int32[]) {
    %next = if(%p) : (int32[]) then() {
      %add = Add(%j, %n) : (int32[])
      return %add
    } else() {
      return %n
    }
    return %next
  }
  return %loop
}
"""


@pytest.mark.parametrize("text", [GRAPH, ORDERED])
def test_what_is_printed_is_what_was_read(text):
    function = parse_function(text)
    verify(function)
    assert print_function(function) == text


def test_a_module_keeps_the_order_of_its_functions():
    module = parse_module(GRAPH + "\n" + ORDERED)
    assert list(module.functions) == ["main", "loop"]
    assert print_module(module) == GRAPH + "\n" + ORDERED


def test_comments_and_layout_mean_nothing():
    function = parse_function("func @f(%x: int32[ 2, ? ]) { # sizes\n  %y =\n Neg( %x ) :(int32[2,?]) return %y }")
    assert print_function(function) == (
        "func @f(%x: int32[2,?]) {\n  %y = Neg(%x) : (int32[2,?])\n  return %y\n}\n"
    )  # fmt: skip


def test_uses_and_owners_come_back():
    function = parse_function(ORDERED)
    n = function.body.parameters[0]
    assert [(user.name, index) for user, index in n.uses] == [("less", 1), ("add", 1)]
    loop = function.body.operations[1]
    assert loop.regions[1].operations[0].block is loop.regions[1]
    assert loop.regions[1].owner is loop


def read_attribute(text):
    function = parse_function(f"func @f() {{ %a = Op() {{v = {text}}} : () return }}")
    return function.body.operations[0].attributes["v"]


def same(a, b):
    """Equal with equal types, bit by bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        equal = a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()
        return a.dtype == b.dtype and a.shape == b.shape and equal
    if isinstance(a, FunctionName):
        return (
            a.name == b.name and a.attrs.keys() == b.attrs.keys() and all(same(a.attrs[k], b.attrs[k]) for k in a.attrs)
        )
    return a == b


@pytest.mark.parametrize(
    "value, text",
    [
        (3, "3"),
        (-(2**63), "-9223372036854775808"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e-30, "1e-30"),
        (1e22, "1e+22"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
        (True, "true"),
        ("", '""'),
        ('a"\\\n\u20ac # {', r'"a\"\\\n\u20ac # {"'),
        (b"\xff\x00", r'b"\u00ff\u0000"'),
        (dtypes.bfloat16, "bfloat16"),
        (None, "?"),
        ((), "[]"),
        ((2, None), "[2, ?]"),
        (((1, None), None, ()), "[[1, ?], ?, []]"),
        ((dtypes.float32, dtypes.string), "[float32, string]"),
        (FunctionName("f"), "@f"),
        (FunctionName("f g", {"T": dtypes.int32, "n": 2}), '@"f g"{T = int32, n = 2}'),
    ],
)
def test_attribute_values_keep_their_types(value, text):
    assert print_attribute(value) == text
    assert same(read_attribute(text), value)


@pytest.mark.parametrize(
    "array, text",
    [
        (np.array(7, np.int32), "int32[]<7>"),
        (np.array([1.5, -0.0, np.inf], np.float32), "float32[3]<1.5, -0.0, inf>"),
        (np.array([0.1], np.float32), "float32[1]<0.1>"),
        (np.array([0.1], ml_dtypes.bfloat16), "bfloat16[1]<0.100098>"),
        (np.array([np.nan, 1], np.float64), "float64[2]<nan, 1.0>"),
        (np.array([0x7FC00001], np.uint32).view(np.float32), "float32[1]<0x0100c07f>"),
        (np.array([[True], [False]]), "bool[2,1]<true, false>"),
        (np.array([2**64 - 1], np.uint64), "uint64[1]<18446744073709551615>"),
        (np.zeros((0, 3), np.int8), "int8[0,3]<>"),
        (np.array([complex(1, -0.0)], np.complex64), "complex64[1]<0x0000803f00000080>"),
        (np.arange(17, dtype=np.int16), "int16[17]<0x" + "".join(f"{n:02x}00" for n in range(17)) + ">"),
        (np.array([b"a\xff", b""], object), r'string[2]<"a\u00ff", "">'),
        (np.broadcast_to(np.float32(0.5), (200, 300)), "float32[200,300]<splat 0.5>"),
        (np.broadcast_to(np.complex64(1), (2,)), "complex64[2]<splat 0x0000803f00000000>"),
    ],
)
def test_arrays_come_back_bit_by_bit(array, text):
    assert print_attribute(array) == text
    assert same(read_attribute(text), array)


def test_a_splat_takes_one_element_of_memory_after_reading():
    assert read_attribute("float32[1000,1000,1000]<splat 0.0>").strides == (0, 0, 0)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.sampled_from(dtypes.ALL)
)
arrays = np_st.arrays(
    st.sampled_from([d.numpy for d in dtypes.ALL if d.is_numeric and d is not dtypes.bfloat16]),
    np_st.array_shapes(min_dims=0, min_side=0, max_side=5),
)
values = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.builds(FunctionName, st.text(min_size=1), st.dictionaries(st.text(), inner, max_size=2))
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(values)
def test_every_attribute_value_comes_back(value):
    assert same(read_attribute(print_attribute(value)), value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1).filter(lambda name: ":" not in name), min_size=1, max_size=4, unique=True))
def test_every_name_comes_back(names):
    block = Block()
    kind = TensorType(dtypes.int32, ())
    operations = [block.append(Operation(name, name, (), {name: name}, [kind, kind], device=name)) for name in names]
    block.append(
        Operation("Use", "a user:of all", [operation.results[1] for operation in operations], control=operations)
    )
    function = Function(names[0], block)
    again = parse_function(print_function(function))
    assert print_function(again) == print_function(function)
    assert [operation.name for operation in again.body.operations[-1].control] == names
    assert [value.owner.name for value in again.body.operations[-1].operands] == names


@pytest.mark.parametrize(
    "text, message",
    [
        ("f", "line 1, column 1: 'graph' or 'func' was expected, found: f"),
        ("func @f() {\n  %a = Op(%b) : ()\n  return\n}", "line 2, column 11: no value has this name: b"),
        ("func @f() {\n  %a = Op() : ()\n  return %a\n}", "line 3, column 10: 'a' has 0 results"),
        ("func @f() {\n  %a = Op() [^c] : ()\n  return\n}", "line 2, column 14: no operation has this name: c"),
        ("func @f() {\n  %a = A() : ()\n  %a = A() : ()\n  return }", "line 3, column 3: a second operation of"),
        ("func @f() {\n  %a = Op() : (float31[])\n", "line 2, column 16: a data type was expected, found: float31"),
        ("func @f() {\n  %a = Op() {x = !}", "line 2, column 18: a character that begins no word of the text form: !"),
        ("func @f() {\n  %a = Op() {x = int32[2]<1>}", "line 2, column 23: an array of 2 elements has another number"),
        ("func @f() {\n  %a = Op() {x = int8[1]<300>}", "line 2, column 26: elements that are not int8"),
        ("func @f() { return }\nfunc @f() { return }", "line 2, column 1: a second function 'f'"),
    ],
)  # fmt: skip
def test_what_is_not_the_text_form_is_refused_with_its_place(text, message):
    with pytest.raises(ReadError) as caught:
        parse_module(text)
    assert str(caught.value).startswith(message)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_text_is_refused_or_read(data):
    cut = data.draw(st.integers(0, len(ORDERED) - 1))
    end = data.draw(st.integers(cut, min(len(ORDERED), cut + 8)))
    with contextlib.suppress(ReadError):
        parse_module(ORDERED[:cut] + data.draw(st.text('%^@"{}()[]<>=:, a0', max_size=3)) + ORDERED[end:])


def test_sixty_thousand_operations_are_printed_and_read():
    block = Block()
    kind = TensorType(dtypes.float32, (None, 128))
    value = block.add_parameter(kind, "x")
    for i in range(60_000):
        attributes = {"T": dtypes.float32, "data_format": "NHWC", "strides": (1, 2, 2, 1)}
        value = block.append(
            Operation("Op", f"tower_{i // 100}/layer/Op_{i}", [value, value], attributes, [kind])
        ).result
    block.results = [value]
    module = Module()
    module.add(Function("main", block, is_ordered=True))
    text = print_module(module)
    again = parse_module(text)
    verify(again)
    assert print_module(again) == text
