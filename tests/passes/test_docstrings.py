"""The text before and after that each pass of control flow shows in its docstring is what the pass does."""

import re
import sys

import pytest

from mgjax.attributes import FunctionName
from mgjax.ir import Function, Module, parse_module, print_function, verify
from mgjax.passes import (
    defer_prints,
    functionalize_conds,
    functionalize_loops,
    inline_functions,
    order_effects,
    thread_arrays,
    thread_variables,
)
from tests.passes.test_thread_arrays import ListTraits
from tests.passes.traits import TestTraits


def columns(text):
    """The two columns of the example in a docstring: the module before, and the function after."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if len(re.findall(r"(?:graph|func) @main", line)) == 2)
    middle = [match.start() for match in re.finditer(r"(?:graph|func) @main", lines[first])][1]
    before, after = [], []
    for line in lines[first:]:
        if line.strip() and not line.startswith("    "):
            break
        before.append(re.sub(r"\s*->\s*$", "", line[:middle]))
        after.append(line[middle:])
    return parse_module("\n".join(before)), parse_module("\n".join(after)).main


def inlined(module: Module) -> None:
    text = {name: function for name, function in module.functions.items() if name != "main"}

    def library(name: FunctionName) -> Function | None:
        if name.name not in text:
            return None
        return parse_module(print_function(text[name.name])).functions[name.name]

    inline_functions(module.main, library, TestTraits())


PASSES = {
    functionalize_loops: lambda module: functionalize_loops(module.main, TestTraits()),
    functionalize_conds: lambda module: functionalize_conds(module.main, TestTraits()),
    inline_functions: inlined,
    order_effects: lambda module: order_effects(module.main, TestTraits()),
    thread_arrays: lambda module: thread_arrays(module.main, ListTraits()),
    thread_variables: lambda module: thread_variables(module.main, TestTraits()),
    defer_prints: lambda module: defer_prints(module.main),
}


@pytest.mark.parametrize("described", PASSES, ids=lambda described: described.__name__)
def test_a_pass_does_what_its_docstring_shows(described):
    module, after = columns(sys.modules[described.__module__].__doc__)
    PASSES[described](module)
    verify(module.main)
    module.main.attributes.clear()
    assert print_function(module.main) == print_function(after)
