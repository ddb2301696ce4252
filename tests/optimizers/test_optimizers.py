from fractions import Fraction
from math import ceil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.optimizers import (
    Optimizer,
    adam,
    adamw,
    at_rate,
    clipped_lars,
    cosine,
    drop_step,
    freeze_for,
    larc,
    lars,
    sgd,
    step_decay,
    warmup_cosine,
    weights_only,
    with_bias_rate,
    with_clipping,
    with_layer_decay,
    with_separate_optimizer,
    with_variable_rate,
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


def naive_lars(rates, *, weight_decay, momentum, eta, rate_last):
    """The rules of lars_optimizer.py (SimCLR: the rate first) and of Barlow Twins' main.py (the rate last), in float64."""
    params = {name: value.copy() for name, value in PARAMS.items()}
    velocity = {name: np.zeros_like(value) for name, value in PARAMS.items()}
    for rate, gradients in zip(rates, GRADIENTS, strict=True):
        before, after = (1, rate) if rate_last else (rate, 1)
        for name, gradient in gradients.items():
            ratio = 1.0
            if params[name].ndim > 1:
                gradient = gradient + weight_decay * params[name]
                ratio = eta * np.linalg.norm(params[name]) / np.linalg.norm(gradient)
            velocity[name] = momentum * velocity[name] + before * ratio * gradient
            params[name] = params[name] - after * velocity[name]
    return params


def assert_close(ours, other, **options):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **{"rtol": 1e-5, **options}), ours, other)


@pytest.mark.parametrize("rate_last", [False, True])
def test_lars_is_the_authors_rule(rate_last):
    rates = [0.5, 0.2]
    options = {"weight_decay": 0.1, "momentum": 0.9, "rate_last": rate_last}
    optimizer = lars(lambda step: jnp.array(rates)[step], trust_coefficient=1e-2, **options)
    assert_close(run(optimizer), naive_lars(rates, eta=1e-2, **options))


def naive_larc(rates, *, weight_decay, eta):
    """apex's LARC(SGD, clip=False): all parameters, the sum of the norms below the line, PyTorch's momentum."""
    params = {name: value.copy() for name, value in PARAMS.items()}
    velocity = {name: np.zeros_like(value) for name, value in PARAMS.items()}
    for rate, gradients in zip(rates, GRADIENTS, strict=True):
        for name, gradient in gradients.items():
            length, slope = np.linalg.norm(params[name]), np.linalg.norm(gradient)
            adaptive = eta * length / (slope + weight_decay * length + 1e-8)
            velocity[name] = 0.9 * velocity[name] + adaptive * (gradient + weight_decay * params[name])
            params[name] = params[name] - rate * velocity[name]
    return params


def test_larc_is_apexs_rule_on_biases_too():
    rates = [0.5, 0.2]
    optimizer = larc(lambda step: jnp.array(rates)[step], weight_decay=0.1, trust_coefficient=1e-2)
    assert_close(run(optimizer), naive_larc(rates, weight_decay=0.1, eta=1e-2))


@pytest.mark.parametrize("make", [lars, larc, clipped_lars])
def test_a_gradient_of_zero_does_not_let_the_trust_ratio_amplify_the_decay(make):
    """With the ratio, decay of 1e-6 moved the weights by rate * trust_coefficient: in 100 steps, by more than half."""
    moved = run(
        make(lambda step: jnp.float32(1.0), weight_decay=1e-6, momentum=0.9),
        [jax.tree.map(np.zeros_like, PARAMS)] * 100,
    )
    assert_close(moved, PARAMS, rtol=2e-3)


@pytest.mark.parametrize("make", [lars, larc, clipped_lars])
@pytest.mark.parametrize("size", [1e-15, 1.0, 1e20])
def test_trust_ratios_of_long_and_short_gradients(make, size):
    """Squares of 1e20 overflow float32, and those of 1e-25 vanish: the ratio became 0 or 1."""
    gradient = [{name: size * value for name, value in GRADIENTS[0].items()}]
    found = run(make(lambda step: jnp.float32(0.5), weight_decay=0.0, trust_coefficient=1e-2), gradient)["kernel"]
    length, slope = np.linalg.norm(PARAMS["kernel"]), np.linalg.norm(gradient[0]["kernel"])
    ratio = 1e-2 * length / (slope + (0 if make is lars else 1e-8))
    if make is clipped_lars:
        ratio = min(ratio / 0.5, 1)
    np.testing.assert_allclose(found, PARAMS["kernel"] - 0.5 * ratio * gradient[0]["kernel"], rtol=1e-5)


