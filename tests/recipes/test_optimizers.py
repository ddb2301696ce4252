import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.recipes.optimizers import adamw, lars, sgd, warmup_cosine, weights_only

PARAMS = {"kernel": np.array([[1.0, -2.0], [0.5, 3.0]]), "bias": np.array([0.3, -0.1])}
GRADIENTS = [
    {"kernel": np.array([[0.1, 0.2], [-0.3, 0.4]]), "bias": np.array([0.5, -0.6])},
    {"kernel": np.array([[-0.2, 0.1], [0.3, 0.3]]), "bias": np.array([0.1, 0.2])},
]


def run(optimizer, steps=GRADIENTS):
    params = jax.tree.map(jnp.float32, PARAMS)
    state = optimizer.transformation.init(params)
    for gradient in steps:
        updates, state = optimizer.transformation.update(jax.tree.map(jnp.float32, gradient), state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return params


def naive_lars(rates, *, weight_decay, momentum, eta):
    """The authors' rule: ratio and learning rate first, momentum after; biases see neither ratio nor decay."""
    params = {name: value.copy() for name, value in PARAMS.items()}
    velocity = {name: np.zeros_like(value) for name, value in PARAMS.items()}
    for rate, gradients in zip(rates, GRADIENTS, strict=True):
        for name, gradient in gradients.items():
            ratio = 1.0
            if params[name].ndim > 1:
                gradient = gradient + weight_decay * params[name]
                ratio = eta * np.linalg.norm(params[name]) / np.linalg.norm(gradient)
            velocity[name] = momentum * velocity[name] + rate * ratio * gradient
            params[name] = params[name] - velocity[name]
    return params


def test_lars_is_the_authors_rule():
    rates = [0.5, 0.2]
    optimizer = lars(lambda step: jnp.array(rates)[step], weight_decay=0.1, momentum=0.9, trust_coefficient=1e-2)
    naive = naive_lars(rates, weight_decay=0.1, momentum=0.9, eta=1e-2)
    jax.tree.map(lambda ours, other: np.testing.assert_allclose(ours, other, rtol=1e-5), run(optimizer), naive)


@pytest.mark.parametrize("make", [lars, sgd, adamw])
def test_decay_passes_by_biases_and_norms(make):
    zero = [jax.tree.map(np.zeros_like, PARAMS)]
    decayed = run(make(lambda step: 0.1, weight_decay=0.1), zero)
    np.testing.assert_array_equal(decayed["bias"], np.float32(PARAMS["bias"]))
    assert (np.abs(decayed["kernel"]) < np.abs(PARAMS["kernel"])).all()


def test_sgd_decays_through_the_gradient():
    """PyTorch's rule: the decay goes through the momentum, unlike AdamW's."""
    params, velocity = PARAMS["kernel"].copy(), 0.0
    for gradients in GRADIENTS:
        velocity = 0.9 * velocity + gradients["kernel"] + 0.1 * params
        params = params - 0.2 * velocity
    np.testing.assert_allclose(run(sgd(lambda step: 0.2, weight_decay=0.1))["kernel"], params, rtol=1e-6)


def test_warmup_then_cosine():
    schedule = warmup_cosine(2.0, steps=110, warmup=10, end=0.5)
    np.testing.assert_allclose([schedule(step) for step in (0, 5, 10, 60, 110)], [0, 1, 2, 1.25, 0.5], rtol=1e-6)


def test_a_run_shorter_than_its_warmup_still_reaches_the_peak():
    schedule = warmup_cosine(1.0, steps=3, warmup=10)
    assert float(schedule(0)) == 1.0


def test_weights_only():
    assert weights_only(PARAMS) == {"kernel": True, "bias": False}
