"""New names for operations and parameters."""

from __future__ import annotations

from mgjax.ir import Function, walk, walk_blocks


class Names:
    """The names that a function uses."""

    def __init__(self, function: Function):
        self._taken = {operation.name for operation in walk(function.body)}
        self._taken.update(value.label for block in walk_blocks(function.body) for value in block.parameters)

    def new(self, wanted: str) -> str:
        """A name that nothing has: the wanted one, or that with a number."""
        name, count = wanted, 0
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name

    def free(self, name: str) -> None:
        """Gives back the name of what is no longer there."""
        self._taken.discard(name)
