import numpy as np
import pytest

import mgjax.host  # noqa: F401
from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from tests.ops.live import check

SOUND = np.linspace(-1.1, 1.1, 30, dtype=np.float32).reshape(15, 2)


@pytest.mark.parametrize("attrs", [{}, {"desired_channels": 1}, {"desired_samples": 20}, {"desired_samples": 4}])
def test_sounds_there_and_back(attrs):
    (encoded,) = check("EncodeWav", {"audio": SOUND, "sample_rate": np.int32(8000)})
    check("DecodeWav", {"contents": encoded}, attrs)


@pytest.mark.parametrize("contents, message", [(b"OggS", "Header mismatch"), (b"RIFF    WAVE", "without its format")])
def test_what_is_no_wav_file_is_refused(contents, message):
    with pytest.raises(InvalidArgumentError, match=message):
        REGISTRY["DecodeWav"].function(np.array(contents, object))
