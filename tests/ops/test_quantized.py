"""Values recorded from TensorFlow 1.15."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from mgjax import dtypes
from mgjax.ops import REGISTRY

RANGE, OTHER = np.float32([-1, 2]), np.float32([-3, 0.5])
A = np.array([[172, 47, 117, 192], [67, 251, 195, 103], [9, 211, 21, 242]], np.uint8)
B = np.array([[36, 87], [70, 216], [88, 140], [58, 193]], np.uint8)
IMAGE = np.array([230, 39, 87, 174, 88, 81, 165, 25, 77, 72, 9, 148, 115, 208, 243, 197, 254, 79], np.uint8)
IMAGE = IMAGE.reshape(1, 3, 3, 2)
SUMS = np.array([-26865, 33568, 79026, 55747, 8504, -68079], np.int32)
WINDOWS = {"ksize": (1, 2, 2, 1), "strides": (1, 1, 1, 1), "padding": "SAME"}


def run(op, *operands, **attrs):
    first, *ranges = REGISTRY[op].function(*operands, **attrs)
    return first, np.float32(ranges)


def test_a_product_of_matrices_is_of_32_bits():
    product, ranges = run("QuantizedMatMul", A, B, *RANGE, *OTHER)
    assert product.dtype == np.int32
    assert_array_equal(product, [[-31678, -16680], [-38748, -7280], [-21759, 10628]])
    assert_allclose(ranges, [-346767.84375, 346767.84375], rtol=1e-6)
    transposed, _ = run("QuantizedMatMul", A.T, B.T, *RANGE, *OTHER, transpose_a=True, transpose_b=True)
    assert_array_equal(transposed, product)


def test_convolution_pads_with_what_stands_for_zero():
    weights = [243, 29, 147, 147, 142, 167, 32, 193, 9, 185, 127, 32, 31, 202, 244, 151, 163, 254, 203, 114, 183, 28]
    weights = np.array([*weights, 34, 128], np.uint8).reshape(2, 2, 2, 3)
    expected = [-4957, -27003, -23740, -15214, -9754, -8306, 10364, -2498, 297, -29746, -53884, -9354, -26064, -26892]
    expected += [7763, -37724, 7052, 6211, -41490, -29583, -62680, -35671, -42486, -51568, 4488, -31648, -11856]
    found, ranges = run("QuantizedConv2D", IMAGE, weights, *RANGE, *OTHER, strides=(1, 1, 1, 1), padding="SAME")
    assert_array_equal(found.ravel(), expected)
    assert_allclose(ranges, [-346767.84375, 346767.84375], rtol=1e-6)


def test_pooling_keeps_the_range():
    found, ranges = run("QuantizedMaxPool", IMAGE, *RANGE, **WINDOWS)
    expected = [230, 174, 88, 174, 88, 148, 243, 208, 254, 197, 254, 148, 243, 208, 254, 197, 254, 79]
    assert_array_equal(found.ravel(), expected)
    assert_array_equal(ranges, RANGE)
    found, _ = run("QuantizedAvgPool", IMAGE, *RANGE, **WINDOWS)
    expected = [139, 77, 65, 118, 48, 114, 150, 125, 145, 124, 131, 113, 179, 202, 248, 138, 254, 79]
    assert_array_equal(found.ravel(), expected)


def test_rectifiers_limit_to_what_stands_for_zero_and_six():
    found, _ = run("QuantizedRelu", IMAGE, *RANGE)
    assert_array_equal(found, np.maximum(IMAGE, 85))
    found, _ = run("QuantizedRelu6", IMAGE, np.float32(-1), np.float32(20))
    assert_array_equal(found, np.clip(IMAGE, 12, 85))


def test_a_bias_is_added_in_a_wider_range():
    bias = np.array([10, 200], np.uint8)
    found, ranges = run("QuantizedBiasAdd", IMAGE, bias, *RANGE, *np.float32([-0.5, 0.7]), out_type=dtypes.qint32)
    expected = [10274, -809, -3508, 12202, -3412, 3238, 4009, -2159, -4472, 2371, -11026, 9696, -810, 15478, 11526]
    assert_array_equal(found.ravel(), [*expected, 14418, 12587, 3046])
    assert_array_equal(ranges, [-262144, 262144])


def test_a_product_of_elements_is_of_32_bits():
    found, _ = run("QuantizedMul", np.array([10, 200], np.uint8), np.array([10, 200], np.uint8), *RANGE, *OTHER)
    assert_array_equal(found, [15675, -2185])


def test_sums_are_made_small_in_the_range_that_they_use():
    wide = np.float32([-1000, 1000])
    used = np.float32([-0.031701524, 0.036799584])
    assert_allclose(REGISTRY["RequantizationRange"].function(SUMS, *wide), used, rtol=1e-6)
    found, ranges = run("QuantizeDownAndShrinkRange", SUMS, *wide, out_type=dtypes.quint8)
    assert_allclose(ranges, used, rtol=1e-6)
    # TensorFlow computes these in fixed point of 16 bits, which is off by one in places.
    assert_allclose(found.astype(int), [71, 176, 255, 215, 133, 0], atol=1)
    found, _ = run("Requantize", SUMS, *wide, *np.float32([-0.05, 0.04]), out_type=dtypes.quint8)
    assert_allclose(found.astype(int), [106, 186, 246, 215, 153, 52], atol=1)


def test_joined_tensors_share_a_range():
    found, ranges = run("QuantizedConcat", np.int32(0), [A, A], list(np.float32([-1, -2])), list(np.float32([2, 1])))
    first = [[193, 100, 152, 208], [115, 253, 211, 141], [71, 223, 80, 246]]
    second = [[130, 36, 88, 145], [51, 189, 147, 78], [7, 159, 16, 182]]
    assert_array_equal(found, first + second)
    assert_array_equal(ranges, [-2, 2])


def test_another_shape_keeps_the_range():
    found, ranges = run("QuantizedReshape", A, np.array([2, -1]), *RANGE)
    assert_array_equal(found, A.reshape(2, 6))
    assert_array_equal(ranges, RANGE)
