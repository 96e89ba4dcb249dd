"""Operations without computation: constants, points of order, questions about variables."""

from __future__ import annotations

import numpy as np

from mgjax import dtypes
from mgjax.errors import UnsupportedError
from mgjax.ops.registry import lower


@lower("Const")
def const(*, value, dtype):
    """The constant's value."""
    if dtype is dtypes.variant:
        raise UnsupportedError("a constant that is a variant: what it holds has no meaning here")
    return value


@lower("NoOp", "ControlTrigger")
def no_op():
    """Nothing; it stands for its control inputs."""
    return ()


@lower("IsVariableInitialized", optional=("ref",))
def is_variable_initialized(ref):
    """Whether the variable has a value at this point of the run."""
    return np.bool_(ref is not None)


@lower("VarIsInitializedOp", optional=("resource",))
def var_is_initialized_op(resource):
    """Whether the resource variable has a value at this point of the run."""
    return np.bool_(resource is not None)