def test_lars_where_gradient_and_decay_cancel_moves_nothing():
    opposite = [{"kernel": -0.5 * PARAMS["kernel"], "bias": np.zeros(2)}]
    assert_close(run(lars(lambda step: 0.1, weight_decay=0.5), opposite), PARAMS, rtol=1e-6)


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


def test_nesterovs_momentum_is_pytorchs():
    params, velocity = PARAMS["kernel"].copy(), 0.0
    for gradients in GRADIENTS:
        velocity = 0.9 * velocity + gradients["kernel"]
        params = params - 0.2 * (gradients["kernel"] + 0.9 * velocity)
    found = run(sgd(lambda step: 0.2, weight_decay=0.0, nesterov=True))
    np.testing.assert_allclose(found["kernel"], params, rtol=1e-6)


def test_warmup_then_cosine():
    schedule = warmup_cosine(2.0, steps=110, warmup=10, end=0.5)
    np.testing.assert_allclose([schedule(step) for step in (0, 5, 10, 60, 110)], [0, 1, 2, 1.25, 0.5], rtol=1e-6)


def test_a_run_shorter_than_its_warmup_still_reaches_the_peak():
    schedule = warmup_cosine(1.0, steps=3, warmup=10)
    assert float(schedule(0)) == 1.0


def test_a_staircase_falls_at_parts_of_the_run():
    schedule = step_decay(2.0, steps=100, drops=(0.3, 0.6), factor=0.1, warmup=0.1)
    found = [schedule(step) for step in (0, 5, 10, 29, 30, 59, 60, 99)]
    np.testing.assert_allclose(found, [0, 1, 2, 2, 0.2, 0.2, 0.02, 0.02], rtol=1e-5)
    assert float(step_decay(2.0, steps=100, drops=(0.5,))(0)) == 2.0


def test_a_warmup_may_start_above_zero():
    schedule = warmup_cosine(4.8, steps=200, warmup=10, start=0.3, end=0.0048)
    np.testing.assert_allclose([schedule(step) for step in (0, 5, 10, 200)], [0.3, 2.55, 4.8, 0.0048], rtol=1e-5)
    drops = step_decay(0.1, steps=2100, drops=(30,), of=105, warmup=5, start=0.025)
    np.testing.assert_allclose(
        [drops(step) for step in (0, 50, 100, 599, 600)], [0.025, 0.0625, 0.1, 0.1, 0.01], rtol=1e-5
    )


DROPS = [((30, 60, 90, 100), 105), ((60, 120, 160), 200), ((0.6, 0.8), 1), ((0.5, 5 / 6), 1), ((0.1, 0.7), 1)]


def exact_drops(drops, of, steps):
    return [ceil(Fraction(drop).limit_denominator(1000) * steps / of) for drop in drops]


@pytest.mark.parametrize(("drops", "of"), DROPS)
def test_drops_come_at_the_first_step_with_their_part_of_the_run_behind_it(drops, of):
    for steps in range(1, 2001):
        assert [drop_step(drop, of=of, steps=steps) for drop in drops] == exact_drops(drops, of, steps)


@pytest.mark.parametrize(("drops", "of"), DROPS)
def test_jitted_drops_come_at_their_step(drops, of):
    """Progress as a float32 was one step late at some lengths, such as 25 for (0.6, 0.8) and 49 for the first."""
    for steps in (25, 49, 110):
        exact = exact_drops(drops, of, steps)
        rates = jax.jit(step_decay(1.0, steps=steps, drops=drops, of=of, factor=0.5))(np.arange(steps))
        np.testing.assert_array_equal(rates, [0.5 ** sum(step >= drop for drop in exact) for step in range(steps)])


