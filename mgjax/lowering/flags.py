"""Error flags: how a compiled program says that an operation failed.

A check that only the running program can decide is a *site*: an operation, the class of its error and a message. Sites are
numbered in the order in which tracing meets them, which is the order in which the operations stand. A program carries one int32:
the number of the first site that failed, or `NOTHING`. A branch and a round of a loop give theirs as one more result, and
after its first failure a loop goes no further; at the end the program gives the number to its caller, who raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mgjax.errors import OpError
from mgjax.ir import Operation
from mgjax.ops import Claim

NOTHING = np.int32(np.iinfo(np.int32).max)
"""The number that says that nothing failed."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a program may fail, and what it says then.

    Attributes:
        operation: what to evaluate again to see it fail: the operation, or one around it.
        node, op: the name and kind of the operation that fails.
    """

    operation: Operation
    error: type[OpError]
    message: str
    node: str | None
    op: str | None

    def failure(self) -> OpError:
        return self.error(self.message, self.node, self.op)


class Sites:
    """The sites of a program: a site keeps its number however often the program is traced."""

    def __init__(self) -> None:
        self._sites: list[Site] = []
        self._numbers: dict[Any, int] = {}

    def __getitem__(self, number: int) -> Site:
        return self._sites[number]

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites)

    def number(self, site: Site, place: Any) -> int:
        """The number of the site that `place` tells from others of its operation."""
        key = (site.operation, place, site.error, site.message)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._sites)
            self._sites.append(site)
        return number


class Flags:
    """The numbers of what failed in one traced scope."""

    def __init__(self, sites: Sites):
        self.sites = sites
        self._numbers: list[Any] = []

    def require(self, claim: Claim, operation: Operation, place: Any) -> None:
        """Flags the operation where the claim does not hold."""
        message = describe(operation, claim.text())
        number = self.sites.number(Site(operation, claim.error, message, operation.name, operation.kind), place)
        self.add(jnp.where(jnp.all(claim.holds), NOTHING, np.int32(number)))

    def failed(self, error: OpError, operation: Operation, place: Any) -> Any:
        """The number of an error that tracing has met in a region of the operation."""
        return np.int32(self.sites.number(Site(operation, type(error), error.message, error.node, error.op), place))

    def add(self, number: Any) -> None:
        """Adds the number that a region gave."""
        if isinstance(number, jax.Array) or number != NOTHING:
            self._numbers.append(number)

    def first(self) -> Any:
        """The first number of all: an int32 scalar, NumPy where nothing can fail."""
        if not self._numbers:
            return NOTHING
        return jnp.min(jnp.stack(self._numbers)) if len(self._numbers) > 1 else self._numbers[0]

    def raise_first(self, number: Any = NOTHING) -> None:
        """Raises what failed first, of concrete values: by the flags, or else by a number that is given."""
        for found in (self.first(), number):
            if found != NOTHING:
                raise self.sites[int(found)].failure()


class Failure:
    """What failed in a run inside of `jit`, `vmap` or `scan`: a pytree, to be returned from there and asked outside.

    Attributes:
        number: int32[...], the number of the first site that failed, with the axes that `vmap` or `scan` put before it.
        sites: the sites of the program.
    """

    def __init__(self, number: Any, sites: Sites):
        self.number = number
        self.sites = sites

    def throw(self) -> None:
        """Raises the `OpError` of what failed first, if anything did. Not inside of a JAX transformation."""
        numbers = np.ravel(np.asarray(self.number))
        if (failed := numbers[numbers != NOTHING]).size:
            raise self.sites[int(failed[0])].failure()

    def __bool__(self) -> bool:
        """Whether anything failed."""
        return bool(np.any(np.asarray(self.number) != NOTHING))

    def __repr__(self) -> str:
        return f"Failure({self.number!r})"


jax.tree_util.register_pytree_node(
    Failure, lambda failure: ((failure.number,), failure.sites), lambda sites, leaves: Failure(leaves[0], sites)
)


def describe(operation: Operation, problem: str) -> str:
    """`MatMul 'tower/MatMul'(float32[2,3], float32[2,3]): ...`, the form of every error that one operation causes."""
    types = ", ".join(str(value.type) for value in operation.operands)
    return f"{operation.kind} '{operation.name}' ({types}): {problem}"
