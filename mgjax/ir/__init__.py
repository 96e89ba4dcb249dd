"""The intermediate form in static single assignment: see `mgjax.ir.module`."""

from mgjax.ir.module import Block, Function, Module, Operation, TensorType, Value, walk, walk_blocks

__all__ = ["Block", "Function", "Module", "Operation", "TensorType", "Value", "walk", "walk_blocks"]
