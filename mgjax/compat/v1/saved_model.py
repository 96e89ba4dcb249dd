"""`tf.saved_model`: loading a SavedModel of TensorFlow 1 into a session."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from mgjax.compat.v1.importer import import_meta_graph
from mgjax.compat.v1.session import Session
from mgjax.errors import MissingFileError, ReadError
from mgjax.importing import INIT_SIGNATURE
from mgjax.metagraph import files, transform
from mgjax.proto import meta_graph_pb2

_MAIN_OP_KEYS = ("saved_model_main_op", "legacy_init_op")

tag_constants = SimpleNamespace(SERVING="serve", TRAINING="train", EVAL="eval", GPU="gpu", TPU="tpu")
signature_constants = SimpleNamespace(
    DEFAULT_SERVING_SIGNATURE_DEF_KEY="serving_default",
    CLASSIFY_METHOD_NAME="tensorflow/serving/classify",
    PREDICT_METHOD_NAME="tensorflow/serving/predict",
    REGRESS_METHOD_NAME="tensorflow/serving/regress",
)


def load(
    sess: Session,
    tags: Sequence[str],
    export_dir: str | os.PathLike[str],
    import_scope: str | None = None,
    **kwargs: Any,
) -> Any:
    """Adds the graph of a SavedModel to a session's, restores its variables, and runs its initialization.

    Args:
        tags: the tags of the MetaGraphDef that is wanted.

    Returns:
        The MetaGraphDef; its signatures name tensors without `import_scope`.

    Raises:
        IOError: there is no SavedModel.
        RuntimeError: it has no MetaGraphDef with these tags.
    """
    folder = os.fspath(export_dir)
    if not maybe_saved_model_directory(folder):
        raise MissingFileError(f"SavedModel file does not exist at: {folder}/{{saved_model.pbtxt|saved_model.pb}}")
    try:
        meta_graph, prefix = files.read_saved_model(folder, [tags] if isinstance(tags, str) else list(tags))
    except ReadError as error:
        if isinstance(error, MissingFileError) or "tags" not in str(error):
            raise
        raise RuntimeError(
            f"MetaGraphDef associated with tags {str(list(tags)).strip('[]')} could not be found in SavedModel. ({error})"
        ) from error
    with sess.graph.as_default():
        sess.graph.allow(os.path.join(folder, "assets"))
        saver = import_meta_graph(meta_graph, import_scope=import_scope, **kwargs)
        if saver is not None and prefix is not None:
            saver.restore(sess, prefix)
        _initialize(sess, meta_graph, folder, import_scope or "")
    return meta_graph


def _initialize(sess: Session, meta_graph: Any, folder: str, scope: str) -> None:
    """Runs the operation that fills tables and the like, with the paths of the SavedModel's assets fed."""
    signature = meta_graph.signature_def.get(INIT_SIGNATURE)
    if signature is not None and signature.outputs:
        name = next(iter(signature.outputs.values())).name
        operation = sess.graph.get_operation_by_name(transform.scoped(name, scope).removesuffix(":0"))
        sess.run(operation, _assets(meta_graph, folder, scope))
        return
    for key in _MAIN_OP_KEYS:
        names = meta_graph.collection_def[key].node_list.value if key in meta_graph.collection_def else ()
        if names:
            sess.run(transform.scoped(names[0], scope), _assets(meta_graph, folder, scope))
            return


def _assets(meta_graph: Any, folder: str, scope: str) -> dict[str, str]:
    """The paths of the SavedModel's assets by the tensors that take them."""
    if "saved_model_assets" not in meta_graph.collection_def:
        return {}
    paths = {}
    for entry in meta_graph.collection_def["saved_model_assets"].any_list.value:
        asset = meta_graph_pb2.AssetFileDef.FromString(entry.value)
        paths[transform.scoped(asset.tensor_info.name, scope)] = os.path.join(folder, "assets", asset.filename)
    return paths


def maybe_saved_model_directory(export_dir: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a SavedModel."""
    folder = os.fspath(export_dir)
    return any(os.path.isfile(os.path.join(folder, name)) for name in ("saved_model.pb", "saved_model.pbtxt"))


contains_saved_model = maybe_saved_model_directory
loader = SimpleNamespace(load=load, maybe_saved_model_directory=maybe_saved_model_directory)
