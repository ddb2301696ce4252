"""Encoders from outside the package: modules of flax NNX and Linen, and pairs of functions, pre-train like our own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from ssl_jax.augment.views import digit_views
from ssl_jax.data import Batches, Synthetic
from ssl_jax.errors import UsageError
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import projection_head
from ssl_jax.networks.given import as_encoder
from ssl_jax.optimizers import sgd
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh

SHAPE = (8, 8, 3)


class Convolutional(nnx.Module):
    """Feature maps, with batch statistics and dropout."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 6, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(6, rngs=rngs)
        self.dropout = nnx.Dropout(0.5)

    def __call__(self, images, rngs=None):
        return self.dropout(jax.nn.relu(self.norm(self.conv(images))), rngs=rngs)


class Linen(linen.Module):
    @linen.compact
    def __call__(self, images, train):
        maps = linen.BatchNorm(use_running_average=not train)(linen.Conv(6, (3, 3))(images))
        maps = linen.Dropout(0.5, deterministic=not train)(jax.nn.relu(maps))
        return {"maps": maps, "features": maps.max(axis=(1, 2))}


def init(rng):
    return {"kernel": jax.random.normal(rng, (192, 6)) * 0.1}


def apply(params, images):
    return images.reshape(len(images), -1) @ params["kernel"]


NETWORKS = {"nnx": Convolutional, "linen": Linen(), "functions": (init, apply)}
LAYERS = {"nnx": {"features": 6}, "linen": {"maps": 6, "features": 6}, "functions": {"features": 6}}


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_describes_itself_and_gives_layers_in_order_of_depth(kind):
    net = as_encoder(NETWORKS[kind], image_shape=SHAPE)
    params, stats = net.init(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (4, *SHAPE))
    layers, after = jax.jit(lambda *given: net.apply(*given, train=False))(params, stats, images)
    assert list(layers) == list(net.layers) and dict(net.layers) == LAYERS[kind] and net.width == 6
    assert layers["features"].shape == (4, 6) and layers["features"].dtype == jnp.float32
    jax.tree.map(np.testing.assert_array_equal, stats, after)


@pytest.mark.parametrize("kind", ["nnx", "linen"])
def test_training_updates_statistics_and_drops_by_the_key(kind):
    net = as_encoder(NETWORKS[kind], image_shape=SHAPE)
    params, stats = net.init(jax.random.key(0))
    images = 3 + jax.random.normal(jax.random.key(1), (4, *SHAPE))
    run = jax.jit(lambda key: net.apply(params, stats, images, train=True, rng=key))
    (one, after), (other, _), (again, _) = (run(jax.random.key(seed)) for seed in (0, 1, 0))
    assert any((new != old).any() for new, old in zip(jax.tree.leaves(after), jax.tree.leaves(stats), strict=True))
    assert (one["features"] != other["features"]).any()
    np.testing.assert_array_equal(one["features"], again["features"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS)
def test_it_pre_trains(kind):
    net = as_encoder(NETWORKS[kind], image_shape=SHAPE)
    method = SimCLR(net, projection_head(inputs=net.width, widths=(8, 4)))
    views = digit_views(size=8, mean=(0.5,) * 3, std=(0.2,) * 3)
    mesh, optimizer = make_mesh(1), sgd(lambda step: 0.1, weight_decay=0.0)
    with Batches(Synthetic(size=32, side=8, seed=0), 16, seed=0, sharding=batch_sharding(mesh)) as batches:
        state = fit(method, views, optimizer, batches, steps=2, mesh=mesh, quiet=True)
    fresh, _ = net.init(jax.random.key(3))
    moved = state.params["encoder"]
    assert jax.tree.structure(moved) == jax.tree.structure(fresh)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(moved))


class Keeps(nnx.Module):
    def __init__(self, rngs):
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, images):
        return self.dropout(images)


@pytest.mark.parametrize(
    "network, sentence",
    [
        ("resnet", "network: got str, expected a function of nnx.Rngs that makes a module"),
        (Keeps, "network: its module keeps random keys, expected none"),
        ((init, lambda params, images: (images, images)), "network: its outputs are tuple, expected an array"),
        ((init, lambda params, images: images.mean()), r"network: of two images it gives \{'features': \(\)\}"),
        ((init, lambda params, images: {}), "network: its outputs are empty"),
    ],
)
def test_anything_else_is_one_sentence(network, sentence):
    with pytest.raises(UsageError, match=sentence):
        as_encoder(network, image_shape=SHAPE)
