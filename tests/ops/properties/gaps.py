"""What the properties do not cover, each row with its reason; and calls that once differed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mgjax import dtypes, host  # noqa: F401  (`host` registers its ops)
from mgjax.opdefs import Arg
from mgjax.ops import REGISTRY
from tests.ops.properties.kernels import kernels_of, op_def_of
from tests.ops.properties.processes import IN_1_15
from tests.ops.properties.recipes import Call, variables_of
from tests.ops.properties.texts import text

# Lowerings of which no calls are drawn.

NOT_DRAWN: dict[str, str] = {}


def not_drawn(reason: str, *ops: str) -> None:
    NOT_DRAWN.update(dict.fromkeys(ops, reason))


def _is_handle(arg: Arg) -> bool:
    # The oldest arrays of tensors have strings for handles.
    return arg.is_ref or arg.dtype in (dtypes.resource, dtypes.variant) or arg.name == "handle"


for op in REGISTRY:
    op_def, lowering = op_def_of(op), REGISTRY[op]
    if op_def is None:
        not_drawn("TensorFlow 2 has no such op; the recorded runs of 1.15 have it", op)
    elif not kernels_of(op):
        not_drawn("TensorFlow 2 has no CPU kernel for it; the recorded runs of 1.15 have it", op)
    elif any(_is_handle(arg) for arg in op_def.inputs if arg not in variables_of(op)):
        not_drawn(
            "takes a handle of what is no variable: it means something only in a graph, as its own tests have it", op
        )
    elif any(_is_handle(arg) and not (arg.is_ref and lowering.writes) for arg in op_def.outputs):
        not_drawn("gives a handle or a reference: it means something only in a graph, as its own tests have it", op)
    elif lowering.hidden != (("generator",) if lowering.draws else ()) or lowering.effect:
        not_drawn("acts on files, prints, or takes what only a run gives: drawn names would be opened", op)
    elif op_def.is_stateful and lowering.host:
        not_drawn("acts on the world: its own tests have it", op)
    elif lowering.draws or lowering.function.__module__.startswith("mgjax.ops.random"):
        not_drawn("random: its streams are compared number by number in its own tests", op)


not_drawn(
    "TensorFlow 2's plain CPU kernel gives an empty array",
    "_FusedBatchNormEx", "_FusedDepthwiseConv2dNative",
)  # fmt: skip

not_drawn("takes what a TemporaryVariable gave: it means something only in a graph", "DestroyTemporaryVariable")

# Lowerings that no recipe draws valid calls of, to which recipes are to be added.

STRINGS_FILES_AND_SPARSE = """
    Assert AudioSpectrogram AudioSummary AudioSummaryV2 CheckNumerics CheckNumericsV2 ComputeAccidentalHits Const ControlTrigger
    DecodeAndCropJpeg DecodeBmp DecodeCSV DecodeCompressed DecodeGif DecodeJSONExample DecodeJpeg DecodePaddedRaw
    DecodePng DecodeRaw DecodeWav DeserializeManySparse DeserializeSparse EncodeJpeg EncodeJpegVariableQuality
    EncodePng EncodeWav ExtractJpegShape Fact GenerateVocabRemapping HistogramSummary ImageSummary
    LoadAndRemapMatrix MergeSummary Mfcc NearestNeighbors NoOp ParseExample ParseExampleV2 ParseSequenceExample
    ParseSingleExample ParseSingleSequenceExample ParseTensor Print PrintV2 ScalarSummary SerializeManySparse
    SerializeSparse SerializeTensor TensorSummary TensorSummaryV2