def test_drops_of_epochs_are_in_proportion_for_a_run_of_another_length():
    """105 epochs of 20 steps drop at epochs 30, 60, 90, 100; 50 epochs at 14.29, 28.57, 42.86, 47.62."""
    for epochs, expected in (
        (105, [600, 1200, 1800, 2000]),
        (50, [286, 572, 858, 953]),
        (210, [1200, 2400, 3600, 4000]),
    ):
        rates = step_decay(1.0, steps=20 * epochs, drops=(30, 60, 90, 100), of=105)(np.arange(20 * epochs))
        assert np.flatnonzero(np.diff(rates)).tolist() == [step - 1 for step in expected]


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
    found = nested(with_separate_optimizer(slow, fast, network="prototypes"))
    np.testing.assert_allclose(found["encoder"]["kernel"], nested(slow)["encoder"]["kernel"], rtol=1e-6)
    np.testing.assert_allclose(found["prototypes"], nested(fast)["prototypes"], rtol=1e-6)


def test_frozen_parameters_neither_move_nor_decay_nor_gather_momentum():
    inner = sgd(lambda step: 0.1, weight_decay=0.01, momentum=0.9)
    held = nested(freeze_for(inner, steps=2, parameter="prototypes"))
    np.testing.assert_array_equal(held["prototypes"], jnp.float32(PARAMS["kernel"]))
    np.testing.assert_allclose(held["encoder"]["kernel"], nested(inner)["encoder"]["kernel"], rtol=1e-6)
    free = sgd(lambda step: 0.1, weight_decay=0.0, momentum=0.9)
    freed = nested(freeze_for(free, steps=1, parameter="prototypes"))
    expected = PARAMS["kernel"] - 0.1 * GRADIENTS[1]["kernel"]
    np.testing.assert_allclose(freed["prototypes"], expected, rtol=1e-6)
    decayed = freeze_for(inner, steps=1, parameter="prototypes")  # The decay gathers no momentum either.
    expected = PARAMS["kernel"] - 0.1 * (GRADIENTS[1]["kernel"] + 0.01 * PARAMS["kernel"])
    np.testing.assert_allclose(nested(decayed)["prototypes"], expected, rtol=1e-6)


@pytest.mark.parametrize("decay_all", [False, True])
def test_adam_with_l2_is_pytorchs(decay_all):
    """torch.optim.Adam: the decay is added to the gradient, so both moments see it."""
    params = {name: value.copy() for name, value in PARAMS.items()}
    first, second = ({name: np.zeros_like(value) for name, value in PARAMS.items()} for _ in range(2))
    for step, gradients in enumerate(GRADIENTS, start=1):
        for name, gradient in gradients.items():
            if decay_all or name == "kernel":
                gradient = gradient + 0.3 * params[name]
            first[name] = 0.8 * first[name] + 0.2 * gradient
            second[name] = 0.99 * second[name] + 0.01 * gradient**2
            mean, square = first[name] / (1 - 0.8**step), second[name] / (1 - 0.99**step)
            params[name] = params[name] - 0.1 * mean / (np.sqrt(square) + 1e-8)
    options = {"weight_decay": 0.3, "first_decay": 0.8, "second_decay": 0.99, "decay_all": decay_all}
    assert_close(run(adam(lambda step: 0.1, **options)), params)


@pytest.mark.parametrize("make", [lars, sgd, adamw])
def test_biases_may_learn_at_a_rate_of_their_own(make):
    """Equal to the optimizer with the other rate, on biases only: Barlow Twins has 0.2 and 0.0048."""
    fast, slow = (
        make(lambda step, rate=rate: jnp.float32([rate, rate / 2])[step], weight_decay=0.01) for rate in (0.2, 0.0048)
    )
    found = run(with_bias_rate(fast, factor=0.024))
    np.testing.assert_array_equal(found["kernel"], run(fast)["kernel"])
    np.testing.assert_allclose(found["bias"], run(slow)["bias"], rtol=1e-5)


@pytest.mark.parametrize("size", [1.0, 100.0, 1e20])
def test_gradients_are_clipped_each_by_its_own_norm(size):
    """clip_gradients of DINO: times min(1, limit / (norm + 1e-6)), a parameter at a time."""
    gradients = [{"kernel": size * GRADIENTS[0]["kernel"], "bias": GRADIENTS[0]["bias"]}]
    expected = {}
    for name, gradient in gradients[0].items():
        expected[name] = PARAMS[name] - 0.1 * gradient * min(1, 3 / (np.linalg.norm(gradient) + 1e-6))
    inner: Optimizer = sgd(lambda step: 0.1, weight_decay=0.0)
    assert_close(run(with_clipping(inner, limit=3.0), gradients), expected)


