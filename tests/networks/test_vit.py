import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import double, drawn, erf, layer_norm, linear

from ssl_jax.errors import UsageError
from ssl_jax.networks import vit, vit_base, vit_large, vit_small, vit_tiny
from ssl_jax.ops.positions import grid_positions, resize_positions

TINY = {"image_size": 6, "patch_size": 2, "channels": 2, "dim": 8, "heads": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "published", "width"),
    [
        (vit_tiny, 5_524_416, 192),
        (vit_small, 21_665_664, 384),
        (vit_base, 85_798_656, 768),
        (vit_large, 303_301_632, 1024),
    ],
)
def test_parameters_are_as_many_as_timm_counts(make, published, width):
    net = make(image_size=224, patch_size=16)
    params, stats = jax.eval_shape(net.init, jax.random.key(0))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == published
    assert net.width == width and stats == {}


@pytest.mark.slow
def test_layers_come_by_name_in_order_of_depth():
    net = vit(**TINY, depth=12)
    start = jax.eval_shape(net.init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((2, 6, 6, 2), np.float32)
    layers, _ = jax.eval_shape(lambda *inputs: net.apply(*inputs, train=False), *start, images)
    names = ["patches", *(f"block{number}" for number in range(1, 13))]
    expected = [*((name, (2, 10, 8)) for name in names), ("tokens", (2, 10, 8)), ("features", (2, 8))]
    assert [(name, layer.shape) for name, layer in layers.items()] == expected


def silu(x):
    return x / (1 + np.exp(-x))


def naive_block(tokens, params, heads, gated=False):
    normed = layer_norm(tokens, params["attention_norm"])
    queries, keys, values = np.split(linear(normed, params["attention"]["qkv"]), 3, axis=-1)
    mixed, size = np.empty_like(tokens), tokens.shape[-1] // heads
    weights = np.empty((len(tokens), heads, tokens.shape[1], tokens.shape[1]))
    for example in range(len(tokens)):
        for head in range(heads):
            part = np.s_[example, :, head * size : (head + 1) * size]
            likely = np.exp(queries[part] @ keys[part].T / np.sqrt(size))
            weights[example, head] = likely / likely.sum(-1, keepdims=True)
            mixed[part] = weights[example, head] @ values[part]
    tokens = tokens + params.get("attention_scale", 1) * linear(mixed, params["attention"]["projection"])
    hidden = linear(layer_norm(tokens, params["mlp_norm"]), params["expand"])
    if gated:
        gate, hidden = np.split(hidden, 2, axis=-1)
        hidden = silu(gate) * hidden
    else:
        hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
    return tokens + params.get("mlp_scale", 1) * linear(hidden, params["contract"]), weights


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "positions"), [("token", "learned"), ("mean", "sincos")])
def test_it_is_the_definition(pool, positions):
    net = vit(**TINY, depth=2, pool=pool, positions=positions)
    (params, stats), images = drawn(net), np.random.default_rng(1).normal(size=(3, 6, 6, 2)).astype(np.float32)
    layers, intermediates = jax.jit(net.inspect)(params, stats, images)
    trained, _ = jax.jit(lambda *inputs: net.apply(*inputs, train=True))(params, stats, images)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), layers, trained)

    params = double(params)
    patches = [double(images)[:, r : r + 2, c : c + 2].reshape(3, 8) for r in (0, 2, 4) for c in (0, 2, 4)]
    tokens = linear(np.stack(patches, 1), params["embedding"])
    if pool == "token":
        tokens = np.concatenate([np.broadcast_to(params["token"], (3, 1, 8)), tokens], axis=1)
    tokens = tokens + (params["positions"] if positions == "learned" else grid_positions(3, 8))
    assert list(intermediates) == ["block1", "block2"]
    for number in (1, 2):
        tokens, weights = naive_block(tokens, params[f"block{number}"], heads=2)
        recorded = intermediates[f"block{number}"]["attention"]
        np.testing.assert_allclose(recorded["weights"], weights, rtol=1e-4, atol=1e-5)
    normed = layer_norm(tokens, params["norm"])
    np.testing.assert_allclose(layers["block2"], tokens, rtol=1e-4, atol=1e-5)
    expected = normed[:, 0] if pool == "token" else normed.mean(1)
    np.testing.assert_allclose(layers["features"], expected, rtol=1e-4, atol=1e-5)
    assert ("token" in params) == (pool == "token") and ("positions" in params) == (positions == "learned")


