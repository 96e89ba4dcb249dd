"""Prints become operations whose regions make the text."""

from mgjax.ir import parse_function, print_function, verify
from mgjax.passes import defer_prints


def deferred(text, *kinds):
    function = parse_function(text)
    verify(function)
    defer_prints(function, *kinds)
    verify(function)
    return print_function(function)


def test_text_that_others_take_too_stays():
    found = deferred("""
    func @main(%x: float32[]) {
      %text = AsString(%x) : (string[])
      %show = PrintV2(%text) : ()
      return %text
    }""")
    assert "%text = AsString(%x) : (string[])" in found
    assert "%show/text = AsString(%x) : (string[])" in found


def test_what_a_chain_of_prints_hands_on_is_what_it_was_given():
    found = deferred("""
    func @main(%x: float32[], %p: bool[]) {
      %a = Print(%x, %x) : (float32[])
      %b = Print(%a, %a) : (float32[])
      %c = if(%p) : (float32[]) then() {
        return %b
      } else() {
        %d = Print(%b, %p) : (float32[])
        return %d
      }
      return %c, %a
    }""")
    assert found.count("return %x\n") == 4  # two regions of text, and both branches
    assert "return %p\n" in found and "return %c, %x\n" in found


def test_a_string_that_other_operations_make_is_taken_from_them():
    found = deferred("""
    func @main(%handle: string[]) {
      %line = ReadFile(%handle) : (string[])
      %show = PrintV2(%line) : ()
      return
    }""")
    assert "%line = ReadFile(%handle)" in found and "return %line\n" in found


def test_kinds_that_are_not_asked_for_stay():
    text = "func @main(%x: float32[]) {\n  %a = Print(%x, %x) : (float32[])\n  return %a\n}\n"
    assert deferred(text, ["PrintV2"]) == text
