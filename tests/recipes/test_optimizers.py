import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.recipes.optimizers import (
    adamw,
    clipped_lars,
    cosine,
    frozen_at_first,
    lars,
    scaled_cosine,
    sgd,
    staircase,
    warmup_cosine,
    weights_only,
    with_other,
)

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


def test_a_staircase_falls_at_parts_of_the_run():
    schedule = staircase(2.0, steps=100, drops=(0.3, 0.6), factor=0.1, warmup=0.1)
    found = [schedule(step) for step in (0, 5, 10, 29, 30, 59, 60, 99)]
    np.testing.assert_allclose(found, [0, 1, 2, 2, 0.2, 0.2, 0.02, 0.02], rtol=1e-5)
    assert float(staircase(2.0, steps=100, drops=(0.5,))(0)) == 2.0


def test_weights_only():
    assert weights_only(PARAMS) == {"kernel": True, "bias": False}


@pytest.mark.parametrize("eta", [0.02, 100.0])
def test_clipped_lars_never_exceeds_the_schedule(eta):
    """The rule of solo-learn: decay in the gradient, times min(eta |w| / (|g| + decay |w|) / rate, 1); then SGD."""
    params = {name: value.copy() for name, value in PARAMS.items()}
    velocity = {name: np.zeros_like(value) for name, value in PARAMS.items()}
    for rate, gradients in zip([0.5, 0.2], GRADIENTS, strict=True):
        for name, gradient in gradients.items():
            if params[name].ndim > 1:
                length, slope = np.linalg.norm(params[name]), np.linalg.norm(gradient)
                ratio = eta * length / (slope + 0.1 * length)
                gradient = min(ratio / rate, 1) * (gradient + 0.1 * params[name])
            velocity[name] = 0.9 * velocity[name] + gradient
            params[name] = params[name] - rate * velocity[name]
    optimizer = clipped_lars(lambda step: jnp.float32([0.5, 0.2])[step], weight_decay=0.1, trust_coefficient=eta)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), run(optimizer), params)


def test_scaled_cosine_is_stated_in_images_and_epochs():
    schedule = scaled_cosine(0.3, batch_size=1024, epochs=100, steps=1000, end=0.1)
    assert float(schedule(100)) == pytest.approx(1.2) and float(schedule(50)) == pytest.approx(0.6)
    assert float(schedule(1000)) == pytest.approx(0.1)


def test_decay_may_follow_a_schedule():
    still = [{name: np.zeros_like(value) for name, value in PARAMS.items()}] * 2
    moved = run(adamw(lambda step: 0.1, weight_decay=cosine(0.5, 0.0, steps=1)), still)
    np.testing.assert_allclose(moved["kernel"], PARAMS["kernel"] * 0.95, rtol=1e-5)  # the second step decays by 0


def nested(optimizer):
    """Parameters of two networks after both gradients."""
    params = {"encoder": jax.tree.map(jnp.float32, PARAMS), "prototypes": jnp.float32(PARAMS["kernel"])}
    state = optimizer.transformation.init(params)
    for gradient in GRADIENTS:
        gradient = {"encoder": jax.tree.map(jnp.float32, gradient), "prototypes": jnp.float32(gradient["kernel"])}
        updates, state = optimizer.transformation.update(gradient, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return params


def test_one_network_may_have_an_optimizer_of_its_own():
    slow, fast = (sgd(lambda step, rate=rate: rate, weight_decay=0.0) for rate in (0.1, 0.4))
    found = nested(with_other(slow, fast, network="prototypes"))
    np.testing.assert_allclose(found["encoder"]["kernel"], nested(slow)["encoder"]["kernel"], rtol=1e-6)
    np.testing.assert_allclose(found["prototypes"], nested(fast)["prototypes"], rtol=1e-6)


def test_frozen_parameters_neither_move_nor_decay_nor_gather_momentum():
    inner = sgd(lambda step: 0.1, weight_decay=0.01, momentum=0.9)
    held = nested(frozen_at_first(inner, steps=2, parameter="prototypes"))
    np.testing.assert_array_equal(held["prototypes"], jnp.float32(PARAMS["kernel"]))
    np.testing.assert_allclose(held["encoder"]["kernel"], nested(inner)["encoder"]["kernel"], rtol=1e-6)
    free = sgd(lambda step: 0.1, weight_decay=0.0, momentum=0.9)
    freed = nested(frozen_at_first(free, steps=1, parameter="prototypes"))
    expected = PARAMS["kernel"] - 0.1 * GRADIENTS[1]["kernel"]
    np.testing.assert_allclose(freed["prototypes"], expected, rtol=1e-6)
