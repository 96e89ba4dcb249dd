"""The intermediate form in static single assignment: see `mgjax.ir.module`; its text form: `mgjax.ir.printer`."""

from mgjax.ir.module import Block, Function, Module, Operation, TensorType, Value, walk, walk_blocks
from mgjax.ir.parser import parse_function, parse_module
from mgjax.ir.printer import print_attribute, print_function, print_module, print_operation
from mgjax.ir.verify import verify

__all__ = [
    "Block",
    "Function",
    "Module",
    "Operation",
    "TensorType",
    "Value",
    "parse_function",
    "parse_module",
    "print_attribute",
    "print_function",
    "print_module",
    "print_operation",
    "verify",
    "walk",
    "walk_blocks",
]
