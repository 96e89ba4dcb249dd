import numpy as np
import pytest

from mgjax import dtypes
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check, random_array

SUFFIX = {1: "", 2: "2D", 3: "3D"}
# Sums of up to 60 elements of both signs: absolute, as coefficients may cancel.
ATOL = {np.complex64: 2e-4, np.complex128: 1e-11}


@pytest.mark.parametrize("dtype", ATOL)
@pytest.mark.parametrize("rank", SUFFIX)
@pytest.mark.parametrize("inverse", ["", "I"])
def test_complex_transforms(inverse, rank, dtype):
    shape = (2, 3, 4, 5)[-rank - 1 :]
    check(f"{inverse}FFT{SUFFIX[rank]}", {"input": random_array(dtype, shape)}, atol=ATOL[dtype])


@pytest.mark.parametrize("change", [-1, 0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rank", SUFFIX)
def test_real_transforms_crop(rank, dtype, change):
    shape = (2, 3, 4, 6)[-rank - 1 :]
    length = np.array(shape[1:], np.int32) + change
    wide = np.complex64 if dtype == np.float32 else np.complex128
    inputs = {"input": random_array(dtype, shape), "fft_length": length}
    coefficients = check(f"RFFT{SUFFIX[rank]}", inputs, {"Tcomplex": dtypes.from_numpy(wide)}, atol=ATOL[wide])[0]
    inputs = {"input": coefficients, "fft_length": length}
    check(f"IRFFT{SUFFIX[rank]}", inputs, {"Treal": dtypes.from_numpy(dtype)}, atol=ATOL[wide])


def test_empty_batches():
    check("FFT", {"input": np.zeros((0, 4), np.complex64)})
    check("RFFT", {"input": np.zeros((0, 4), np.float32), "fft_length": [4]})
    check("IRFFT", {"input": np.zeros((0, 3), np.complex64), "fft_length": [4]})


def test_too_few_axes_are_refused():
    with pytest.raises(InvalidArgumentError, match="rank of at least 2"):
        REGISTRY["FFT2D"].function(np.zeros(4, np.complex64))