"""

NUMBERS_AND_IMAGES = "SdcaOptimizer SdcaOptimizerV2"

NO_RECIPE = f"{STRINGS_FILES_AND_SPARSE} {NUMBERS_AND_IMAGES}"
not_drawn("no recipe draws valid calls of it yet; its own tests compare it with TensorFlow", *NO_RECIPE.split())


not_drawn("waits for other runs; its own tests have what a run alone sees", "Batch", "Unbatch", "UnbatchGrad")
not_drawn(
    "an error in one call makes TensorFlow refuse all further ones; its own tests have it",
    "CollectiveReduce",
    "CollectiveGather",
    "CollectiveBcastSend",
    "CollectiveBcastRecv",
)
not_drawn(
    "the recorded runs of 1.15 have it, draw by draw and length by length",
    "KmeansPlusPlusInitialization",
    "KMC2ChainInitialization",
    "SdcaFprint",
)


DRAWN = [op for op in REGISTRY if op not in NOT_DRAWN]


# Ops of which no batch is compared with a loop, and those of which derivatives are not compared.

NOT_BATCHED: dict[str, str] = {}
NOT_DERIVED: dict[str, str] = {
    "ImageProjectiveTransformV2": "TensorFlow resamples the gradient by the inverse transform, which is no derivative",
    "ImageProjectiveTransformV3": "TensorFlow resamples the gradient by the inverse transform, which is no derivative",
    "SparseDenseCwiseAdd": "TensorFlow refuses to derive it",
    "DebugGradientIdentity": "its gradient serves TensorFlow's debugger",
    **dict.fromkeys(
        ("TruncateDiv", "FloorDiv", "Round", "Rint", "Floor", "Ceil", "ArgMax", "ArgMin"),
        "TensorFlow's registered gradient says that it has none",
    ),
    "PreventGradient": "TensorFlow refuses to derive it, and so does its lowering",
}


for op in DRAWN:
    lowering = REGISTRY[op]
    if lowering.host:
        NOT_BATCHED[op] = "runs on the host, with values that are known"
    elif set(lowering.parameters) <= lowering.statics:
        NOT_BATCHED[op] = "all its operands are known while tracing"


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
        in_1_15: whether it is 1.15 that differs from mgjax, instead of the live TensorFlow.
    """

    ops: tuple[str, ...]
    reason: str
    when: Callable[[Call], bool] = lambda call: True
    only: str = ""
    in_1_15: bool = False


def is_floating(call: Call) -> bool:
    return any(x.dtype.kind in "fV" for x in call.inputs.values() if isinstance(x, np.ndarray))


def _any(call: Call, name: str, test: Callable[[np.ndarray], np.ndarray]) -> bool:
    return bool(np.any(test(call.inputs[name])))


def _says(call: Call, name: str, *pieces: bytes) -> bool:
    """Whether any of the strings holds one of the pieces."""
    return any(piece in text for text in np.ravel(call.inputs[name]) for piece in pieces)


def _rewrite(call: Call) -> bytes:
    given = call.inputs["rewrite"][()] if "rewrite" in call.inputs else call.attrs["rewrite"]
    return given if isinstance(given, bytes) else given.encode()


