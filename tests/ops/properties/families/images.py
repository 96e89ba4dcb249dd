"""Images: resizing, cropping, colours, blocks, boxes."""

import numpy as np

from mgjax import dtypes
from tests.ops.properties.comparison import relative, ulps
from tests.ops.properties.recipes import Recipe, family

SOME = {"T": (dtypes.float32, dtypes.float64, dtypes.uint8, dtypes.int32)}


def pixels(recipe: Recipe) -> None:
    """Of the two ways to place pixels, at most one."""
    if recipe.call.attrs.get("half_pixel_centers"):
        recipe.set(align_corners=False)


@family("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", bound=relative(60), types=SOME)
def resize(recipe: Recipe) -> None:
    pixels(recipe)
    recipe.input("images", recipe.shape(4, 4, sizes=(1, 2, 3, 5)), flavor="plain")
    recipe.give("size", [recipe.integer(0 if recipe.rarely() else 1, 6) for _ in range(2)])


FLOATS = {"T": (dtypes.float32, dtypes.float64)}


# Of float64 each product is a float32 in TensorFlow, and their order decides.
@family("ResizeBilinearGrad", "ResizeBicubicGrad", bound=relative(60), types={"T": (dtypes.float32,)})
def resize_grad(recipe: Recipe) -> None:
    pixels(recipe)
    batch, *_, channels = shape = recipe.shape(4, 4, sizes=(1, 2, 3, 5))
    recipe.input("grads", shape, flavor="plain")
    recipe.input("original_image", (batch, recipe.integer(1, 5), recipe.integer(1, 5), channels), flavor="plain")


@family("ResizeNearestNeighborGrad", bound=relative(60), types=FLOATS)
def resize_nearest_neighbor_grad(recipe: Recipe) -> None:
    pixels(recipe)
    recipe.input("grads", recipe.shape(4, 4, sizes=(1, 2, 3, 5)), flavor="plain")
    recipe.give("size", [recipe.integer(1, 6) for _ in range(2)])


def boxes(recipe: Recipe, count: int) -> np.ndarray:
    return recipe.rng.uniform(-0.2, 1.2, (count, 4)).astype(np.float32)


@family("CropAndResize", bound=relative(60), types=SOME, extrapolation_value=0.25)
def crop_and_resize(recipe: Recipe) -> None:
    shape, count = recipe.shape(4, 4, sizes=(1, 2, 3, 5)), recipe.integer(0, 3)
    recipe.input("image", shape, flavor="plain")
    recipe.give("boxes", boxes(recipe, count))
    recipe.give("box_ind", recipe.uniform(dtypes.int32, (count,), 0, shape[0] - 1))
    recipe.give("crop_size", [recipe.integer(1, 4) for _ in range(2)])


@family("CropAndResizeGradImage", bound=relative(60), types=FLOATS)
def crop_and_resize_grad_image(recipe: Recipe) -> None:
    batch, *_, channels = shape = recipe.shape(4, 4, sizes=(1, 2, 3))
    count = recipe.integer(1, 3)
    recipe.input("grads", (count, *shape[1:]), flavor="plain")
    recipe.give("boxes", boxes(recipe, count))
    recipe.give("box_ind", recipe.uniform(dtypes.int32, (count,), 0, batch - 1))
    recipe.give("image_size", [batch, recipe.integer(1, 5), recipe.integer(1, 5), channels])


@family("CropAndResizeGradBoxes", bound=relative(200), types={"T": (dtypes.float32,)}, method="bilinear")
def crop_and_resize_grad_boxes(recipe: Recipe) -> None:
    shape, count = recipe.shape(4, 4, sizes=(2, 3, 5)), recipe.integer(1, 3)
    recipe.input("grads", (count, recipe.integer(2, 3), recipe.integer(2, 3), shape[-1]), flavor="plain")
    recipe.input("image", shape, flavor="plain")
    recipe.give("boxes", boxes(recipe, count))
    recipe.give("box_ind", recipe.uniform(dtypes.int32, (count,), 0, shape[0] - 1))


@family("RGBToHSV", "HSVToRGB", bound=relative(40))
def colors(recipe: Recipe) -> None:
    shape = (*recipe.shape(0, 3), 3)
    recipe.give("images", recipe.uniform(recipe.dtype("images"), shape, 0, 1))


@family("AdjustHue", "AdjustSaturation", bound=relative(200), types={"T": (dtypes.float32,)})
def adjust_color(recipe: Recipe) -> None:
    recipe.give("images", recipe.uniform(dtypes.float32, (*recipe.shape(1, 3), 3), 0, 1))
    name = recipe.op_def.inputs[1].name
    recipe.give(name, recipe.rng.uniform(-1 if name == "delta" else 0, 1))


@family("AdjustContrastv2", bound=relative(60), types={"T": (dtypes.float32,)})
def adjust_contrast(recipe: Recipe) -> None:
    recipe.input("images", recipe.shape(3, 4, sizes=(1, 2, 3)), flavor="plain")
    recipe.give("contrast_factor", recipe.rng.uniform(0, 2))


