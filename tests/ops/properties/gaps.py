"""What the properties do not cover, each row with its reason; and calls that once differed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mgjax import dtypes, host  # noqa: F401  (`host` registers its ops)
from mgjax.ops import REGISTRY
from tests.ops.properties.kernels import kernels_of, op_def_of
from tests.ops.properties.recipes import Call

# Lowerings of which no calls are drawn.

NOT_DRAWN: dict[str, str] = {}


def not_drawn(reason: str, *ops: str) -> None:
    NOT_DRAWN.update(dict.fromkeys(ops, reason))


for op in REGISTRY:
    if op_def_of(op) is None:
        not_drawn("TensorFlow 2 has no such op; the recorded runs of 1.15 have it", op)
    elif op_def_of(op).deprecation is not None:
        not_drawn("removed: TensorFlow 2 runs it only in graphs of old versions; the recorded runs of 1.15 have it", op)
    elif not kernels_of(op):
        not_drawn("TensorFlow 2 has no CPU kernel for it; the recorded runs of 1.15 have it", op)
    elif any(arg.dtype in (dtypes.resource, dtypes.variant) for arg in op_def_of(op).inputs + op_def_of(op).outputs):
        not_drawn("takes or gives a handle: it means something only in a graph, as its own tests have it", op)
    elif any(arg.is_ref for arg in op_def_of(op).inputs + op_def_of(op).outputs):
        not_drawn("takes or gives a reference to a variable: it is run in graphs by its own tests", op)
    elif REGISTRY[op].hidden != (("generator",) if REGISTRY[op].draws else ()) or REGISTRY[op].effect:
        not_drawn("acts on files, prints, or takes what only a run gives: drawn names would be opened", op)
    elif op_def_of(op).is_stateful and REGISTRY[op].host:
        not_drawn("acts on the world: its own tests have it", op)
    elif REGISTRY[op].draws or REGISTRY[op].function.__module__.startswith("mgjax.ops.random"):
        not_drawn("random: its streams are compared number by number in its own tests", op)


# Lowerings that no recipe draws valid calls of, to which recipes are to be added.

STRINGS_FILES_AND_SPARSE = """
    AsString Assert AudioSpectrogram AudioSummaryV2 CheckNumerics CheckNumericsV2 ComputeAccidentalHits Const
    ControlTrigger DecodeAndCropJpeg DecodeBase64 DecodeBmp DecodeCSV DecodeCompressed DecodeGif DecodeJSONExample
    DecodeJpeg DecodePaddedRaw DecodePng DecodeRaw DecodeWav DenseToDenseSetOperation DenseToSparseSetOperation
    DeserializeManySparse DeserializeSparse EditDistance EncodeBase64 EncodeJpeg EncodeJpegVariableQuality EncodePng
    EncodeWav ExtractJpegShape Fact Fingerprint GenerateVocabRemapping HistogramSummary ImageSummary
    LoadAndRemapMatrix MergeSummary Mfcc NearestNeighbors NoOp ParseExample ParseExampleV2 ParseSequenceExample
    ParseSingleExample ParseSingleSequenceExample ParseTensor Print PrintV2 RaggedGather RaggedRange
    RaggedTensorToSparse RaggedTensorToTensor ReduceJoin RegexFullMatch RegexReplace ScalarSummary
    SerializeManySparse SerializeSparse SerializeTensor SetSize SparseAdd SparseAddGrad SparseConcat SparseCross
    SparseDenseCwiseAdd SparseDenseCwiseDiv SparseDenseCwiseMul SparseFillEmptyRows SparseFillEmptyRowsGrad
    SparseReduceMax SparseReduceMaxSparse SparseReduceSum SparseReduceSumSparse SparseReorder SparseReshape
    SparseSlice SparseSliceGrad SparseSoftmax SparseSparseMaximum SparseSparseMinimum SparseSplit
    SparseTensorDenseAdd SparseTensorDenseMatMul SparseToSparseSetOperation StaticRegexFullMatch StaticRegexReplace
    StringFormat StringJoin StringLength StringLower StringNGrams StringSplit StringSplitV2 StringStrip
    StringToHashBucket StringToHashBucketFast StringToHashBucketStrong StringToNumber StringUpper Substr
    TensorStridedSliceUpdate TensorSummary TensorSummaryV2 UnicodeDecode UnicodeDecodeWithOffsets UnicodeEncode
    UnicodeScript UnicodeTranscode UnsortedSegmentJoin
