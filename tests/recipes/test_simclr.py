"""The papers' scales, traced at full size: nothing is compiled or run."""

import jax
import jax.numpy as jnp
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.recipes import find, methods, recipes
from ssl_jax.recipes.simclr import cifar, demo, imagenet
from ssl_jax.train.state import init_state
from ssl_jax.train.step import make_step


def traced(recipe):
    """Shapes of the state and of the metrics of one step at full size."""
    optimizer = recipe.optimizer(1000)
    state = jax.eval_shape(lambda: init_state(recipe.method, optimizer.transformation, seed=0))
    batch = {
        "image": jax.ShapeDtypeStruct((recipe.batch_size, *recipe.data.train.image_shape), jnp.uint8),
        "label": jax.ShapeDtypeStruct((recipe.batch_size,), jnp.int32),
        "index": jax.ShapeDtypeStruct((recipe.batch_size,), jnp.int32),
    }
    after, metrics = jax.eval_shape(make_step(recipe.method, recipe.augment, optimizer, seed=0), state, batch)
    assert jax.tree.structure(after) == jax.tree.structure(state) and metrics["loss"].shape == ()
    return state


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_imagenet_is_the_authors():
    recipe = imagenet(data="synthetic", epochs=100)
    state = traced(recipe)
    assert count(state.params["encoder"]) == 23_508_032  # ResNet-50 without its classifier
    assert count(state.params["head"]) == 2048 * 2048 + 2 * 2048 + 2048 * 128 + 128  # gains and offsets; the last gain
    rate = recipe.optimizer(1000).learning_rate
    assert float(rate(0)) == 0 and float(rate(100)) == pytest.approx(0.3 * 4096 / 256) and float(rate(1000)) == 0
    assert imagenet(data="synthetic", scaling="sqrt", learning_rate=0.075).optimizer(1000).learning_rate(
        100
    ) == pytest.approx(4.8)


def test_cifar_is_the_authors():
    recipe = cifar(data="synthetic")
    state = traced(recipe)
    assert count(state.params["encoder"]) == 11_168_832  # ResNet-18 with a 3x3 stem
    assert recipe.method.temperature == 0.5 and recipe.batch_size == 512
    assert float(recipe.optimizer(1000).learning_rate(10)) == pytest.approx(2.0)


def test_arguments_make_the_recipe_again():
    recipe = demo(data="synthetic", image_size=16, temperature=0.3)
    again = find("simclr", "demo")(**recipe.arguments)
    assert again.arguments == recipe.arguments and again.method.temperature == 0.3 and recipe.name == "simclr/demo"
    assert recipe.steps == round(recipe.epochs * len(recipe.data.train) / recipe.batch_size)


def test_names():
    assert methods() == ["simclr"] and set(recipes("simclr")) == {"demo", "cifar", "imagenet"}
    with pytest.raises(UsageError, match="unknown recipe of simclr 'cifra': did you mean 'cifar'"):
        find("simclr", "cifra")
