"""One contract, every method: to add a method, add a line to METHODS."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import projection_head, small_convnet
from ssl_jax.recipes.optimizers import sgd
from ssl_jax.train.mesh import batch_sharding, make_mesh, replicated
from ssl_jax.train.state import init_state
from ssl_jax.train.step import make_step, make_views, step_keys

SIZE, BATCH = 12, 16
ENCODER = small_convnet(channels=1, widths=(4, 8), strides=(2, 2))
HEAD = projection_head(inputs=ENCODER.width, widths=(16, 8))

METHODS = {
    "simclr": SimCLR(ENCODER, HEAD, temperature=0.2),
}


def augment(rng, image):
    """Two views: brightness and a shift by a pixel, enough to differ."""
    amount = jax.random.uniform(rng, (2, 1, 1, 1), minval=0.5, maxval=1.5)
    image = image.astype(jnp.float32) / 255
    return jnp.stack([image, jnp.roll(image, 1, axis=0)]) * amount


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).integers(0, 256, (BATCH, SIZE, SIZE, 1), np.uint8)
    index = np.arange(BATCH, dtype=np.int32) * 7
    return {"image": images, "label": index % 3, "index": index}


@pytest.fixture(params=METHODS, scope="module")
def method(request):
    return METHODS[request.param]


@pytest.fixture(scope="module")
def optimizer():
    return sgd(lambda step: 0.05, momentum=0.9)


@pytest.fixture(scope="module")
def start(method, optimizer):
    return jax.jit(lambda: init_state(method, optimizer.transformation, seed=1))()


def on_devices(count):
    mesh = make_mesh(count)
    return lambda value, spread: jax.device_put(value, batch_sharding(mesh) if spread else replicated(mesh))


def run(method, optimizer, start, batch, *, devices=1, steps=3):
    put = on_devices(devices)
    state, batch = put(jax.tree.map(jnp.copy, start), False), put(batch, True)
    step = jax.jit(make_step(method, augment, optimizer, seed=1), donate_argnums=0)
    losses = []
    for _ in range(steps):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"]))
    assert step._cache_size() == 1, "the step was compiled more than once"
    return jax.device_get(state), losses


def test_init_is_decided_by_the_seed(method):
    first, again, other = (method.init(jax.random.key(seed))[0] for seed in (1, 1, 2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True))


def test_the_state_keeps_its_structure_and_types(method, optimizer, start, batch):
    after = jax.eval_shape(make_step(method, augment, optimizer, seed=1), start, batch)[0]
    assert jax.tree.structure(after) == jax.tree.structure(start)
    assert [(a.shape, a.dtype) for a in jax.tree.leaves(after)] == [(a.shape, a.dtype) for a in jax.tree.leaves(start)]


def test_embeddings_are_per_example(method, start, batch):
    views = make_views(augment, jax.random.key(0), batch)
    embeddings, _ = jax.eval_shape(method.encode, start.params, start.state, views, jax.random.key(0), start.step)
    assert all(leaf.shape[0] == BATCH for leaf in jax.tree.leaves(embeddings))
    assert embeddings["embedding"].ndim == 3


def test_embed_names_every_layer_and_ends_with_features(method, start):
    layers = jax.eval_shape(method.embed, start.params, start.state, jnp.zeros((2, SIZE, SIZE, 1)))
    assert list(layers)[-1] == "features" and layers["features"].shape == (2, ENCODER.width) and len(layers) > 1


def test_loss_falls(method, optimizer, start, batch):
    _, losses = run(method, optimizer, start, batch, steps=30)
    assert np.isfinite(losses).all() and np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1


def test_one_device_equals_eight(method, optimizer, start, batch):
    one, losses = run(method, optimizer, start, batch, devices=1)
    eight, sharded_losses = run(method, optimizer, start, batch, devices=8)
    np.testing.assert_allclose(losses, sharded_losses, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), one.params, eight.params)


def test_objective_sharded_equals_whole(method, start):
    embedding = jax.random.normal(jax.random.key(3), (BATCH, 2, 8))

    def whole(embedding):
        return method.objective({"embedding": embedding}, start.state, start.step)[0]

    def sharded(embedding):
        def shard(rows):
            return method.objective({"embedding": rows}, start.state, start.step, axis_name="data")[0]

        spec = PartitionSpec("data")
        return jax.shard_map(shard, mesh=make_mesh(4), in_specs=spec, out_specs=PartitionSpec())(embedding)

    both = [jax.jit(jax.value_and_grad(function))(embedding) for function in (whole, sharded)]
    for a, b in zip(*both, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_views_follow_the_example_not_its_place(batch):
    rng, _ = step_keys(1, jnp.int32(5))
    views = make_views(augment, rng, batch)["views"]
    order = np.random.default_rng(1).permutation(BATCH)
    shuffled = make_views(augment, rng, {name: value[order] for name, value in batch.items()})["views"]
    np.testing.assert_array_equal(views[order], shuffled)
    sharded = on_devices(8)(batch, True)
    np.testing.assert_allclose(jax.jit(lambda b: make_views(augment, rng, b)["views"])(sharded), views, atol=1e-6)


def test_views_differ_from_step_to_step(batch):
    views = [make_views(augment, step_keys(1, jnp.int32(step))[0], batch)["views"] for step in (0, 1)]
    assert (views[0] != views[1]).any(axis=(1, 2, 3, 4)).all()
