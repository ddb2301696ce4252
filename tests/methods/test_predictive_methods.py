"""MAE, I-JEPA, CPC, inpainting, colourisation and LeJEPA: what is told from what, and what is commonly got wrong."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.lab import with_color
from ssl_jax.augment.masking import block_masking, hole_masking, random_masking
from ssl_jax.errors import UsageError
from ssl_jax.methods.colorization import Colorization
from ssl_jax.methods.cpc import CPC
from ssl_jax.methods.ijepa import IJEPA
from ssl_jax.methods.inpainting import Inpainting
from ssl_jax.methods.lejepa import LeJEPA
from ssl_jax.methods.mae import MAE
from ssl_jax.networks import linear_head, small_convnet, vit
from ssl_jax.networks.context import row_context
from ssl_jax.networks.masked_decoder import masked_decoder

RANDOM = np.random.default_rng(0)
IMAGES = jnp.asarray(RANDOM.normal(size=(4, 16, 16, 1)), jnp.float32)
RNG, STEP = jax.random.key(1), jnp.int32(0)
VIT = vit(image_size=16, patch_size=2, dim=8, depth=1, heads=2, channels=1, pool="mean", positions="sincos")
CONV = small_convnet(channels=1, widths=(4,), strides=(2,))


def views_of(augment):
    return jax.jit(jax.vmap(augment))(jax.random.split(jax.random.key(0), len(IMAGES)), IMAGES)


def as_it_is(rng, image):
    return image[None]


def encoded(method, views):
    @jax.jit
    def encode(views):
        params, state = method.init(jax.random.key(0))
        return method.encode(params, state, views, RNG, STEP)[0]

    return encode(views)


@pytest.mark.slow
def test_mae_predicts_the_pixels_of_the_hidden_patches():
    decoder = masked_decoder(inputs=8, outputs=4, grid=8, dim=8, depth=1, heads=2)
    method = MAE(encoder=VIT, decoder=decoder, patch_size=2, normalize_targets=False)
    views = views_of(random_masking(as_it_is, grid=8))
    embeddings = encoded(method, views)
    place = int(views["wanted"][1, 7])
    row, column = 2 * (place // 8), 2 * (place % 8)
    np.testing.assert_array_equal(embeddings["target"][1, 7], IMAGES[1, row : row + 2, column : column + 2].reshape(-1))
    # A hidden patch changes its target and nothing that is predicted.
    hidden = views["views"].at[1, 0, row : row + 2, column : column + 2].add(1.0)
    changed = encoded(method, {**views, "views": hidden})
    np.testing.assert_array_equal(changed["prediction"], embeddings["prediction"])
    right = {**embeddings, "prediction": embeddings["target"]}
    assert method.objective(right, {}, RNG, STEP)[0] == 0


def ijepa(steps=10):
    return IJEPA(
        encoder=VIT,
        predictor=masked_decoder(inputs=8, outputs=8, grid=8, dim=8, depth=1, heads=2),
        steps=steps,
        momentum=0.5,
    )


@pytest.mark.slow
def test_ijepa_targets_are_normed_tokens_of_the_target_encoder_on_the_whole_image():
    method, views = ijepa(), views_of(block_masking(as_it_is, grid=8))
    params, state = jax.jit(method.init)(jax.random.key(0))
    state = {**state, "target": jax.tree.map(lambda leaf: leaf + 0.1, state["target"])}
    embeddings, _ = jax.jit(method.encode)(params, state, views, RNG, STEP)
    layers, _ = jax.jit(functools.partial(VIT.apply, train=False))(state["target"], {}, IMAGES)
    tokens = np.asarray(layers["tokens"], np.float64)
    place = int(views["wanted"][2, 1, 3])
    token = tokens[2, place]
    np.testing.assert_allclose(
        embeddings["target"][2, 1, 3], (token - token.mean()) / np.sqrt(token.var() + 1e-5), rtol=1e-3, atol=1e-4
    )


@pytest.mark.slow
def test_ijepa_does_not_count_what_fills_a_block_up():
    method, views = ijepa(), views_of(block_masking(as_it_is, grid=8))
    embeddings = encoded(method, views)
    wrong = jnp.where(views["counted"][..., None], embeddings["target"], 100.0)
    assert not views["counted"].all() and method.objective({**embeddings, "prediction": wrong}, {}, RNG, STEP)[0] == 0


def test_ijepa_target_follows_with_a_momentum_that_rises_linearly():
    method = ijepa(steps=10)
    params = {"encoder": {"a": jnp.float32(1)}}
    for step, weight in ((0, 0.5), (5, 0.25), (10, 0.0)):
        _, state = method.after_step(params, {"target": {"a": jnp.float32(0)}}, jnp.int32(step))
        np.testing.assert_allclose(state["target"]["a"], weight, atol=1e-6)


@pytest.mark.slow
def test_ijepa_is_judged_by_the_last_four_blocks_of_the_target_encoder():
    method = ijepa()
    params, state = jax.jit(method.init)(jax.random.key(0))
    tokens = method.encoder.apply(state["target"], state["encoder"], IMAGES, train=False)[0]
    features = jax.jit(method.features)({**params, "encoder": None}, state, IMAGES)["features"]
    blocks = [np.asarray(tokens[name]) for name in tokens if name.startswith("block")][-4:]
    normed = [(x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) for x in blocks]
    expected = np.concatenate([x.mean(axis=1) for x in normed], axis=-1)
    assert features.shape == expected.shape
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)


def cpc_method(rows=2):
    return CPC(
        CONV,
        linear_head(inputs=CONV.width, outputs=6),
        context=row_context(inputs=6, width=8, depth=2),
        predictor=linear_head(inputs=8, outputs=12),
        patch_size=4,
        stride=3,
        prediction_steps=rows,
    )


@pytest.mark.slow
def test_cpc_predicts_from_rows_above_only():
    """Without batch statistics, which tell of the whole batch: what lies below a place does not move its predictions."""
    method = cpc_method()
    params, state = jax.jit(method.init)(jax.random.key(0))
    grid = jnp.asarray(RANDOM.normal(size=(2, 5, 5, 6)), jnp.float32)
    told = method.context.apply(params["context"], state["context"], grid, train=True)[0]
    below = method.context.apply(params["context"], state["context"], grid.at[:, 3].add(1.0), train=True)[0]
    np.testing.assert_array_equal(told[:, :3], below[:, :3])
    embeddings = encoded(method, {"views": IMAGES[:, None]})
    assert embeddings["predictions"].shape == (4, 5, 5, 2, 6) and embeddings["grid"].shape == (4, 5, 5, 6)


@pytest.mark.slow
def test_cpc_hides_the_rim_of_a_patch_in_training_only():
    """With sub-crops of one pixel out of 4 x 4 the encoder sees no more of a patch than that, moved to its middle."""
    whole, cropped = cpc_method(), dataclasses.replace(cpc_method(), sub_crop=1)
    flat = {"views": jnp.ones_like(IMAGES[:, None])}  # Every pixel of every patch is the same one.
    spread = jnp.ptp(encoded(cropped, flat)["grid"], axis=(0, 1, 2)).max()
    np.testing.assert_allclose(spread, 0, atol=1e-4)
    seen = {"views": IMAGES[:, None]}
    assert not np.allclose(encoded(cropped, seen)["grid"], encoded(whole, seen)["grid"], atol=1e-3)
    params, state = whole.init(jax.random.key(0))
    pair = (method.features(params, state, IMAGES)["features"] for method in (whole, cropped))
    np.testing.assert_array_equal(*pair)
    with pytest.raises(UsageError, match="sub_crop: must be 1 to the 4 pixels of a patch, got 5"):
        dataclasses.replace(cpc_method(), sub_crop=5)


def test_cpc_knows_its_patch_from_all_patches_of_the_batch():
    """A prediction that is the right patch, far away, costs nothing; one row off costs."""
    method, grid = cpc_method(), 30 * jnp.asarray(RANDOM.normal(size=(2, 5, 5, 64)), jnp.float32)
    right = jnp.stack([jnp.roll(grid, -step, axis=1) for step in (2, 3)], axis=3)
    assert method.objective({"predictions": right, "grid": grid}, {}, RNG, STEP)[0] < 1e-3
    assert method.objective({"predictions": jnp.roll(right, 1, axis=1), "grid": grid}, {}, RNG, STEP)[0] > 10
    with pytest.raises(UsageError, match="the predictor has 12 outputs, expected 6 for each of 3 prediction steps"):
        cpc_method(rows=3)


def test_cpc_tells_patches_from_the_image_that_it_has_read():
    """The pixel in the corner is of one patch only, and yet the last row knows of it where the context is deep enough."""
    method = cpc_method()
    params, state = jax.jit(method.init)(jax.random.key(0))
    embed = jax.jit(method.features)
    layers = embed(params, state, IMAGES)
    assert {name: layer.shape[1:] for name, layer in layers.items()} == {
        "patches": (5, 5, CONV.width), "patch_features": (CONV.width,), "context": (5, 5, 8), "features": (8,),
    }  # fmt: skip
    np.testing.assert_allclose(layers["patch_features"], layers["patches"].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layers["features"], layers["context"][:, 4].mean(axis=1), rtol=1e-5)
    for row, known in (
        (0, False),
        (6, True),
    ):  # Two blocks see two rows above; pixel row 6 is of patches of rows 1 and 2.
        changed = embed(params, state, IMAGES.at[:, row, 0].add(1.0))
        assert (np.abs(changed["patch_features"] - layers["patch_features"]) > 1e-5).any()
        assert (np.abs(changed["features"] - layers["features"]) > 1e-6).any() == known


def test_inpainting_compares_with_what_was_in_the_hole():
    method = Inpainting(CONV, linear_head(inputs=CONV.width, outputs=36))
    views = views_of(hole_masking(as_it_is, hole=6))
    embeddings = encoded(method, views)
    loss, _, _ = method.objective(embeddings, {}, RNG, STEP)
    expected = np.mean((np.asarray(embeddings["embedding"][:, 0]) - np.asarray(views["hole"]).reshape(4, -1)) ** 2)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    with pytest.raises(UsageError, match="views need the pixels of the hole"):
        encoded(method, {"views": IMAGES[:, None]})


def test_inpainting_of_holes_anywhere_counts_their_pixels_alone():
    side, channels = IMAGES.shape[1], IMAGES.shape[3]
    method = Inpainting(CONV, linear_head(inputs=CONV.width, outputs=side**2 * channels))
    views = views_of(hole_masking(as_it_is, hole=6, anywhere=2))
    embeddings = encoded(method, views)
    loss, _, _ = method.objective(embeddings, {}, RNG, STEP)
    errors = (np.asarray(embeddings["embedding"]).reshape(views["hole"].shape) - np.asarray(views["hole"])) ** 2
    np.testing.assert_allclose(loss, errors[np.asarray(views["counted"])].mean(), rtol=1e-5)


def test_lejepa_draws_its_directions_from_the_key_and_weighs_its_terms():
    method = LeJEPA(CONV, linear_head(inputs=CONV.width, outputs=8), weight=0.25, directions=2)
    views = jax.random.normal(jax.random.key(3), (64, 2, 8)) * jnp.arange(1.0, 9)[None, None]
    (first, _, terms), (second, _, _) = (
        method.objective({"embedding": views}, {}, jax.random.key(seed), STEP) for seed in (0, 1)
    )
    assert first != second
    np.testing.assert_allclose(first, 0.75 * terms["prediction"] + 0.25 * terms["gaussian"], rtol=1e-6)
    with pytest.raises(UsageError, match=r"weight: got 1\.5, expected 0 to 1"):
        LeJEPA(CONV, CONV, weight=1.5)


def colorization(**options):
    colors = np.array([[0, 0], [50, 0], [0, 50]], np.float32)
    return Colorization(CONV, linear_head(inputs=4, outputs=12), layer="layer1", cells=2, colors=colors, **options)


def test_colorization_names_the_nearest_colour_of_each_cell():
    color = jnp.zeros((4, 16, 16, 2)).at[1, 2, 3].set(jnp.array([48.0, 9.0])).at[1, 0, :].set(jnp.array([5.0, 40.0]))
    embeddings = encoded(colorization(), {"views": IMAGES[:, None], "color": color})
    assert embeddings["logits"].shape == (4, 16, 16, 3)  # 8 x 8 places, 2 x 2 cells in each
    assert embeddings["color"][1, 2, 3] == 1 and (embeddings["color"][1, 0] == 2).all()
    assert embeddings["color"].sum() == 1 + 2 * 16
    with pytest.raises(UsageError, match="views need their colours"):
        encoded(colorization(), {"views": IMAGES[:, None]})


def test_colorizations_cells_lie_where_they_are_told():
    """The head's outputs of one place, in rows and columns of its cells."""
    method = colorization()
    params, state = jax.jit(method.init)(jax.random.key(0))
    params["head"] = {"layer1": {"kernel": jnp.zeros((4, 12)), "bias": jnp.arange(12.0)}}
    views = {"views": IMAGES[:, None], "color": jnp.zeros((4, 16, 16, 2))}
    logits = jax.jit(method.encode)(params, state, views, RNG, STEP)[0]["logits"]
    for row in range(2):
        for column in range(2):
            cell = 3 * (2 * row + column)
            expected = jnp.broadcast_to(jnp.arange(cell, cell + 3.0), (4, 8, 8, 3))
            np.testing.assert_array_equal(logits[:, row::2, column::2], expected)


