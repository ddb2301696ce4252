"""MoCo's recipes beside the authors' commands, and why their batch statistics are shuffled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.methods.moco import MoCo, interleave
from ssl_jax.networks import linear_head, resnet18
from ssl_jax.recipes.moco import imagenet, imagenet_v1
from ssl_jax.train.state import init_state


@pytest.mark.slow
def test_the_versions_differ_by_head_temperature_and_schedule():
    first, second = imagenet_v1(data="synthetic"), imagenet(data="synthetic")
    heads = [
        jax.eval_shape(lambda recipe=recipe: init_state(recipe.method, recipe.optimizer(100).transformation, seed=0))
        .params["head"]
        for recipe in (first, second)
    ]  # fmt: skip
    assert [len(head) for head in heads] == [1, 2]
    assert (first.method.temperature, second.method.temperature) == (0.07, 0.2)
    rates = [recipe.optimizer(200).learning_rate for recipe in (first, second)]
    assert [float(rates[0](step)) for step in (0, 119, 121, 161)] == pytest.approx([0.03, 0.03, 3e-3, 3e-4])
    assert float(rates[1](100)) == pytest.approx(0.015)


@pytest.mark.slow
@pytest.mark.parametrize("shuffle", [True, False])
def test_interleaving_separates_the_statistics_of_a_query_and_its_key(shuffle):
    """With statistics of their own in each part, keys in the batch's order are normed with the query's companions."""
    encoder = resnet18(stem="mnist", channels=1, groups=4)
    head = linear_head(inputs=encoder.width, outputs=4)
    method = MoCo(encoder, head, 10, queue_length=16, norm_groups=4 if shuffle else 1)
    params, state = jax.jit(lambda: method.init(jax.random.key(0)))()
    image = np.random.default_rng(0).random((16, 1, 8, 8, 1), np.float32)
    views = {"views": jnp.asarray(np.concatenate([image, image], axis=1))}  # the same image twice
    embeddings, _ = jax.jit(method.encode)(params, state, views, jax.random.key(1), jnp.int32(0))
    same = np.allclose(embeddings["embedding"], embeddings["target"], atol=1e-4)
    assert same is not shuffle


def test_interleaving_is_undone_and_puts_every_fourth_row_into_one_part():
    rows = jnp.arange(16)
    np.testing.assert_array_equal(interleave(rows, 4)[:4], [0, 4, 8, 12])
    np.testing.assert_array_equal(interleave(interleave(rows, 4), 4), rows)
    np.testing.assert_array_equal(interleave(interleave(rows, 2), 8), rows)
    with pytest.raises(UsageError, match="batch_size: 16 examples cannot be cut into 5 parts"):
        interleave(rows, 5)
