"""Host objects: values that no device holds and only host steps know (tables, queues, readers, datasets)."""

from __future__ import annotations


class HostObject:
    """A value that stands where arrays stand, and that only host steps take and make.

    Two are the same value only if they are the same object. One that stands for a value (a table) is never changed: a step
    that changes it makes another one. One that is changed in place (a queue) belongs to the state in which it was made.
    """

    __slots__ = ()


class Reference(HostObject):
    """What stands for a variable or a host object where a function captures it: its value is looked up when it is called.

    Attributes:
        role: "variable" or "resource".
        name: the name under which the state holds it.
    """

    __slots__ = ("name", "role")

    def __init__(self, role: str, name: str):
        self.role = role
        self.name = name
