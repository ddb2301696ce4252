"""What recipes of one scale share: how images and networks meet."""

import jax
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.recipes import colorization, simclr
from ssl_jax.recipes.scales import CIFAR_STATISTICS, scale


def test_grey_images_become_colour_where_the_statistics_are_those_of_colour():
    common = {"data": "digits", "image_size": 8, "encoder": "small", "precision": "float32", "strict": False}
    assert scale(**common).data.train.image_shape == (8, 8, 1)
    shown = scale(**common, statistics=CIFAR_STATISTICS)
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