"""

NUMBERS_AND_IMAGES = """
    BlockLSTM BlockLSTMGrad BlockLSTMGradV2 BlockLSTMV2 CTCBeamSearchDecoder CTCGreedyDecoder CTCLoss
    CombinedNonMaxSuppression DrawBoundingBoxesV2 ExtractGlimpse ExtractGlimpseV2 FractionalAvgPoolGrad
    FractionalMaxPoolGrad FusedPadConv2D FusedResizeAndPadConv2D GRUBlockCell GRUBlockCellGrad
    ImageProjectiveTransformV2 ImageProjectiveTransformV3 LSTMBlockCell LSTMBlockCellGrad MaxPoolGradGradV2
    MaxPoolGradV2 MaxPoolGradWithArgmax NonMaxSuppressionV4 NonMaxSuppressionV5 NonMaxSuppressionWithOverlaps
    QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizedAdd QuantizedAvgPool
    QuantizedBatchNormWithGlobalNormalization QuantizedBiasAdd QuantizedConcat QuantizedConv2D QuantizedInstanceNorm
    QuantizedMatMul QuantizedMaxPool QuantizedMul QuantizedResizeBilinear Requantize ScaleAndTranslate
    ScaleAndTranslateGrad TensorArrayConcatV2 _FusedBatchNormEx _FusedConv2D _FusedDepthwiseConv2dNative
    _FusedMatMul