def _is_shown_otherwise(array: np.ndarray) -> bool:
    """Whether 2 prints an array otherwise than 1.15."""
    return array.size == 0 or array.dtype.kind in "cV" or array.dtype == bool


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
    *(
        Difference(
            ("FusedPadConv2D", "FusedResizeAndPadConv2D"),
            "TensorFlow takes rows of the first image, which it keeps, for those of the others",
            lambda call: call.inputs["input"].shape[0] > 1,
            in_1_15=in_1_15,
        )
        for in_1_15 in (False, True)
    ),
    Difference(
        ("FractionalMaxPoolGrad", "FractionalAvgPoolGrad"),
        "2 refuses windows of one element each, that is images which are not pooled",
        only="refusal",
    ),
    Difference(
        ("ImageProjectiveTransformV3",),
        "of the fill modes of 2, mgjax has the one of 1.15",
        lambda call: call.attrs["fill_mode"] != "CONSTANT",
        only="refusal",
    ),
    *(
        Difference(
            ("QuantizeAndDequantize", "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4"),
            "of unsigned steps for negative numbers alone TensorFlow finds no scale, and multiplies by the greatest number",
            lambda call: not call.attrs["signed_input"] and bool(np.all(call.inputs["input"] < 0)),
            in_1_15=in_1_15,
        )
        for in_1_15 in (False, True)
    ),
    Difference(
        ("QuantizeAndDequantizeV3",),
        "2 refuses an axis of a scalar, though it is the default, which stands for none",
        lambda call: not call.inputs["input"].shape,
        only="refusal",
    ),
    Difference(
        ("QuantizedAdd", "QuantizedBiasAdd"),
        "sums of 32 bits pass through float32, whose steps are wider there, in another order",
        lambda call: any(call.attrs.get(name) == dtypes.qint32 for name in ("Toutput", "out_type")),
    ),
    Difference(
        ("Requantize", "QuantizeDownAndShrinkRange", "QuantizedConcat"),
        "TensorFlow steps through fixed-point numbers, which end a step beside, and overflow where a range is narrow",
    ),
    Difference(
        ("QuantizedBatchNormWithGlobalNormalization",),
        "2 refuses statistics of a single channel",
        lambda call: call.inputs["m"].size == 1,
        only="refusal",
    ),
    Difference(("ToBool",), "TensorFlow does not convert every type", only="refusal"),
    Difference(("UnravelIndex",), "1.15 does not check the indices, nor refuses to have none", only="refusal"),
    Difference(
        ("Substr",),
        "2 does not leave out axes of size one before it counts those to broadcast",
        lambda call: call.inputs["pos"].shape not in ((), call.inputs["input"].shape),
        only="refusal",
    ),
    Difference(
        ("StringToNumber",),
        "2 takes forms of numbers that 1.15 does not",
        lambda call: _says(call, "string_tensor", b"+", b"x", b"X", b"n", b"N"),
        only="refusal",
    ),
    Difference(
        ("StringFormat",),
        "2 prints what is empty, complex, bfloat16 or bool otherwise",
        lambda call: any(map(_is_shown_otherwise, call.inputs["inputs"])) or not call.attrs["summarize"],
    ),
    Difference(
        ("RegexReplace", "StaticRegexReplace"),
        "2 leaves a text as it is where the pattern lacks a group; in 1.15 that is empty",
        lambda call: bool(re.search(rb"\\[1-9]", _rewrite(call))),
    ),
    Difference(
        ("RegexReplace", "StaticRegexReplace", "RegexFullMatch", "StaticRegexFullMatch"),
        "for 2 there are characters beyond the last of Unicode",
        lambda call: _says(call, "input", b"\xf4\x90"),
    ),
    Difference(
        ("UnicodeEncode",),
        "2 replaces lone surrogates, and checks splits of nothing",
        lambda call: (
            not len(call.inputs["input_values"])
            or _any(call, "input_values", lambda points: (points >= 0xD800) & (points < 0xE000))
        ),
    ),
    Difference(
        ("SparseTensorDenseMatMul",),
        "2 conjugates its first operand",
        lambda call: call.attrs["adjoint_a"] and call.inputs["a_values"].dtype.kind == "c",
    ),
    Difference(
        ("SparseDenseCwiseDiv",),
        "2 refuses zeros; 1.15 divides numbers of floating point by them, and ends the process of integers",
        lambda call: _any(call, "dense", lambda x: x == 0),
    ),
    Difference(("SparseSplit",), "2 counts a negative axis from the end", lambda call: call.inputs["split_dim"] < 0),
    Difference(
        ("StridedSliceAssign", "ResourceStridedSliceAssign", "TensorStridedSliceUpdate"),
        "2 lets one element fill the slice; 1.15 refuses it",
        lambda call: call.inputs["value"].size == 1,
        only="refusal",
        in_1_15=True,
    ),
    Difference(
        ("Slice",),
        "a compiled slice takes an axis of size one whole, where its begin is traced and its size -1",
        lambda call: any(call.inputs["size"][i] == -1 and n == 1 for i, n in enumerate(call.inputs["input"].shape)),
        only="compiled",
    ),
)