def test_gradients_of_a_network_may_be_clipped_together():
    """clip_grad_norm_ of each network of DINOv2."""
    gradient = {
        "encoder": {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.full(2, 4.0)},
        "head": {"kernel": jnp.ones((2, 2))},
    }
    params = jax.tree.map(jnp.zeros_like, gradient)
    clipped = with_clipping(sgd(lambda step: 1.0, weight_decay=0.0, momentum=0.0), limit=3.0, together=True)
    updates, _ = clipped.transformation.update(gradient, clipped.transformation.init(params), params)
    factor = 3 / np.sqrt(4 * 9 + 2 * 16)
    np.testing.assert_allclose(updates["encoder"]["kernel"], np.full((2, 2), -3 * factor), rtol=1e-5)
    np.testing.assert_allclose(updates["encoder"]["bias"], np.full(2, -4 * factor), rtol=1e-5)
    np.testing.assert_allclose(updates["head"]["kernel"], -np.ones((2, 2)), rtol=1e-6)


def test_the_rate_falls_from_block_to_block_towards_the_image():
    """get_vit_lr_decay_rate of DINOv2: of 3 + 1 layers, those before the blocks are layer 0."""
    layers = {
        "embedding": 0.9**4 * 0.2,
        "token": 0.9**4,
        "block1": 0.9**3,
        "block2": 0.9**2,
        "block3": 0.9,
        "norm": 1.0,
    }
    params = {"encoder": {name: {"kernel": jnp.ones((2, 2))} for name in layers}, "head": {"block1": jnp.ones((2, 2))}}
    inner: Optimizer = sgd(lambda step: 1.0, weight_decay=0.0, momentum=0.0)
    slower = with_layer_decay(inner, network="encoder", decay=0.9, patches=0.2)
    updates, _ = slower.transformation.update(params, slower.transformation.init(params), params)
    for name, factor in layers.items():
        np.testing.assert_allclose(updates["encoder"][name]["kernel"], np.full((2, 2), -factor), rtol=1e-6)
    np.testing.assert_array_equal(updates["head"]["block1"], -np.ones((2, 2)))


@pytest.mark.parametrize(
    "layers",
    [
        {"stem": 0.5**3, "stage1_block1": 0.5**2, "stage1_block2": 0.5**2, "stage2_block1": 0.5},
        {"layer1": 0.5**3, "layer2": 0.5**2, "layer3": 0.5},
    ],
)
def test_stages_and_convolutions_are_layers_too(layers):
    params = {"encoder": {name: {"kernel": jnp.ones((2, 2))} for name in layers}}
    slower = with_layer_decay(sgd(lambda step: 1.0, weight_decay=0.0, momentum=0.0), network="encoder", decay=0.5)
    updates, _ = slower.transformation.update(params, slower.transformation.init(params), params)
    for name, factor in layers.items():
        np.testing.assert_allclose(updates["encoder"][name]["kernel"], np.full((2, 2), -factor), rtol=1e-6)


@pytest.mark.parametrize("make", [sgd, adamw])
def test_a_rate_of_the_state_is_the_rate_of_the_schedule(make):
    """With momentum and decay, and by one compiled program for both rates."""
    unit = with_variable_rate(make(lambda step: 1.0, weight_decay=0.1))
    params = jax.tree.map(jnp.float32, PARAMS)
    update = jax.jit(unit.transformation.update)
    for rate in (0.3, 0.01):
        state, found = at_rate(unit.transformation.init(params), jnp.float32(rate)), params
        for gradient in GRADIENTS:
            updates, state = update(jax.tree.map(jnp.float32, gradient), state, found)
            found = jax.tree.map(jnp.add, found, updates)
        assert_close(found, run(make(lambda step, rate=rate: rate, weight_decay=0.1)))
    assert update._cache_size() == 1


def test_sgd_may_decay_biases_and_norms_too():
    zero = [jax.tree.map(np.zeros_like, PARAMS)]
    decayed = run(sgd(lambda step: 0.1, weight_decay=0.1, decay_all=True), zero)
    np.testing.assert_allclose(decayed["bias"], 0.99 * PARAMS["bias"], rtol=1e-6)