@family("AdjustContrast", bound=relative(60))
def adjust_contrast_within(recipe: Recipe) -> None:
    recipe.input("images", recipe.shape(3, 4, sizes=(1, 2, 3)), flavor="plain")
    recipe.give("contrast_factor", recipe.rng.uniform(0, 2))
    recipe.give("min_value", -4)
    recipe.give("max_value", 6)


@family("DrawBoundingBoxes", bound=ulps(0), types=FLOATS)
def draw_bounding_boxes(recipe: Recipe) -> None:
    batch = recipe.integer(1, 2)
    shape = (batch, recipe.integer(2, 6), recipe.integer(2, 6), recipe.choice([1, 3, 4]))
    recipe.input("images", shape, flavor="plain")
    recipe.give("boxes", np.stack([boxes(recipe, 2) for _ in range(batch)]))


@family("ExtractImagePatches")
def extract_image_patches(recipe: Recipe) -> None:
    recipe.input("images", recipe.shape(4, 4, sizes=(1, 3, 5)))
    for name in ("ksizes", "strides", "rates"):
        recipe.set(**{name: (1, recipe.integer(1, 2), recipe.integer(1, 2), 1)})


@family("ExtractVolumePatches", types=FLOATS)
def extract_volume_patches(recipe: Recipe) -> None:
    recipe.input("input", recipe.shape(5, 5, sizes=(1, 2, 3)))
    for name in ("ksizes", "strides"):
        recipe.set(**{name: (1, *(recipe.integer(1, 2) for _ in range(3)), 1)})


@family("SpaceToDepth", "DepthToSpace", data_format="NHWC")
def space_depth(recipe: Recipe) -> None:
    block, (batch, rows, columns, depth) = recipe.integer(2, 3), recipe.shape(4, 4, sizes=(1, 2))
    recipe.set(block_size=block)
    off = recipe.rarely()
    if recipe.call.op == "SpaceToDepth":
        recipe.input("input", (batch, rows * block + off, columns * block, depth))
    else:
        recipe.input("input", (batch, rows, columns, depth * block * block + off))


@family("SpaceToBatchND", "BatchToSpaceND")
def space_batch_nd(recipe: Recipe) -> None:
    rank = recipe.integer(1, 2)
    block = [recipe.integer(1, 2) for _ in range(rank)]
    pads = [[recipe.integer(0, 2), recipe.integer(0, 2)] for _ in range(rank)]
    batch, rest = recipe.integer(1, 2), recipe.shape(0, 1, sizes=(1, 2))
    recipe.give("block_shape", np.array(block))
    if recipe.call.op == "SpaceToBatchND":
        sizes = [max(b * recipe.integer(1, 3) + recipe.rarely() - sum(p), 0) for b, p in zip(block, pads, strict=True)]
        recipe.give("paddings", np.array(pads))
        recipe.input("input", (batch, *sizes, *rest))
    else:
        recipe.give("crops", np.array(pads))
        recipe.input("input", (batch * int(np.prod(block)), *(recipe.integer(1, 4) for _ in block), *rest))


@family("SpaceToBatch", "BatchToSpace")
def space_batch(recipe: Recipe) -> None:
    block, pads = recipe.integer(2, 3), [[recipe.integer(0, 1), recipe.integer(0, 1)] for _ in range(2)]
    batch, depth = recipe.integer(1, 2), recipe.integer(1, 2)
    recipe.set(block_size=block)
    if recipe.call.op == "SpaceToBatch":
        recipe.give("paddings", np.array(pads))
        recipe.input("input", (batch, *(block * recipe.integer(1, 2) + 2 * block - sum(p) for p in pads), depth))
    else:
        recipe.give("crops", np.array(pads))
        recipe.input("input", (batch * block * block, recipe.integer(1, 3), recipe.integer(1, 3), depth))


@family("NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3")
def non_max_suppression(recipe: Recipe) -> None:
    count = recipe.integer(0, 5)
    corners = recipe.rng.uniform(0, 1, (count, 4))
    recipe.give("boxes", corners)
    recipe.give("scores", recipe.rng.permutation(count) - 1.0)
    recipe.give("max_output_size", recipe.integer(0, 4))
    if "iou_threshold" in recipe.call.attrs:
        recipe.set(iou_threshold=0.3)
    else:
        recipe.give("iou_threshold", 0.3)
    if recipe.call.op.endswith("V3"):
        recipe.give("score_threshold", 0.5)


@family("DrawBoundingBoxesV2", types={"T": (dtypes.float32,)})
def draw_bounding_boxes_v2(recipe: Recipe) -> None:
    draw_bounding_boxes(recipe)
    depth = recipe.call.inputs["images"].shape[-1]
    recipe.give("colors", recipe.rng.uniform(0, 1, (recipe.integer(0, 3), depth)))


# Noise is random: a glimpse that leaves the image is filled with it, unless it is zero or one value.
@family("ExtractGlimpse", "ExtractGlimpseV2", uniform_noise=False, noise="zero")
def extract_glimpse(recipe: Recipe) -> None:
    batch, rows, columns, depth = recipe.integer(1, 2), recipe.integer(3, 6), recipe.integer(3, 6), recipe.integer(1, 2)
    recipe.input("input", (batch, rows, columns, depth), flavor="plain")
    recipe.give("size", [recipe.integer(1, 3) for _ in range(2)])
    recipe.give("offsets", recipe.rng.uniform(-1, 1, (batch, 2)) * (1 if recipe.attr("normalized") else 3))