def test_with_the_parts_of_dinov2_it_is_the_definition():
    options = {"activation": "swiglu", "layer_scale": 0.5, "registers": 2, "mask_token": True}
    net = vit(**TINY, depth=2, **options)
    (params, stats), images = drawn(net), np.random.default_rng(1).normal(size=(3, 6, 6, 2)).astype(np.float32)
    masked = np.random.default_rng(2).random((3, 9)) < 0.4
    layers, _ = jax.jit(lambda *inputs: net.apply(*inputs, train=True))(params, stats, images, None, masked)

    params = double(params)
    patches = [double(images)[:, r : r + 2, c : c + 2].reshape(3, 8) for r in (0, 2, 4) for c in (0, 2, 4)]
    tokens = np.where(masked[:, :, None], params["mask_token"], linear(np.stack(patches, 1), params["embedding"]))
    tokens = np.concatenate([np.broadcast_to(params["token"], (3, 1, 8)), tokens], axis=1) + params["positions"]
    registers = np.broadcast_to(params["registers"], (3, 2, 8))
    tokens = np.concatenate([tokens[:, :1], registers, tokens[:, 1:]], axis=1)
    for number in (1, 2):
        tokens, _ = naive_block(tokens, params[f"block{number}"], heads=2, gated=True)
    normed = layer_norm(tokens, params["norm"])
    np.testing.assert_allclose(layers["tokens"], normed, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layers["features"], normed[:, 0], rtol=1e-4, atol=1e-5)
    assert params["block1"]["contract"]["kernel"].shape == (24, 8)  # 2/3 of 32, up to a multiple of 8
    assert params["block1"]["expand"]["kernel"].shape == (8, 48)


@pytest.mark.slow
def test_layer_scale_starts_at_its_value_and_the_mask_token_at_zero():
    params, _ = vit(**TINY, depth=1, layer_scale=1e-5, mask_token=True, registers=1).init(jax.random.key(0))
    for name in ("attention_scale", "mlp_scale"):
        np.testing.assert_array_equal(params["block1"][name], np.full(8, 1e-5, np.float32))
    assert not params["mask_token"].any() and params["registers"].shape == (1, 8)


@pytest.mark.slow
def test_every_parameter_learns_at_once():
    net = vit(**TINY, depth=1)
    params, stats = drawn(net)
    images = np.random.default_rng(1).normal(size=(3, 6, 6, 2)).astype(np.float32)
    loss = lambda params: net.apply(params, stats, images, train=True)[0]["features"][:, 0].sum()  # noqa: E731
    gradient = jax.jit(jax.grad(loss))(params)
    assert jax.tree.all(jax.tree.map(lambda leaf: bool(leaf.any()), gradient))


def dropping(chance, *, silenced=None):
    """ "block2" of 256 copies of an image less "block1", in training and in evaluation; block 1 never drops."""
    net = vit(**TINY, depth=2, drop_path=chance)
    params, stats = drawn(net)
    if silenced:
        params["block2"][silenced] = jax.tree.map(np.zeros_like, params["block2"][silenced])
    image = np.random.default_rng(1).normal(size=(1, 6, 6, 2)).astype(np.float32)
    train = jax.jit(lambda x, rng: net.apply(params, stats, x, train=True, rng=rng)[0])
    layers = train(np.repeat(image, 256, axis=0), jax.random.key(1))
    still = jax.jit(lambda x: net.apply(params, stats, x, train=False)[0])(image)
    np.testing.assert_allclose(layers["block1"], np.repeat(still["block1"], 256, axis=0), rtol=1e-4, atol=1e-5)
    return np.asarray(layers["block2"] - layers["block1"]), np.asarray(still["block2"] - still["block1"])


@pytest.mark.slow
def test_drop_path_leaves_out_whole_branches_of_some_examples():
    """Of the last block's two branches at a chance of a half: both, either or none, a quarter of the examples each."""
    change, _ = dropping(0.5)
    kinds, counts = np.unique(np.round(change[:, 0, 0], 3), return_counts=True)
    assert len(kinds) == 4 and 0.0 in kinds
    np.testing.assert_allclose(counts / 256, 0.25, atol=0.1)  # Standard error 0.027.


