"""Images and the encoder for them: how they meet, and what a recipe is made of."""

from dataclasses import replace

import jax
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.recipes import colorization, mae, simclr
from ssl_jax.recipes.images import CIFAR_STATISTICS, Images

DIGITS = Images("digits", 8, "small")


def test_grey_images_become_colour_where_the_statistics_are_those_of_colour():
    assert DIGITS.open().data.train.image_shape == (8, 8, 1)
    shown = replace(DIGITS, statistics=CIFAR_STATISTICS).open()
    image = shown.data.train[0]["image"]
    assert image.shape == (8, 8, 3) and (image == image[..., :1]).all()
    assert shown.data.test.image_shape == (8, 8, 3)
    assert jax.eval_shape(shown.prepare, image).shape == (8, 8, 3)


def test_a_recipe_for_colour_takes_digits():
    recipe = simclr.cifar(data="digits", image_size=8, encoder="small")
    assert jax.eval_shape(recipe.augment, jax.random.key(0), recipe.data.train[0]["image"]).shape == (2, 8, 8, 3)


@pytest.mark.parametrize("make", [colorization.demo, colorization.imagenet])
def test_grey_images_have_no_colours_to_predict(make):
    with pytest.raises(UsageError, match="digits holds grey images, expected colour"):
        make(data="digits")


def test_what_an_encoder_cannot_do_is_one_sentence():
    with pytest.raises(UsageError, match="encoder: colorization needs layers that are maps, got vit_micro: choose"):
        colorization.demo(encoder="vit_micro")
    with pytest.raises(
        UsageError, match="encoder: mae hides patches from a ViT, got resnet18: choose one of vit_micro"
    ):
        mae.demo(encoder="resnet18")


@pytest.mark.parametrize(
    ("encoder", "family"), [("small", "small"), ("resnet50", "resnet"), ("vit_small/16", "vit"), ("vit_micro", "vit")]
)
def test_options_reach_the_encoders_of_their_family(encoder, family):
    """A name that no encoder takes is refused by the encoder, so it arrives."""
    images = Images("synthetic", 32, encoder)
    assert images.family == family
    others = {name: {"no_such_option": 1} for name in {"small", "resnet", "vit"} - {family}}
    assert images.open(**others).encoder.width > 0
    with pytest.raises(TypeError, match="no_such_option"):
        images.open(**{family: {"no_such_option": 1}})


@pytest.mark.parametrize(("encoder", "size", "patch"), [("vit_micro", 28, 4), ("vit_micro/7", 28, 7), ("small", 28, 0)])
def test_patches_are_those_of_the_encoder(encoder, size, patch):
    opened = Images("synthetic", size, encoder).open()
    assert opened.patch_size == patch and (not patch or opened.grid == size // patch)


def test_images_that_are_stored_larger_are_evaluated_on_their_middle():
    assert DIGITS.crop_fraction == 1 and replace(DIGITS, stored_size=16).crop_fraction == 0.5
    opened = replace(DIGITS, stored_size=16).open()
    assert opened.data.train.image_shape == (16, 16, 1)
    assert jax.eval_shape(opened.prepare, opened.data.train[0]["image"]).shape == (8, 8, 1)


def test_heads_stand_on_the_encoder_or_on_another_number_of_inputs():
    opened = DIGITS.open()
    params, _ = jax.eval_shape(opened.head(6, 4).init, jax.random.key(0))
    assert params["layer1"]["kernel"].shape == (opened.encoder.width, 6)
    params, _ = jax.eval_shape(opened.linear(4, inputs=5).init, jax.random.key(0))
    assert params["layer1"]["kernel"].shape == (5, 4)
