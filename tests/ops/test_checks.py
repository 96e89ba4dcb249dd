import jax
import numpy as np
import pytest

from mgjax.ops import REGISTRY
from mgjax.ops.checks import check_numerics
from tests.ops.live import check, raises

NAN, INF = np.nan, np.inf


def failed_claims(op, **given):
    """What the checks of an op say of known values that fail."""
    (check,) = REGISTRY[op].checks
    return [claim.text() for claim in check(**given) if not np.all(claim.holds)]


@pytest.mark.parametrize("op", ["CheckNumerics", "CheckNumericsV2"])
@pytest.mark.parametrize(
    "values", [[NAN], [INF], [-INF], [INF, -INF], [-INF, NAN], [INF, NAN], [NAN, -INF, INF]], ids=str
)
def test_check_numerics_names_what_it_found(op, values):
    inputs = {"tensor": np.float32([1, *values])}
    (text, *_) = failed_claims(op, **inputs, message="here")
    assert text in raises(op, inputs, {"message": "here"})


def test_check_numerics_passes_on_what_it_cannot_know():
    check("CheckNumerics", {"tensor": np.float32([1, 2])}, {"message": "here"})
    assert np.isnan(jax.jit(check_numerics)(np.float32(NAN)))


@pytest.mark.parametrize(
    "data, summarize",
    [
        ([np.float32([1, 2.5, 3, 4]), np.int32([[1, 2], [3, 4]]), np.array(b"msg"), np.array([True, False])], 3),
        ([np.arange(8).reshape(2, 2, 2)], 3),
        ([np.arange(12).reshape(3, 2, 2)], 6),
        ([np.arange(8).reshape(4, 2)], 2),
        ([np.arange(8).reshape(4, 2)], -1),
        ([np.arange(3)], 0),
        ([np.zeros(0, np.float32), np.zeros((2, 0), np.float32), np.int32(5)], 3),
        ([np.float32([3.14159265, 1e10, 0.3]), np.float64([0.1 + 0.2, 1e-7, 100]), np.float32([NAN, -INF, 0.0])], 3),
        ([np.float16([0.1, 2]), np.complex64([1 + 2j]), np.array([b"a\x07", b"q'\"\n\\\t"])], 3),
    ],
)
def test_a_failed_assertion_shows_its_data_as_tensorflow_does(data, summarize):
    inputs = {"condition": np.False_, "data": data}
    (text,) = failed_claims("Assert", **inputs, summarize=summarize)
    assert raises("Assert", inputs, {"summarize": summarize}).rstrip().endswith(text)


def test_an_assertion_passes_where_it_holds():
    assert failed_claims("Assert", condition=np.True_, data=[np.float32(1)]) == []