"""

NO_RECIPE = f"{STRINGS_FILES_AND_SPARSE} {NUMBERS_AND_IMAGES}"
not_drawn("no recipe draws valid calls of it yet; its own tests compare it with TensorFlow", *NO_RECIPE.split())


# Calls of which TensorFlow 2 and mgjax make different things.


@dataclass(frozen=True)
class Difference:
    """Some calls of some ops, with the reason why they may differ.

    Attributes:
        ops: the ops.
        reason: why.
        when: which of their calls; by default all.
        only: "refusal" where what may differ is only whether the call is refused, "compiled" where only what is compiled
            differs, "" where both compute and the values may differ too.
    """

    ops: tuple[str, ...]
    reason: str
    when: Callable[[Call], bool] = lambda call: True
    only: str = ""


def is_floating(call: Call) -> bool:
    return any(x.dtype.kind in "fV" for x in call.inputs.values() if isinstance(x, np.ndarray))


def _any(call: Call, name: str, test: Callable[[np.ndarray], np.ndarray]) -> bool:
    return bool(np.any(test(call.inputs[name])))


def _is_pole(x: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return ((x <= 0) & (x == np.floor(x))) | np.isinf(x)


DIFFERENCES: tuple[Difference, ...] = (
    Difference(("TruncateDiv",), "1.15 divides floating numbers without truncating", is_floating),
    Difference(("Round",), "1.15 leaves integers as they are; 2.21 gives zeros", lambda c: not is_floating(c)),
    Difference(
        ("Maximum", "Minimum", "Max", "Min"),
        "a NaN wins in 2; in 1.15 it loses or wins by its place",
        lambda call: any(np.isnan(x).any() for x in call.inputs.values() if x.dtype.kind in "fV"),
    ),
    Difference(
        ("Gather", "GatherV2"),
        "2 takes nothing from an empty array where 1.15 refuses the index",
        lambda call: 0 in call.inputs["params"].shape,
        only="refusal",
    ),
    Difference(("Digamma",), "1.15 gives inf at the poles where 2 gives NaN", lambda call: _any(call, "x", _is_pole)),
    Difference(("Zeta",), "1.15 gives inf at all integers not above 0", lambda call: _any(call, "q", lambda q: q <= 0)),
    Difference(("Polygamma",), "as Zeta, in which it ends", lambda call: _any(call, "x", lambda x: x <= 0)),
    Difference(
        ("AvgPool3D", "MaxPool3D", "AvgPool3DGrad", "MaxPool3DGrad", "MaxPool3DGradGrad"),
        "2 places windows that leave gaps elsewhere than 1.15 does",
        lambda call: (
            call.attrs["padding"] == "SAME"
            and any(s > k for s, k in zip(call.attrs["strides"], call.attrs["ksize"], strict=True))
        ),
    ),
    Difference(("ToBool",), "TensorFlow does not convert every type", only="refusal"),
    Difference(("UnravelIndex",), "1.15 does not check the indices, nor refuses to have none", only="refusal"),
    Difference(
        ("Slice",),
        "a compiled slice takes an axis of size one whole, where its begin is traced and its size -1",
        lambda call: any(call.inputs["size"][i] == -1 and n == 1 for i, n in enumerate(call.inputs["input"].shape)),
        only="compiled",
    ),
)


def differences(call: Call) -> list[Difference]:
    return [row for row in DIFFERENCES if call.op in row.ops and row.when(call)]


# Calls that once differed.


def find(op: str, *inputs: object, **attrs: object) -> Call:
    """A call with inputs in order (arrays, or lists of them), all attrs given or defaults."""
    op_def = op_def_of(op)
    assert op_def is not None, op
    operands = [[np.asarray(x) for x in value] if isinstance(value, list) else np.asarray(value) for value in inputs]
    defaults = {attr.name: attr.default for attr in op_def.attrs.values() if attr.has_default}
    types: dict[str, object] = {}
    for arg, value in zip(op_def.inputs, operands, strict=True):
        first = value[0] if isinstance(value, list) else value
        if arg.type_attr:
            types[arg.type_attr] = dtypes.from_numpy(first.dtype)
        if arg.number_attr:
            types[arg.number_attr] = len(value)
    return Call(
        op, dict(zip([arg.name for arg in op_def.inputs], operands, strict=True)), {**defaults, **types, **attrs}
    )


f32, i32 = np.float32, np.int32

FINDS = (
    find("ConjugateTranspose", np.array([[True, False]]), i32([1, 0])),
    find("AdjustHue", f32([1, 2, 3]), f32(0.5)),
    find("BatchToSpaceND", np.ones((2, 1), f32), i32([1]), i32([[2, 0]])),
    find("SplitV", np.ones((3,), f32), i32([-1]), i32(0), num_split=1),
    find("Betainc", f32([0, 1]), f32([1, np.nan]), f32([0.5, 1])),
    find("Igamma", f32([0, np.nan]), f32([0, 0])),
    find("BiasAdd", np.ones((2, 3), f32), f32([1])),
    find("BiasAddGrad", f32([1])),
    find("ClipByValue", f32([0.25, 5, -5, np.nan]), f32(1.28), f32(-1)),
    find("ApproximateEqual", f32(1), f32([1, 2])),
    find("Mean", np.zeros((0, 4), np.complex64), i32([0])),
    find("Empty", i32([2]), dtype=dtypes.string, init=True),
    find("DataFormatVecPermute", i32([7, 8, 9]), src_format="NDHWC", dst_format="NCDHW"),
    find("ConcatOffset", i32(0), [i32([1, 3]), i32([1, 3, 1])]),
    find("ConcatOffset", i32(0), [i32([1, 3]), i32([1, 4])]),
    find("MirrorPad", f32(2), np.zeros((0, 2), i32), mode="REFLECT"),
    find("MirrorPadGrad", np.ones((10,), f32), i32([[5, 2]]), mode="REFLECT"),
    find("MatrixBandPart", np.ones((2, 3), f32), i32(3), i32(0)),
    find("GatherV2", np.ones((0, 2), f32), np.zeros((0,), i32), i32(1), batch_dims=1),
    find("GatherNd", np.ones((0, 0, 1), f32), np.zeros((1, 0), i32)),
)
