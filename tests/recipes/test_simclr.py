"""SimCLR's recipes beside the authors' commands."""

import jax
import pytest

from ssl_jax.recipes.simclr import cifar, imagenet, imagenet_v2
from ssl_jax.train.state import init_state


def shapes(recipe):
    return jax.eval_shape(lambda: init_state(recipe.method, recipe.optimizer(1000).transformation, seed=0))


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.slow
def test_imagenet_is_the_authors():
    recipe = imagenet(data="synthetic", epochs=100)
    state = shapes(recipe)
    assert count(state.params["encoder"]) == 23_508_032  # ResNet-50 without its classifier
    layer = 2048 * 2048 + 2 * 2048  # gains and offsets; the last norm has gains
    assert count(state.params["head"]) == 2 * layer + 2048 * 128 + 128
    rate = recipe.optimizer(1000).learning_rate
    assert float(rate(0)) == 0 and float(rate(100)) == pytest.approx(0.3 * 4096 / 256) and float(rate(1000)) == 0
    assert imagenet(data="synthetic", scaling="sqrt", learning_rate=0.075).optimizer(1000).learning_rate(
        100
    ) == pytest.approx(4.8)


def test_cifar_is_the_authors():
    recipe = cifar(data="synthetic")
    state = shapes(recipe)
    assert count(state.params["encoder"]) == 11_168_832  # ResNet-18 with a 3x3 stem
    assert recipe.method.temperature == 0.5 and recipe.batch_size == 512
    assert float(recipe.optimizer(1000).learning_rate(10)) == pytest.approx(2.0)


def test_the_second_version_has_a_head_of_three_layers():
    recipe = imagenet_v2(data="synthetic")
    head = 2 * (2048 * 2048 + 2 * 2048) + 2048 * 128 + 128
    assert count(shapes(recipe).params["head"]) == head
    rate = recipe.optimizer(800).learning_rate
    assert float(rate(40)) == pytest.approx(0.1 * 4096**0.5) and float(rate(20)) == pytest.approx(3.2)
