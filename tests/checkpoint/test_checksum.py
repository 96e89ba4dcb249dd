"""CRC-32C against the check values of RFC 3720 (B.4) and a bit-by-bit division."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgjax.checkpoint import checksum as module
from mgjax.checkpoint.checksum import crc32c, crc32c_of_concatenation, crc32c_of_each, mask, unmask


@pytest.fixture(autouse=True, params=["numpy", "native"])
def implementation(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(module, "_extend_native", None)
    elif module._extend_native is None:
        pytest.skip("google-crc32c is not installed")


def _divide(message: bytes, crc: int = 0) -> int:
    state = crc ^ 0xFFFFFFFF
    for byte in message:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def _random(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8).tobytes()


@pytest.mark.parametrize(
    "message, crc",
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_check_values(message, crc):
    assert crc32c(message) == crc


@pytest.mark.parametrize(
    "size", [1, 3, 4, 31, 32, 33, 63, 64, 65, 1023, 1024, 1025, 13553, 13554, 13555, 30_000, 100_003, 433_728]
)
def test_every_size_equals_the_division(size):
    message = _random(size)
    assert crc32c(message) == _divide(message)
    assert crc32c_of_each([message]) == [_divide(message)]


@pytest.mark.parametrize("unit", [2, 4, 8, 16])
def test_every_folding_unit_equals_the_division(unit):
    message = _random(6777 * 4 * unit + 5)
    assert crc32c(message) == _divide(message)


@settings(max_examples=40, deadline=None)
@given(first=st.binary(max_size=100), size=st.integers(0, 40_000), seed=st.integers(0, 99))
def test_a_checksum_goes_on_from_another(first, size, seed):
    second = _random(size, seed)
    assert crc32c(second, crc32c(first)) == crc32c(first + second)


def test_messages_taken_together_have_the_checksums_of_each():
    messages = [_random(size, size) for size in (0, 1, 2, 3, 4, 5, 64, 65, 200, 5000, 13554, 13555, 70_000)] * 3
    assert crc32c_of_each(messages) == [_divide(message) for message in messages]


@pytest.mark.parametrize("sizes", [[5], [0, 3], [3, 0], [1, 2, 3, 0, 70_000, 4], [100] * 50])
def test_the_checksum_of_a_concatenation_follows_from_those_of_its_parts(sizes):
    parts = [_random(size, seed) for seed, size in enumerate(sizes)]
    assert crc32c_of_concatenation([crc32c(part) for part in parts], sizes) == crc32c(b"".join(parts))


def test_a_long_message_is_shared_among_threads(monkeypatch):
    message = _random(200_000)
    alone = crc32c(message, 5)
    monkeypatch.setattr(module, "_PARALLEL_LIMIT", 100_000)
    assert crc32c(message, 5) == alone


def test_an_unaligned_read_only_view_is_taken_as_it_is():
    message = _random(50_000)
    assert crc32c(memoryview(message)[3:]) == _divide(message[3:])


def test_a_mask_is_the_stored_form():
    # A record file's empty length and TensorFlow's empty tensor: the mask of zero is the constant alone.
    assert mask(0) == 0xA282EAD8
    assert [unmask(mask(crc)) for crc in (0, 1, 0xFFFFFFFF, 0xDEADBEEF)] == [0, 1, 0xFFFFFFFF, 0xDEADBEEF]
