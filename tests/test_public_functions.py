"""Every public loss, operation and evaluation: misuse is one sentence, 64-bit mode changes nothing."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from evaluation_calls import EVALUATIONS
from misuse import Outcome, misuses, outcome, parameters_of
from public_calls import LOSSES, OPS, in_one_number

from ssl_jax import evaluate, losses, ops

CALLS = LOSSES | OPS | EVALUATIONS


def test_no_public_function_is_forgotten():
    assert set(losses.__all__) <= set(LOSSES) and set(ops.__all__) <= set(OPS)
    assert set(evaluate.__all__) == set(EVALUATIONS)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_has_every_argument_that_needs_a_value(name):
    needed = {
        key for key, parameter in parameters_of(CALLS[name].function).items() if parameter.default is parameter.empty
    }
    assert needed <= set(CALLS[name].arguments)


@pytest.mark.parametrize("name", CALLS)
def test_misuse_is_one_sentence(name):
    """That names the argument and what came; or the result is that of the right argument that means the same."""
    call = CALLS[name]
    found = [(misuse, *outcome(call, misuse)) for misuse in misuses(call)]
    wrong = [
        f"{misuse.argument}, {misuse.kind}: {what.value} {said}"
        for misuse, what, said in found
        if what != Outcome.REFUSED
    ]
    assert found and not wrong, "\n".join(wrong)


def value_and_gradient(call, dtype):
    fixed = {key: value for key, value in call.arguments.items() if key not in call.arrays}
    arrays = {
        key: jnp.asarray(value, dtype if value.dtype == np.float32 else None) for key, value in call.arrays.items()
    }
    floating = {key: value for key, value in arrays.items() if jnp.issubdtype(value.dtype, jnp.floating)}
    rest = fixed | {key: value for key, value in arrays.items() if key not in floating}

    @jax.jit
    def both(floating):
        outputs = call.function(**floating, **rest)
        return outputs, jax.grad(lambda floating: in_one_number(call.function(**floating, **rest)))(floating)

    return both(floating)


@cache
def in_32_bits(name):
    return value_and_gradient(CALLS[name], np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOSSES | OPS)
def test_in_64_bit_mode_values_and_gradients_are_the_same(name, dtype):
    call = CALLS[name]
    if not call.arrays:
        return
    expected = in_32_bits(name)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        found = value_and_gradient(call, dtype)
    for come, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(come), wanted, rtol=1e-3, atol=1e-4)
