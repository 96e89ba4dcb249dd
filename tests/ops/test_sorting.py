import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.sorting import nth_element, top_k
from tests.ops.live import check, raises, random_array


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, np.int8])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 2, 4)])
def test_top_k_puts_the_first_of_equal_values_first(dtype, shape):
    check("TopKV2", {"input": random_array(dtype, shape), "k": np.int32(3)})


@pytest.mark.parametrize("k", [0, 1, 4])
def test_top_k_of_the_first_version(k):
    values, indices = top_k(jnp.float32([2, 4, 4, 1]), k=k)
    np.testing.assert_array_equal(values, [4, 4, 2, 1][:k])
    np.testing.assert_array_equal(indices, [1, 2, 0, 3][:k])
    assert indices.dtype == np.int32


@pytest.mark.parametrize("reverse", [False, True])
def test_nth_element_counts_from_either_end(reverse):
    for dtype in (np.float32, np.int32):
        check("NthElement", {"input": random_array(dtype, (3, 5)), "n": np.int32(1)}, {"reverse": reverse})


@pytest.mark.parametrize("op, inputs", [("TopKV2", {"k": 3})])
def test_errors_are_tensorflow_s(op, inputs):
    inputs = {"input": np.float32([1, 2])} | {k: np.int32(v) for k, v in inputs.items()}
    with pytest.raises(InvalidArgumentError) as caught:
        REGISTRY[op].function(**inputs)
    assert caught.value.message in raises(op, inputs)


def test_nth_element_needs_n_in_range():
    with pytest.raises(InvalidArgumentError, match=r"Input must have at least n\+1 columns"):
        nth_element(np.float32([1, 2]), np.int32(2))
    with pytest.raises(InvalidArgumentError, match="Need n >= 0, got -1"):
        nth_element(np.float32([1, 2]), np.int32(-1))


def test_top_k_hands_gradients_to_the_chosen():
    slopes = jax.grad(lambda x: jnp.sum(top_k(x, k=2)[0] * np.float32([1, 10])))(jnp.float32([3, 1, 5]))
    np.testing.assert_array_equal(slopes, [10, 0, 1])
