"""The names that scripts of TensorFlow 1 use: `import mgjax.compat.v1 as tf`.

A script that imports a graph, restores it and runs or trains it works with only its import line changed. Graphs can be built
as far as the examples of TensorFlow's page on `import_meta_graph` need: placeholders, variables, constants, arithmetic, and
any op by its definition (`Graph.create_op`).
"""

import sys as _sys
from types import SimpleNamespace as _Namespace

from mgjax.compat.v1 import dtypes, errors, saved_model, train
from mgjax.compat.v1 import math_ops as math
from mgjax.compat.v1.config import ConfigProto, GPUOptions, GraphOptions, OptimizerOptions, RunMetadata, RunOptions
from mgjax.compat.v1.dtypes import DType, as_dtype
from mgjax.compat.v1.framework import (
    Graph,
    GraphKeys,
    Operation,
    Tensor,
    convert_to_tensor,
    get_default_graph,
    reset_default_graph,
)
from mgjax.compat.v1.importer import import_graph_def
from mgjax.compat.v1.math_ops import (
    add,
    cast,
    constant,
    divide,
    equal,
    exp,
    greater,
    group,
    identity,
    less,
    log,
    matmul,
    maximum,
    minimum,
    multiply,
    negative,
    no_op,
    placeholder,
    placeholder_with_default,
    pow,
    sigmoid,
    sqrt,
    square,
    subtract,
    tanh,
)
from mgjax.compat.v1.session import InteractiveSession, Session, get_default_session
from mgjax.compat.v1.sparse import IndexedSlices, IndexedSlicesValue, SparseTensor, SparseTensorValue
from mgjax.compat.v1.tensor_shape import Dimension, TensorShape
from mgjax.compat.v1.variables import (
    Variable,
    assign,
    assign_add,
    assign_sub,
    global_variables,
    global_variables_initializer,
    is_variable_initialized,
    local_variables,
    local_variables_initializer,
    model_variables,
    moving_average_variables,
    report_uninitialized_variables,
    tables_initializer,
    trainable_variables,
    variables_initializer,
)
from mgjax.proto import decode_tensor as make_ndarray

float16, float32, float64, bfloat16 = dtypes.float16, dtypes.float32, dtypes.float64, dtypes.bfloat16
half, double = dtypes.float16, dtypes.float64
int8, int16, int32, int64 = as_dtype("int8"), as_dtype("int16"), as_dtype("int32"), as_dtype("int64")
uint8, uint16, uint32, uint64 = as_dtype("uint8"), as_dtype("uint16"), as_dtype("uint32"), as_dtype("uint64")
complex64, complex128 = as_dtype("complex64"), as_dtype("complex128")
bool, string = as_dtype("bool"), as_dtype("string")
qint8, quint8, qint16, quint16 = as_dtype("qint8"), as_dtype("quint8"), as_dtype("qint16"), as_dtype("quint16")
qint32 = as_dtype("qint32")
resource, variant = as_dtype("resource"), as_dtype("variant")

all_variables = global_variables
initialize_all_variables = global_variables_initializer
initialize_all_tables = tables_initializer
compat = _Namespace(v1=_sys.modules[__name__])


def add_to_collection(name, value):
    """Adds a value to a collection of the default graph."""
    get_default_graph().add_to_collection(name, value)


def get_collection(key, scope=None):
    """The values of a collection of the default graph."""
    return get_default_graph().get_collection(key, scope)


def get_collection_ref(key):
    """The list of a collection of the default graph itself."""
    return get_default_graph().get_collection_ref(key)


def name_scope(name, default_name=None, values=None):
    """A name scope of the default graph."""
    return get_default_graph().name_scope(default_name if name is None else name)


def control_dependencies(control_inputs):
    """What is made inside runs after `control_inputs`, in the default graph."""
    return get_default_graph().control_dependencies(control_inputs)


def device(device_name_or_function):
    """The device of what is made inside, in the default graph."""
    return get_default_graph().device(device_name_or_function)


def set_random_seed(seed):
    """The seed that ops made later in the default graph derive theirs from."""
    get_default_graph().seed = seed


__all__ = [name for name in dir() if not name.startswith("_")]
