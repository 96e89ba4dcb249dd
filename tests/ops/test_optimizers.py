"""Two steps of every dense optimizer op against a live TensorFlow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgjax.errors import InvalidArgumentError
from mgjax.ops import REGISTRY
from mgjax.ops.optimizers import apply_adam, apply_momentum
from tests.ops.live import check

RATES = {
    "alpha": 0.3, "lr": 0.1, "momentum": 0.9, "rho": 0.8, "epsilon": 1e-3, "l1": 0.05, "l2": 0.02, "lr_power": -0.5,
    "l2_shrinkage": 0.1, "beta1_power": 0.81, "beta2_power": 0.9, "beta1": 0.9, "beta2": 0.95, "beta": 0.7,
    "sign_decay": 0.6, "logbase": 1.1,
}  # fmt: skip

ROWS = [
    ("ApplyGradientDescent", {}),
    ("ApplyProximalGradientDescent", {}),
    ("ApplyMomentum", {}),
    ("ApplyMomentum", {"use_nesterov": True}),
    ("ResourceApplyKerasMomentum", {}),
    ("ResourceApplyKerasMomentum", {"use_nesterov": True}),
    ("ApplyAdagrad", {}),
    ("ApplyAdagrad", {"update_slots": False}),
    ("ApplyAdagradV2", {}),
    ("ApplyAdagradV2", {"update_slots": False}),
    ("ApplyProximalAdagrad", {}),
    ("ApplyAdagradDA", {}),
    ("ApplyAdadelta", {}),
    ("ApplyRMSProp", {}),
    ("ApplyCenteredRMSProp", {}),
    ("ApplyAdam", {}),
    ("ApplyAdam", {"use_nesterov": True}),
    ("ResourceApplyAdamWithAmsgrad", {}),
    ("ApplyAdaMax", {}),
    ("ApplyFtrl", {}),
    ("ApplyFtrl", {"multiply_linear_by_lr": True}),
    ("ApplyFtrlV2", {}),
    ("ApplyFtrlV2", {"multiply_linear_by_lr": True}),
    ("ApplyAddSign", {}),
    ("ApplyPowerSign", {}),
]


def operands(op, dtype, step, state=None, shape=(3, 4)):
    """Operands by name: `state` (random positive numbers at first), RATES, and a gradient of this step."""
    lowering = REGISTRY[op]
    rng = np.random.default_rng([step, len(op)])
    found = {}
    for i, name in enumerate(lowering.parameters):
        if name in lowering.writes:
            start = 0.5 + rng.random(shape)
            # The mean of gradients is below the mean of their squares, else its variance is negative.
            found[name] = (start * (0.1 if name == "mg" else 1)).astype(dtype) if state is None else state[i]
        elif name == "global_step":
            found[name] = np.int64(step + 1)
        elif name in ("grad", "delta"):
            found[name] = rng.uniform(-1, 1, shape).astype(dtype)
        elif name != "indices":
            found[name] = np.dtype(dtype).type(RATES[name])
    return found


def check_two_steps(op, dtype, attrs, **tolerance):
    state = check(op, operands(op, dtype, 0), attrs, **tolerance)
    check(op, operands(op, dtype, 1, state), attrs, **tolerance)


@pytest.mark.parametrize("op, attrs", ROWS, ids=str)
def test_dense_updates_are_tensorflow_s(op, attrs):
    check_two_steps(op, np.float32, attrs, rtol=1e-5, atol=1e-6)  # quotients of sums: a few roundings


@pytest.mark.parametrize("op, attrs", [row for row in ROWS if row[0].startswith("Apply") and not row[1]], ids=str)
def test_a_resource_is_updated_as_a_reference_is(op, attrs):
    assert REGISTRY[f"Resource{op}"].function is REGISTRY[op].function
    assert REGISTRY[f"Resource{op}"].updates == REGISTRY[op].updates
    check(f"Resource{op}", operands(op, np.float64, 0), attrs)


@pytest.mark.parametrize("op", ["ApplyGradientDescent", "ApplyMomentum", "ApplyAdam", "ApplyRMSProp"])
def test_half_stays_half(op):
    check_two_steps(op, np.float16, {}, rtol=4e-3, atol=4e-3)  # TensorFlow rounds after every operation


@pytest.mark.parametrize("power", [-0.5, -0.3, 0.0])
def test_ftrl_takes_any_learning_rate_power(power):
    given = operands("ApplyFtrl", np.float64, 0)
    check("ApplyFtrl", given | {"lr_power": np.float64(power)}, rtol=1e-9)  # pow's own accuracy


def test_ftrl_leaves_zero_what_l1_holds_down():
    given = operands("ApplyFtrl", np.float32, 0) | {"l1": np.float32(100)}
    assert not np.any(check("ApplyFtrl", given)[0])


def test_zero_over_zero_is_nan_as_in_tensorflow():
    zeros = np.zeros(2, np.float32)
    new, _ = check("ApplyAdagrad", {"var": zeros, "accum": zeros, "lr": np.float32(1), "grad": zeros})
    assert np.all(np.isnan(new))


def test_nesterov_momentum_looks_ahead_by_hand():
    one = jnp.ones(())
    var, accum = apply_momentum(one, 2 * one, 0.5 * one, one, 0.5 * one, use_nesterov=True)
    assert (float(var), float(accum)) == (1 - 0.5 * 1 - 0.5 * 0.5 * 2, 2.0)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"grad": jnp.zeros(3)}, r"var and grad do not have the same shape\[2\] \[3\]"),
        ({"accum": jnp.zeros((2, 1))}, r"var and accum do not have the same shape\[2\] \[2,1\]"),
        ({"lr": jnp.zeros(1)}, r"lr is not a scalar: \[1\]"),
    ],
)
def test_shapes_must_agree(changed, message):
    given = {"var": jnp.zeros(2), "accum": jnp.zeros(2), "lr": jnp.float32(1), "grad": jnp.zeros(2)}
    with pytest.raises(InvalidArgumentError, match=message):
        apply_momentum(**(given | {"momentum": jnp.float32(1)} | changed))


def test_updates_batch_and_differentiate():
    given = {k: jnp.asarray(v) for k, v in operands("ApplyAdam", np.float32, 0).items()}

    def loss(rate):
        return jnp.sum(apply_adam(**(given | {"lr": rate}))[0])

    slopes = jax.vmap(jax.grad(loss))(jnp.array([0.1, 0.2], np.float32))
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-6)  # the step is linear in the rate