def test_colorization_shows_the_colours_that_its_head_prefers():
    method = colorization()
    params, state = jax.jit(method.init)(jax.random.key(0))
    preferred = jnp.tile(jnp.array([0.0, 20.0, 0.0]), 4)  # The second colour, in each of four cells.
    params["head"] = {"layer1": {"kernel": jnp.zeros((4, 12)), "bias": preferred}}
    views = {"views": IMAGES[:, None], "color": jnp.full((4, 16, 16, 2), 10.0)}
    predicted, true = jax.jit(method.colorize)(params, state, views)
    np.testing.assert_allclose(true, with_color(IMAGES, views["color"]), atol=1e-5)
    expected = jnp.broadcast_to(jnp.array([50.0, 0.0]), (4, 16, 16, 2))
    np.testing.assert_allclose(predicted, with_color(IMAGES, expected), atol=1e-4)


def test_colorization_counts_rare_colours_more_as_it_learns_how_rare_they_are():
    method = colorization(frequency_momentum=0.0)
    _, state = jax.jit(method.init)(jax.random.key(0))
    color = jnp.zeros((1, 4, 4), jnp.int32).at[0, 0, 0].set(1)
    embeddings = {"logits": jnp.zeros((1, 4, 4, 3)), "color": color}
    loss, state, _ = method.objective(embeddings, state, RNG, STEP)
    np.testing.assert_allclose(loss, np.log(3), rtol=1e-6)
    np.testing.assert_allclose(state["frequency"], [15 / 16, 1 / 16, 0])
    sure = {**embeddings, "logits": embeddings["logits"].at[..., 0].set(5.0)}  # wrong about the rare one
    loss, _, _ = method.objective(sure, state, RNG, STEP)
    weights = 1 / (0.5 * np.array([15 / 16, 1 / 16]) + 0.5 / 3)
    nats = -np.log(np.array([np.exp(5), 1]) / (np.exp(5) + 2))
    shares = weights * [15, 1]
    np.testing.assert_allclose(loss, (shares * nats).sum() / shares.sum(), rtol=1e-5)
    with pytest.raises(UsageError, match="the head must have 3 outputs for each of 4 cells, got 36"):
        Colorization(
            CONV, linear_head(inputs=4, outputs=36), layer="layer1", cells=2, colors=np.zeros((3, 2), np.float32)
        )


@pytest.mark.parametrize(
    "make",
    [lambda net: MAE(encoder=net, decoder=net, patch_size=2), lambda net: IJEPA(encoder=net, predictor=net, steps=1)],
)
def test_an_encoder_without_patches_is_refused(make):
    net = small_convnet(channels=1, widths=(4,), strides=(2,))
    with pytest.raises(
        UsageError, match=r"^encoder: \w+ encodes a part of an image's patches, got a network without patches"
    ):
        make(net)
