import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax.errors import UnsupportedError
from mgjax.ops import REGISTRY
from tests.host.test_jpeg import picture
from tests.ops.live import check


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("height, width", [(64, 48), (37, 51), (8, 8), (1, 1), (17, 3), (9, 24)])
def test_files_are_tensorflows_byte_for_byte(height, width, channels):
    check("EncodeJpeg", {"image": picture(height, width, channels)})


@pytest.mark.parametrize("attrs", [{"quality": 30}, {"quality": 100}, {"chroma_downsampling": False}])
def test_quality_and_sampling_may_be_chosen(attrs):
    check("EncodeJpeg", {"image": picture(37, 51, 3)}, attrs)


def test_density_may_be_chosen():
    check("EncodeJpeg", {"image": picture(8, 8, 1)}, {"density_unit": "cm", "x_density": 10, "y_density": 20})


def test_progressive_files_are_not_written():
    with pytest.raises(UnsupportedError, match="progressive"):
        REGISTRY["EncodeJpeg"].function(np.zeros([8, 8, 1], np.uint8), progressive=True)
