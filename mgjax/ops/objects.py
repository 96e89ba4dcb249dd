"""Host objects: values that no device holds and only host steps know (tables, queues, readers, datasets)."""

from __future__ import annotations


class HostObject:
    """A value that stands where arrays stand, and that only host steps take and make.

    Two are the same value only if they are the same object. One that stands for a value (a table) is never changed: a step
    that changes it makes another one. One that is changed in place (a queue) belongs to the state in which it was made.
    """

    __slots__ = ()
