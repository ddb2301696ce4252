"""Every public loss, operation and evaluation: misuse is one sentence, 64-bit mode changes nothing, integers are numbers."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from misuse import Outcome, misuses, outcome, parameters_of
from public_calls import CALLS, EVALUATIONS, LOSSES, OPS

from ssl_jax import evaluate, losses, ops


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


def in_one_number(outputs):
    """A sum over what is finite, which depends on each output in its own way."""
    total = jnp.float32(0)
    for leaf in jax.tree.leaves(outputs):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            weights = np.cos(np.arange(leaf.size)).astype(np.float32).reshape(leaf.shape)
            total += jnp.sum(jnp.where(jnp.isfinite(leaf), leaf, 0).astype(jnp.float32) * weights)
    return total


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


@pytest.mark.parametrize("kind", [np.int32, np.int8, np.bool_])
@pytest.mark.parametrize("turned", ["query", "keys", "values", "key", "value", "queries"])
@pytest.mark.parametrize(
    "name", ["free_energy", "key_value_lookup", "softmax_sum", "log_sum_exp", "attention", "attention_weights"]
)
def test_integers_are_the_floats_that_they_stand_for(name, turned, kind):
    """Once the other arrays were cast to the integers' type, and lost what comes after the point."""
    call = CALLS[name]
    if turned not in call.arrays:
        return
    whole = {turned: np.round(call.arrays[turned] * 2).astype(kind)}
    found = call.function(**call.arguments | whole)
    expected = call.function(**call.arguments | {turned: whole[turned].astype(np.float32)})
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, expected)