def differences(call: Call) -> list[Difference]:
    return [row for row in DIFFERENCES if call.op in row.ops and row.in_1_15 == IN_1_15 and row.when(call)]


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
    find("StringLower", text(b"\nB\x00_"), encoding="utf-8"),
    find("StringLength", text(b"\x80\xef\xbf\xbd"), unit="UTF8_CHAR"),
    find("Substr", text(b",  "), i32(0), i32(-1), unit="BYTE"),
    find("Substr", text("é☃".encode()), i32(-1), i32(-1), unit="UTF8_CHAR"),
    find("AsString", np.uint64(7), width=12, fill="+"),
    find("AsString", np.array(True), scientific=True),
    find("AsString", text(b"abc"), width=5, precision=1),
    find("AsString", f32([np.nan, -np.nan, np.inf]), width=6, fill="0"),
    find("Cast", i32([1]), DstT=dtypes.string),
    find("Bucketize", i32([1]), boundaries=(2.0, 1.0)),
    find("SparseSoftmaxCrossEntropyWithLogits", f32([[1]]), i32(0)),
    find("StringSplit", np.array([b"a"], object), np.array([b","], object)),
    find("RaggedTensorToSparse", [np.int64([0, 2]), np.int64([0, 1])], i32([5])),
    find("DecodeBase64", text(b"gA=")),
    find("StringToNumber", text(b"-0"), out_type=dtypes.uint32),
    find("StringToNumber", text(b"1.000000059604644775390626"), out_type=dtypes.float32),
    find("ReduceJoin", text(b""), i32(0)),
    find("UnsortedSegmentJoin", np.zeros((0,), object), np.zeros((0,), i32), i32(0)),
    find("UnsortedSegmentJoin", np.array([b"", b"a"], object), i32([0, 0]), i32(1), separator=", "),
    find("UnsortedSegmentJoin", np.array([b"a", b"b"], object), i32([-1, 1]), i32(2)),
    find(
        "StringNGrams",
        np.zeros((0,), object),
        i32([0, 0]),
        separator="",
        ngram_widths=(2,),
        left_pad="L",
        right_pad="R",
        pad_width=1,
        preserve_short_sequences=True,
    ),
    find(
        "StringFormat",
        [f32([[1, 2], [3, 4]]), i32(5)],
        T=(dtypes.float32, dtypes.int32),
        template="%s, %s",
        summarize=0,
    ),
    find("StringFormat", [np.zeros((3, 0, 2), f32)], T=(dtypes.float32,), template="%s"),
    find(
        "UnicodeDecode",
        text(b"a\x1f"),
        input_encoding="UTF-8",
        errors="strict",
        replace_control_characters=True,
        Tsplits=dtypes.int64,
    ),
    find("StaticRegexFullMatch", text(b""), pattern=r"\B"),
    find("StaticRegexFullMatch", text(b"\xffab"), pattern=r"\D[ab]{1,}"),
    find("StaticRegexFullMatch", text(b"ab"), pattern=r"ab(?=c)"),
    find("StaticRegexFullMatch", text("αβ".encode()), pattern=r"\p{Greek}*^?|\Qa.b\E"),
    find("StaticRegexReplace", text("Kelvin \u212a".encode()), pattern="a|(?i)k", rewrite=r"[\0]"),
    find("StaticRegexReplace", text(b"zz top"), pattern=" {1,}", rewrite="\\", replace_global=True),
    find("StaticRegexReplace", text("éa".encode()), pattern="x*", rewrite="-"),
    find("SparseDenseCwiseAdd", np.zeros((0, 3), np.int64), np.zeros((0,), f32), np.int64([0, 4, 1]), f32([[[1]]])),
    find("SparseReshape", np.int64([[0, 0, 2], [1, 2, 0]]), np.int64([2, 2, 2]), np.int64([2, 2, -1])),
    find("SparseReshape", np.int64([[0, 9]]), np.int64([1, 1]), np.int64([1, 1, 1])),
    find("SparseSliceGrad", f32([]), np.int64([[2]]), np.int64([1]), np.zeros((0, 1), np.int64)),
    find("SparseReduceSumSparse", np.int64([[0]]), np.int16([-9]), np.int64([4]), np.zeros((0,), i32)),
    find("SparseSlice", np.int64([[0]]), f32([1]), np.int64([1]), np.int64([0]), np.int64([-1])),
    find("SetSize", np.int64([[1, 1], [0, 1]]), i32([1, 2]), np.int64([2, 3])),
    find(
        "EditDistance",
        np.zeros((0, 1), np.int64),
        i32([]),
        np.int64([0]),
        np.zeros((0, 1), np.int64),
        i32([]),
        np.int64([1]),
    ),
)