@pytest.mark.slow
def test_drop_path_keeps_the_expectation_of_a_branch():
    """With one branch silenced, a chance of 1/4 leaves 3/4 of the other, each 4/3 as large."""
    change, still = dropping(0.25, silenced="contract")
    kept = np.abs(change).max((1, 2)) > 1e-6
    assert kept.mean() == pytest.approx(0.75, abs=0.1)
    np.testing.assert_allclose(change[kept], np.repeat(still * 4 / 3, kept.sum(), axis=0), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"patch_size": 4}, "patch_size 4 must divide image_size 6"),
        ({"patch_size": 0}, "patch_size 0 must divide image_size 6"),
        ({"heads": 3}, r"dim 8 must be a multiple of heads \(3\)"),
        ({"drop_path": 1.0}, r"drop_path must be a probability in \[0, 1\), got 1"),
        ({"pool": "tokens"}, "did you mean 'token'"),
        ({"positions": "sincos2d"}, "did you mean 'sincos'"),
        ({"activation": "swigl"}, "did you mean 'swiglu'"),
        ({"registers": -1}, "registers, got -1, must be 0"),
        ({"registers": 4, "pool": "mean"}, 'with pool="token", got mean'),
    ],
)
def test_wrong_arguments_are_named(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        vit(**{**TINY, "depth": 1, **wrong})


def test_wrong_calls_are_named():
    net = vit(**TINY, depth=2, drop_path=0.1)
    params, stats = jax.eval_shape(net.init, jax.random.key(0))
    with pytest.raises(ValueError, match=r"in whole patches of 2 pixels, got \(1, 7, 7, 2\)"):
        jax.eval_shape(lambda *a: net.apply(*a, train=False), params, stats, jnp.zeros((1, 7, 7, 2)))
    with pytest.raises(ValueError, match=r"drop_path=0.1 draws at random in training, so `apply` needs `rng`"):
        jax.eval_shape(lambda *a: net.apply(*a, train=True), params, stats, jnp.zeros((1, 6, 6, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["learned", "sincos"])
def test_small_crops_get_interpolated_positions(positions):
    net = vit(**TINY, depth=1, positions=positions)
    params, stats = net.init(jax.random.key(0))
    small, _ = net.apply(params, stats, jnp.ones((2, 4, 4, 2)), train=False)
    assert small["patches"].shape == (2, 5, 8)  # a grid of 2 by 2, and the token
    if positions == "learned":  # positions that rise evenly along the rows still do, once halved in number
        rows = np.repeat([0.0, 1.0, 2.0], 3)[:, None] * np.ones(8)
        params["positions"] = jnp.asarray(np.concatenate([np.full((1, 8), 7.0), rows]), jnp.float32)
        none = jax.tree.map(jnp.zeros_like, params["embedding"])
        layers, _ = net.apply({**params, "embedding": none}, stats, jnp.zeros((1, 4, 4, 2)), train=False)
        token, *patches = layers["patches"][0, :, 0]
        np.testing.assert_allclose(token, 7 + params["token"][0], rtol=1e-6)
        np.testing.assert_allclose(patches[::2], patches[1::2], atol=1e-5)
        np.testing.assert_allclose(patches[0] + patches[2], 2.0, atol=1e-5)
        assert patches[0] < 1 < patches[2]


def visible(pool="token"):
    """The layers of a network of 4 x 4 patches, as a function of images and of the indices of visible patches."""
    net = vit(image_size=12, patch_size=3, dim=8, depth=2, heads=2, channels=1, pool=pool)
    params, stats = net.init(jax.random.key(0))
    return jax.jit(lambda *inputs: net.apply(params, stats, *inputs, train=False)[0])


SQUARES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 12, 12, 1)), jnp.float32)


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["token", "mean"])
def test_with_all_patches_visible_the_layers_are_the_same(pool):
    run, every = visible(pool), jnp.broadcast_to(jnp.arange(16)[None], (2, 16))
    whole = run(SQUARES)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), whole, run(SQUARES, every))
    np.testing.assert_allclose(run(SQUARES, every[:, ::-1])["features"], whole["features"], atol=1e-5)


def test_masked_patches_need_a_mask_token():
    net = vit(**TINY, depth=1)
    start = jax.eval_shape(net.init, jax.random.key(0))
    images, masked = jnp.zeros((1, 6, 6, 2)), jnp.zeros((1, 9), bool)
    with pytest.raises(ValueError, match="make the network with mask_token=True"):
        jax.eval_shape(lambda *inputs: net.apply(*inputs, train=False), *start, images, None, masked)


@pytest.mark.slow
def test_layers_depend_on_visible_patches_alone():
    run, indices = visible(), jnp.array([[0, 5, 7], [15, 2, 3]])
    layers = run(SQUARES, indices)
    assert layers["tokens"].shape == (2, 4, 8)
    hidden = SQUARES.at[0, 0:3, 3:6].set(9.0)  # patch 1 of the first image
    jax.tree.map(np.testing.assert_array_equal, layers, run(hidden, indices))
    shown = SQUARES.at[0, 3:6, 3:6].set(9.0)  # patch 5
    assert (layers["features"][0] != run(shown, indices)["features"][0]).any()


@pytest.mark.parametrize("positions", ["learned", "sincos"])
def test_images_that_are_no_squares_have_interpolated_positions(positions):
    """Tokens of a blank image are its positions, but for the embedding's bias."""
    net = vit(**TINY, depth=1, positions=positions)
    params, stats = net.init(jax.random.key(0))
    layers, _ = net.apply(params, stats, jnp.zeros((1, 4, 10, 2)), train=False)
    square, _ = net.apply(params, stats, jnp.zeros((1, 6, 6, 2)), train=False)
    patches = square["patches"][0, 1:].reshape(3, 3, 8)
    np.testing.assert_allclose(layers["patches"][0, 1:].reshape(2, 5, 8), resize_positions(patches, (2, 5)), atol=1e-5)
    np.testing.assert_array_equal(layers["patches"][0, 0], square["patches"][0, 0])
