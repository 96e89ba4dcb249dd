"""Reading MetaGraphDefs and resolving what is in them."""

from mgjax.metagraph import files, transform
from mgjax.metagraph.build import build_function, build_whole, problem_of
from mgjax.metagraph.collections import VARIABLE_COLLECTIONS, Collection, decode_collections, variables_of
from mgjax.metagraph.export import WRITER, export
from mgjax.metagraph.graph import Graph, nearest, split_tensor_name
from mgjax.metagraph.library import build_library_function, library_nodes
from mgjax.metagraph.transform import NAMING_MESSAGES
from mgjax.metagraph.variables import (
    Saved,
    SavedObject,
    names_by_key,
    object_key,
    object_names,
    objects_saved_by,
    saved_by,
    state_names,
    variable_key,
)

__all__ = [
    "NAMING_MESSAGES",
    "VARIABLE_COLLECTIONS",
    "WRITER",
    "Collection",
    "Graph",
    "Saved",
    "SavedObject",
    "build_function",
    "build_library_function",
    "build_whole",
    "decode_collections",
    "export",
    "files",
    "library_nodes",
    "names_by_key",
    "nearest",
    "object_key",
    "object_names",
    "objects_saved_by",
    "problem_of",
    "saved_by",
    "split_tensor_name",
    "state_names",
    "transform",
    "variable_key",
    "variables_of",
]
