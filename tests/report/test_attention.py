"""Attention in the report: roll-out against its definition, maps that light what is looked at, and the section they make."""

from dataclasses import replace
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ssl_jax.commands import Options, pretrain
from ssl_jax.composition.recipe import Recipe
from ssl_jax.data import Data, Synthetic
from ssl_jax.methods.cpc import CPC
from ssl_jax.methods.ijepa import IJEPA
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import encoder, projection_head, vit
from ssl_jax.networks.context import row_context
from ssl_jax.optimizers import adamw
from ssl_jax.report import save_pictures, write_report
from ssl_jax.report.album import attentions_of
from ssl_jax.report.attention import alignment_matrix, attention_maps, heat, on_grid, rollout

HEADING = "<h2>Attention maps</h2>"


def softmaxes(*shape: int) -> np.ndarray:
    scores = np.exp(np.random.default_rng(0).normal(size=shape))
    return (scores / scores.sum(axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("tokens", [9, 10, 13])
def test_roll_out_is_the_product_of_half_identity_and_half_attention(tokens):
    attentions = softmaxes(3, 2, 4, tokens, tokens)
    for image, found in enumerate(rollout(attentions, grid=(3, 3))):
        through = np.eye(tokens)
        for block in range(3):
            mean = sum(attentions[block, image, head].astype(np.float64) for head in range(4)) / 4
            half = 0.5 * mean + 0.5 * np.eye(tokens)
            through = np.stack([row / row.sum() for row in half]) @ through
        expected = through[0] if tokens > 9 else through.mean(axis=0)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_allclose(found.sum(), 1, rtol=1e-12)


@pytest.mark.parametrize("tokens", [9, 10, 13])
def test_maps_are_of_the_last_block_and_of_the_query_that_makes_the_features(tokens):
    attentions = softmaxes(3, 2, 4, tokens, tokens)
    last = attentions[2].astype(np.float64)
    expected = last[:, :, 0, -9:] if tokens > 9 else last.mean(axis=2)
    np.testing.assert_allclose(attention_maps(attentions, grid=(3, 3)), expected.reshape(2, 4, 3, 3), rtol=1e-6)


def test_tokens_that_look_at_themselves_alone_stay_where_they_are():
    with_class, without = (np.broadcast_to(np.eye(tokens), (3, 1, 2, tokens, tokens)) for tokens in (5, 4))
    np.testing.assert_array_equal(rollout(with_class, grid=(2, 2)), [[1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(rollout(without, grid=(2, 2)), np.full((1, 4), 1 / 4))
    assert not attention_maps(with_class, grid=(2, 2)).any() and (attention_maps(without, grid=(2, 2)) == 1 / 4).all()


@pytest.mark.parametrize("first", [0, 1, 5])
def test_a_patch_that_all_look_at_is_lit(first):
    attentions = np.zeros((2, 1, 2, first + 9, first + 9), np.float32)
    attentions[..., first + 5] = 1  # The second row of patches, its last column.
    there = np.zeros((3, 3))
    there[1, 2] = 1
    np.testing.assert_allclose(attention_maps(attentions, grid=(3, 3)), np.broadcast_to(there, (1, 2, 3, 3)), rtol=1e-6)
    rolled = on_grid(rollout(attentions, grid=(3, 3)), grid=(3, 3))[0]
    assert rolled.argmax() == 5 and rolled[1, 2] > 0.7
    image = np.full((6, 6, 1), 100, np.uint8)
    lit = heat(image, rolled)
    grey = (lit == np.round(0.6 * 100)).all(axis=-1)
    assert lit.dtype == np.uint8 and lit.shape == (6, 6, 3)
    np.testing.assert_array_equal(~grey, np.kron(there, np.ones((2, 2))))
    assert (lit[2, 4] == np.round([225.75, 158.6, 36.2])).all()  # 0.85 amber, 0.15 of the grey.


def test_weights_that_are_all_the_same_light_nothing():
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    flat = heat(image, np.full((2, 2), 0.25) + 1e-9 * np.arange(4.0).reshape(2, 2))
    assert (flat == np.round(0.6 * image.mean(axis=-1, keepdims=True))).all()


def test_fewer_tokens_than_patches_are_refused():
    for function in (rollout, attention_maps):
        with pytest.raises(ValueError, match="a grid of 3 x 3 patches has 9 tokens or more, got 8"):
            function(softmaxes(1, 1, 1, 8, 8), grid=(3, 3))


def page_with(run, **arrays) -> str:
    (run / "run.json").write_text("{}")
    save_pictures(run, **arrays)
    return write_report(run).read_text(encoding="utf-8")


def test_the_section_is_there_only_where_there_are_maps(tmp_path):
    images = np.zeros((3, 6, 6, 1), np.uint8)
    maps = {"attention_image": images, "attention": softmaxes(3, 2, 3, 3), "rollout": softmaxes(3, 3, 3)}
    page = page_with(tmp_path, **maps)
    assert HEADING in page and page.count("<img ") == 3 * 4
    assert [f"<h3>{name}</h3>" in page for name in ("Image", "Head 1", "Head 2", "Roll-out")] == [True] * 4
    assert HEADING not in page_with(tmp_path, views=images[:, None])
    for name, value in maps.items():
        assert HEADING not in page_with(tmp_path, **(maps | {name: np.full(value.shape, np.nan)}))
    page = page_with(tmp_path, **maps | {"attention": softmaxes(3, 7, 3, 3)})
    assert "<h3>Mean of heads</h3>" in page and page.count("<img ") == 3 * 3


NET = vit(image_size=8, patch_size=4, channels=1, dim=8, depth=2, heads=2, pool="mean")
HEAD = projection_head(inputs=8, widths=(4,))
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)


def prepare(image):
    return image.astype(jnp.float32) / 255


@pytest.mark.slow
def test_a_shrunk_run_of_a_vit_draws_its_attention(tmp_path):
    method = SimCLR(encoder("vit_micro", image_shape=(16, 16, 3)), projection_head(inputs=64, widths=(8,)))
    recipe = Recipe(
        Data("synthetic", Synthetic(size=16), None), method, lambda rng, image: jnp.stack([prepare(image)] * 2), prepare,
        lambda steps: adamw(optax.constant_schedule(1e-3)), batch_size=8, epochs=1, name="simclr/shrunk",
    )  # fmt: skip
    pretrain(lambda: recipe, Options(run=tmp_path / "run", devices=1))
    with np.load(tmp_path / "run/pictures.npz") as pictures:
        images, maps, rolled = (pictures[name] for name in ("attention_image", "attention", "rollout"))
    np.testing.assert_array_equal(images[-1], recipe.data.train[15]["image"])
    assert images.shape == (8, 16, 16, 3) and maps.shape == (8, 4, 8, 8) and rolled.shape == (8, 8, 8)
    for weights in (maps.sum(axis=(2, 3)), rolled.sum(axis=(1, 2))):
        assert (weights > 0).all() and (weights < 1).all()  # The rest is the class token's.
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert HEADING in page and "<h3>Head 4</h3>" in page


@pytest.mark.slow
def test_attention_is_that_of_the_weights_that_are_evaluated():
    method = IJEPA(encoder=NET, predictor=NET, steps=1)
    (params, stats), (target, _) = (NET.init(jax.random.key(seed)) for seed in (0, 1))
    state = {"encoder": stats, "target": target}
    found, grid = attentions_of(method, prepare)({"encoder": params}, state, IMAGES)
    _, blocks = NET.inspect(target, stats, jax.vmap(prepare)(IMAGES))
    expected = [blocks[f"block{number}"]["attention"]["weights"] for number in (1, 2)]
    assert found.shape == (2, 2, 2, 4, 4) and grid == (2, 2)
    np.testing.assert_array_equal(found, expected)


def test_features_that_are_no_vits_own_have_no_attention():
    context = row_context(inputs=HEAD.width, width=4, depth=1)
    of_tiles = CPC(encoder=NET, head=HEAD, context=context, predictor=HEAD, patch_size=8, stride=8, prediction_steps=1)
    assert attentions_of(of_tiles, prepare)(*of_tiles.init(jax.random.key(0)), IMAGES) is None
    convolutions = SimCLR(encoder("small", image_shape=(8, 8, 1)), HEAD)
    assert attentions_of(convolutions, prepare)(*convolutions.init(jax.random.key(0)), IMAGES) is None
    by_hand = replace(convolutions, encoder=replace(NET, inspect=None))
    assert attentions_of(by_hand, prepare)(*by_hand.init(jax.random.key(0)), IMAGES) is None


@pytest.mark.slow
def test_blocks_are_in_order_of_depth():
    """Names in alphabetical order, as `jit` sorts them, would have block10 before block2."""
    deep = vit(image_size=8, patch_size=4, channels=1, dim=4, depth=10, heads=1)
    method = SimCLR(deep, projection_head(inputs=4, widths=(4,)))
    params, state = method.init(jax.random.key(0))
    found, _ = jax.jit(attentions_of(method, prepare))(params, state, IMAGES)
    _, blocks = deep.inspect(params["encoder"], state["encoder"], jax.vmap(prepare)(IMAGES))
    for number in (2, 10):
        np.testing.assert_allclose(found[number - 1], blocks[f"block{number}"]["attention"]["weights"], atol=1e-6)


def test_an_alignment_is_stronger_where_more_is_read():
    weights = np.array([[0.9, 0.1, 0.0], [0.25, 0.0, 0.75]])
    figure = alignment_matrix(weights, rows=["F", "<Z>"], columns="abc", title="Spelt & said")
    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(figure)
    assert [text.text for text in root.iter(f"{svg}text")] == ["Spelt & said", "a", "b", "c", "F", "<Z>"]
    ground, *cells = root.iter(f"{svg}rect")
    places = [(float(cell.get("y")), float(cell.get("x")), float(cell.get("fill-opacity"))) for cell in cells]
    assert [opacity for *_, opacity in places] == [0.9, 0.1, 0.25, 0.75]
    (top, left, _), (_, middle, _), (below, *_), (_, right, _) = places
    assert below - top == middle - left == (right - left) / 2 > 0
    assert next(cells[3].iter(f"{svg}title")).text == "<Z> attends to c: 0.75"
    assert float(ground.get("width")) == 1.5 * float(ground.get("height"))


def test_an_alignment_needs_a_name_for_each_row_and_column():
    with pytest.raises(ValueError, match=r"alignment_matrix: 3 rows and 2 columns, got weights \(2, 3\)"):
        alignment_matrix(np.zeros((2, 3)), rows="abc", columns="de", title="turned")