PROJECTED = (dtypes.uint8, dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64)


@family(
    "ImageProjectiveTransformV2", "ImageProjectiveTransformV3", bound=relative(100), types={"dtype": PROJECTED},
    fill_mode="CONSTANT",
)  # fmt: skip
def projective_transform(recipe: Recipe) -> None:
    recipe.set(interpolation=recipe.choice(["NEAREST", "BILINEAR"]))
    shape = (recipe.integer(1, 2), recipe.integer(2, 5), recipe.integer(2, 5), recipe.integer(1, 2))
    recipe.input("images", shape, flavor="small")
    identity = np.array([1, 0, 0, 0, 1, 0, 0, 0])
    spread = np.array([0.4, 0.3, 1, 0.3, 0.4, 1, 0.02, 0.02])
    rows = recipe.choice([1, shape[0]])
    recipe.give("transforms", identity + spread * recipe.rng.uniform(-1, 1, (rows, 8)))
    recipe.give("output_shape", [recipe.integer(1, 5) for _ in range(2)])
    if recipe.call.op.endswith("V3"):
        recipe.set(fill_mode=recipe.choice(["CONSTANT", "REFLECT", "WRAP", "NEAREST"]))
        recipe.give("fill_value", recipe.choice([0.0, 1.0]))


KERNELS = ("lanczos1", "lanczos3", "lanczos5", "gaussian", "box", "triangle", "keyscubic", "mitchellcubic")


@family("ScaleAndTranslate", "ScaleAndTranslateGrad", bound=relative(200), types=SOME)
def scale_and_translate(recipe: Recipe) -> None:
    recipe.set(kernel_type=recipe.choice(KERNELS))
    # Few shapes, since for each of them loops are compiled.
    (batch, rows, columns, depth), size = recipe.choice([((2, 4, 5, 2), (3, 6)), ((1, 1, 3, 1), (2, 2))])
    if recipe.call.op == "ScaleAndTranslate":
        recipe.input("images", (batch, rows, columns, depth), flavor="plain")
        recipe.give("size", size)
    else:
        recipe.input("grads", (batch, *size, depth), flavor="plain")
        recipe.input("original_image", (batch, rows, columns, depth), flavor="plain")
    recipe.give("scale", recipe.rng.uniform(0.3, 3, 2))
    recipe.give("translation", recipe.rng.uniform(-3, 3, 2))


def suppressed(recipe: Recipe, **scalars: float) -> None:
    count = recipe.integer(0, 6)
    recipe.give("scores", (recipe.rng.permutation(count) - 1.0) / 4)
    recipe.give("max_output_size", recipe.integer(0, 5))
    for name, value in scalars.items():
        recipe.give(name, value)
    if "boxes" in [arg.name for arg in recipe.op_def.inputs]:
        recipe.give("boxes", recipe.rng.uniform(0, 1, (count, 4)))
    else:
        overlaps = recipe.rng.uniform(0, 1, (count, count))
        recipe.give("overlaps", (overlaps + overlaps.T) / 2)


@family("NonMaxSuppressionV4", types={"T": (dtypes.float32,), "T_threshold": (dtypes.float32,)})
def non_max_suppression_v4(recipe: Recipe) -> None:
    suppressed(recipe, iou_threshold=recipe.rng.uniform(0, 1), score_threshold=0.1)


@family("NonMaxSuppressionV5", bound=relative(40), types={"T": (dtypes.float32,)})
def non_max_suppression_v5(recipe: Recipe) -> None:
    sigma = recipe.choice([0.0, 0.5])
    suppressed(recipe, iou_threshold=recipe.rng.uniform(0, 1), score_threshold=0.1, soft_nms_sigma=sigma)


@family("NonMaxSuppressionWithOverlaps")
def non_max_suppression_with_overlaps(recipe: Recipe) -> None:
    suppressed(recipe, overlap_threshold=recipe.rng.uniform(0, 1), score_threshold=0.1)


@family("CombinedNonMaxSuppression")
def combined_non_max_suppression(recipe: Recipe) -> None:
    batch, count, classes = recipe.integer(1, 2), recipe.integer(1, 5), recipe.integer(1, 3)
    corners = recipe.rng.uniform(-0.2, 1.2, (batch, count, recipe.choice([1, classes]), 4))
    recipe.give("boxes", np.concatenate([np.minimum(*(c := np.split(corners, 2, -1))), np.maximum(*c)], -1))
    recipe.give("scores", recipe.rng.permutation(batch * count * classes).reshape(batch, count, classes) / 30)
    recipe.give("max_output_size_per_class", recipe.integer(1, 4))
    recipe.give("max_total_size", recipe.integer(1, 6))
    recipe.give("iou_threshold", recipe.rng.uniform(0, 1))
    recipe.give("score_threshold", 0.2)
