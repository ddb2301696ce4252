"""Attention as a layer against its definition with loops, and the properties of rotations and energies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import double, drawn, linear

from ssl_jax.errors import UsageError
from ssl_jax.networks.attention import MultiHeadAttention
from ssl_jax.networks.functional import functional

RANDOM = np.random.default_rng(0)
DIM, HEADS, SIZE = 8, 4, 2
TOKENS = RANDOM.normal(size=(2, 3, DIM)).astype(np.float32)
CONTEXT = RANDOM.normal(size=(2, 5, DIM)).astype(np.float32)
PADDING = np.array([[True, True, False], [True, True, True]])[:, None, None]


def layer(**options):
    return functional(lambda rngs: MultiHeadAttention(DIM, heads=HEADS, rngs=rngs, **options))


def call(net, params, *inputs, method="__call__"):
    return jax.jit(lambda params, *inputs: net.apply(params, {}, *inputs, train=False, method=method)[0])(
        params, *inputs
    )


def inspect(net, params, *inputs):
    """The output and the recorded arrays."""
    return jax.jit(lambda params, *inputs: net.inspect(params, {}, *inputs))(params, *inputs)


def projected(x, params):
    """A linear map, or rotations side by side: the Cayley transform of the skew part of each free matrix."""
    if "free" not in params:
        return linear(x, params)
    skew = [(free - free.T) / 4 for free in params["free"]]
    identity = np.eye(x.shape[-1])
    return np.concatenate([x @ np.linalg.solve(identity - half, identity + half) for half in skew], axis=-1)


def turned(heads):
    """Rotary positions from 0 on; heads of two values, so there is one frequency, 1 radian a position."""
    numbers = (heads[..., 0] + 1j * heads[..., 1]) * np.exp(1j * np.arange(heads.shape[1]))[:, None]
    return np.stack([numbers.real, numbers.imag], axis=-1)


def definition(params, tokens, context, mask, *, groups=HEADS, causal=False, rotary=False, value_size=SIZE):
    """The output, the weights and the free energies: one example, head and query at a time."""
    params, tokens = double(params), double(tokens)
    if context is None:
        query, pairs = np.split(projected(tokens, params["qkv"]), [DIM], axis=-1)
    else:
        query, pairs = projected(tokens, params["query"]), projected(double(context), params["memory"])
    keys, values = (x.reshape(*x.shape[:2], groups, -1) for x in np.split(pairs, [groups * SIZE], axis=-1))
    query = query.reshape(*query.shape[:2], HEADS, SIZE)
    if rotary:
        query, keys = turned(query), turned(keys)
    mixed, visible = (
        np.zeros((*query.shape[:3], value_size)),
        np.ones((len(keys), HEADS, query.shape[1], keys.shape[1]), bool),
    )
    visible &= True if mask is None else mask
    weights, energies = np.zeros(visible.shape), np.zeros(visible.shape[:3])
    for example, head, position in np.ndindex(energies.shape):
        group = head // (HEADS // groups)
        counted = visible[example, head, position] & (np.arange(keys.shape[1]) <= position if causal else True)
        scores = keys[example, :, group] @ query[example, position, head]
        likely = np.exp(scores / np.sqrt(SIZE)) * counted
        energies[example, head, position] = -np.sqrt(SIZE) * np.log(likely.sum())
        weights[example, head, position] = likely / likely.sum()
        mixed[example, position, head] = weights[example, head, position] @ values[example, :, group]
    return linear(mixed.reshape(*mixed.shape[:2], -1), params["projection"]), weights, energies


@pytest.mark.parametrize(
    "options",
    [
        {"bias": False},
        {"groups": 2, "causal": True},
        {"groups": 1, "rotary": True},
        {"rotary": True, "causal": True},
        {"projection": "rotation"},
        {"cross": True},
        {"cross": True, "groups": 2},
        {"cross": True, "projection": "rotation"},
        {"value_size": 5, "causal": True, "rotary": True},
        {"value_size": 1, "groups": 2},
        {"value_size": 3, "cross": True},
    ],
    ids=str,
)
def test_it_is_the_definition(options):
    net, context = layer(**options), CONTEXT if options.get("cross") else None
    params, _ = drawn(net)
    mask = RANDOM.random((2, 1, 3, 5)) < 0.5 if options.get("cross") else PADDING
    mask = mask | (np.arange(mask.shape[-1]) == 0)  # The first is never masked.
    known = {name: options[name] for name in ("groups", "causal", "rotary", "value_size") if name in options}
    expected = definition(params, TOKENS, context, mask, **known)
    output, recorded = inspect(net, params, TOKENS, context, mask)
    np.testing.assert_allclose(output, call(net, params, TOKENS, context, mask), rtol=1e-5, atol=1e-6)
    assert {array.dtype.name for array in recorded.values()} == {"float32"}
    found = output, recorded.pop("weights"), recorded.pop("energies")
    for array, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, value, rtol=1e-4, atol=1e-5)
    assert not recorded


def test_one_matrix_makes_queries_keys_and_values_of_all_heads():
    shapes = lambda net: jax.tree.map(lambda leaf: leaf.shape, drawn(net)[0])  # noqa: E731
    out = {"kernel": (8, 8), "bias": (8,)}
    assert shapes(layer()) == {"qkv": {"kernel": (8, 24), "bias": (24,)}, "projection": out}
    assert shapes(layer(groups=1, bias=False))["qkv"] == {"kernel": (8, 12)}
    assert shapes(layer(cross=True, groups=2))["memory"] == {"kernel": (8, 8), "bias": (8,)}
    assert shapes(layer(groups=2, value_size=5)) == {
        "qkv": {"kernel": (8, 22), "bias": (22,)},  # 4 heads of 2 for queries, 2 of 2 for keys, 2 of 5 for values.
        "projection": {"kernel": (20, 8), "bias": (8,)},
    }
    assert shapes(layer(projection="rotation")) == {"qkv": {"free": (3, 8, 8)}, "projection": out}
    start, _ = layer().init(jax.random.key(0))
    bound = np.sqrt(6 / (DIM + DIM))  # Xavier's, of a square matrix.
    assert 0.9 * bound < jnp.abs(start["qkv"]["kernel"]).max() <= bound


def test_rotations_stay_rotations_whatever_descent_does():
    net = layer(projection="rotation")
    params, _ = drawn(net)

    @jax.jit
    @jax.value_and_grad
    def step(params):
        return ((net.apply(params, {}, TOKENS, train=True)[0] - 1) ** 2).sum()

    trained, losses = params, []
    for _ in range(20):
        loss, gradient = step(trained)
        losses.append(loss)
        trained = jax.tree.map(lambda p, g: p - 0.05 * g, trained, gradient)
    assert losses[-1] < 0.7 * losses[0]
    assert jnp.abs(trained["qkv"]["free"] - params["qkv"]["free"]).max() > 0.1
    query, cache = call(net, trained, TOKENS, method="project_qkv")
    norms = np.linalg.norm(TOKENS, axis=-1)
    cosines = TOKENS @ TOKENS.swapaxes(1, 2) / (norms[:, :, None] * norms[:, None])
    for rotated in (query, *cache):
        rotated = np.asarray(rotated).reshape(2, 3, DIM)
        assert np.abs(rotated - TOKENS).max() > 0.1
        np.testing.assert_allclose(np.linalg.norm(rotated, axis=-1), norms, rtol=1e-5)
        products = rotated @ rotated.swapaxes(1, 2) / (norms[:, :, None] * norms[:, None])
        np.testing.assert_allclose(products, cosines, atol=1e-5)


def test_the_output_is_minus_the_gradient_of_the_energies_where_values_are_keys():
    net = layer(cross=True)
    params, _ = drawn(net)
    same = {"kernel": np.eye(DIM, dtype=np.float32), "bias": np.zeros(DIM, np.float32)}
    twice = {name: np.concatenate([array[..., :DIM]] * 2, axis=-1) for name, array in params["memory"].items()}
    params = {"query": same, "projection": same, "memory": twice}
    energy = lambda tokens: net.inspect(params, {}, tokens, CONTEXT)[1]["energies"].sum()  # noqa: E731
    gradient = jax.jit(jax.grad(energy))(TOKENS)
    np.testing.assert_allclose(-gradient, call(net, params, TOKENS, CONTEXT), rtol=1e-5, atol=1e-6)


def test_with_everything_masked_the_output_is_the_bias_and_the_energy_infinite():
    net = layer()
    params, _ = drawn(net)
    nowhere = np.array([True, False])[:, None, None, None]
    outputs, recorded = inspect(net, params, TOKENS, None, nowhere)
    np.testing.assert_array_equal(outputs[1], np.broadcast_to(params["projection"]["bias"], (3, DIM)))
    energies = recorded["energies"]
    assert not recorded["weights"][1].any() and np.isfinite(energies[0]).all() and (energies[1] == np.inf).all()
    loss = lambda params: net.apply(params, {}, TOKENS, None, nowhere, train=True)[0].sum()  # noqa: E731
    assert jax.tree.all(jax.tree.map(lambda leaf: bool(jnp.isfinite(leaf).all()), jax.jit(jax.grad(loss))(params)))


@pytest.mark.parametrize(
    "options", [{"causal": True, "rotary": True, "groups": 2}, {"projection": "rotation"}], ids=str
)
def test_bfloat16_forward_and_backward(options):
    def loss(params, net):
        outputs, _ = net.apply(params, {}, TOKENS, train=True)
        return outputs.astype(jnp.float32).std(), outputs

    whole, half = layer(**options), layer(dtype=jnp.bfloat16, **options)
    params, _ = drawn(whole)
    (expected, full), (found, narrow) = (
        jax.jit(jax.grad(lambda params, net=net: loss(params, net), has_aux=True))(params) for net in (whole, half)
    )
    assert narrow.dtype == jnp.bfloat16 and full.dtype == jnp.float32
    np.testing.assert_allclose(narrow.astype(jnp.float32), full, rtol=0.1, atol=0.05)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0.2, atol=0.02), found, expected)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"heads": 3}, "heads 3 must divide dim 8"),
        ({"heads": 0}, "heads 0 must divide dim 8"),
        ({"heads": 4, "groups": 3}, "groups 3 must divide heads 4"),
        ({"heads": 4, "groups": 2, "projection": "rotation"}, "groups 2: a rotation keeps all of a token"),
        ({"heads": 4, "value_size": 0}, "value_size: got 0, expected at least 1, or None for dim / heads"),
        ({"heads": 4, "value_size": 3, "projection": "rotation"}, "value_size 3: a rotation keeps all of a token"),
        ({"heads": 8, "rotary": True}, "dim 8 in 8 heads has 1 values in each"),
        ({"heads": 2, "projection": "rotations"}, "did you mean 'rotation'"),
        ({"heads": 2, "cross": True, "causal": True}, "rotary and causal must be False"),
    ],
)
def test_wrong_arguments_are_named(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        functional(lambda rngs: MultiHeadAttention(DIM, rngs=rngs, **wrong))


def test_cross_attention_needs_a_context():
    net = layer(cross=True)
    with pytest.raises(ValueError, match="cross=True attends to a context, got None"):
        net.apply(*drawn(net), TOKENS, train=False)


def test_step_by_step_with_values_of_another_size():
    net = layer(value_size=5, groups=2, rotary=True, causal=True)
    params, _ = drawn(net)
    whole, (cache, *_) = call(net, params, TOKENS), net.apply(params, {}, 2, 3, train=False, method="init_cache")
    assert (cache.keys.shape, cache.values.shape) == ((2, 3, 2, 2), (2, 3, 2, 5))
    for position in range(3):
        token, at = TOKENS[:, position : position + 1], jnp.full(2, position)
        output, cache = call(net, params, token, cache, at, method="decode_step")
        np.testing.assert_allclose(output[:, 0], whole[:, position], rtol=1e-5, atol=1e-6)


# Of the practicum's notebook 15-transformer.ipynb (Atcold/NYU-DLSP20, commit 3049c832), "Some sanity checks": keys and values
# of four tokens, a query on the second key, one on the two equal keys, and one between the first two; heads of 512 / 8 values,
# so the inverse temperature is 1/8. Its printed outputs, to their digits.
NOTEBOOK_KEYS = np.array([[10, 0, 0], [0, 10, 0], [0, 0, 10], [0, 0, 10]], np.float32)
NOTEBOOK_VALUES = np.array([[1, 0, 0], [10, 0, 0], [100, 5, 0], [1000, 6, 0]], np.float32)
NOTEBOOK_QUERIES = np.array([[0, 10, 0], [0, 0, 10], [10, 10, 0]], np.float32)
NOTEBOOK_OUTPUTS = np.array([[10.004, 4.0993e-05, 0], [549.9979, 5.5, 0], [5.502, 2.0497e-05, 0]])
NOTEBOOK_WEIGHTS = np.array(
    [
        [3.7266e-06, 9.9999e-01, 3.7266e-06, 3.7266e-06],
        [1.8633e-06, 1.8633e-06, 5.0e-01, 5.0e-01],
        [5.0e-01, 5.0e-01, 1.8633e-06, 1.8633e-06],
    ]
)


def test_the_sanity_checks_of_the_practicum():
    """The layer with maps that make the notebook's queries, keys and values: values of 3 beside keys of 4, in one head."""
    net = functional(lambda rngs: MultiHeadAttention(4, heads=1, cross=True, value_size=3, bias=False, rngs=rngs))
    keys = np.pad(NOTEBOOK_KEYS, ((0, 0), (0, 1)))  # Four tokens, one-hot, and so keys of four values, the last 0.
    params = {
        "query": {
            "kernel": np.eye(4, dtype=np.float32) * 2 / 8
        },  # b is 1/2 for keys of four values, 1/8 in the notebook.
        "memory": {"kernel": np.concatenate([keys, NOTEBOOK_VALUES], axis=1)},
        "projection": {"kernel": np.eye(3, 4, dtype=np.float32)},
    }
    queries, tokens = np.pad(NOTEBOOK_QUERIES, ((0, 0), (0, 1)))[None], np.eye(4, dtype=np.float32)[None]
    output, recorded = inspect(net, params, queries, tokens)
    np.testing.assert_allclose(output[0, :, :3], NOTEBOOK_OUTPUTS, rtol=6e-5, atol=1e-9)
    np.testing.assert_allclose(recorded["weights"][0, 0], NOTEBOOK_WEIGHTS, rtol=2e-5)
