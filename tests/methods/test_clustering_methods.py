"""DeepCluster-v2, SeLa, ClusterFit and SwAV's queue: where labels come from, and when."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from ssl_jax.errors import UsageError
from ssl_jax.methods.clusterfit import ClusterFit, cluster
from ssl_jax.methods.deepcluster import DeepCluster
from ssl_jax.methods.sela import SeLa
from ssl_jax.methods.swav import SwAV
from ssl_jax.networks import linear_head, small_convnet
from ssl_jax.train.mesh import batch_sharding, make_mesh

ENCODER = small_convnet(channels=1, widths=(4,), strides=(2,))
HEAD = linear_head(inputs=ENCODER.width, outputs=5)
OPTIONS = {"examples": 12, "entries": 16, "recluster_every": 3, "clusters": 4, "heads": 3}
RANDOM = np.random.default_rng(0)
IMAGES = jnp.asarray(RANDOM.normal(size=(8, 2, 6, 6, 1)), jnp.float32)
VIEWS = {"views": IMAGES, "index": jnp.array([3, 0, 7, 11, 2, 5, 9, 4])}


@pytest.fixture(params=[DeepCluster, SeLa], scope="module")
def method(request):
    return request.param(ENCODER, HEAD, **OPTIONS)


@functools.partial(jax.jit, static_argnums=0)
def after(method, step):
    """State before and after the step's end, with every image in the memories."""
    step = jnp.int32(step)
    params, state = method.init(jax.random.key(0))
    embeddings, state = method.encode(params, state, VIEWS, jax.random.key(1), step)
    loss, changes, _ = method.objective(embeddings, state, jax.random.key(2), step)
    state = {**state, **changes}
    return params, embeddings, loss, state, method.after_step(params, state, step)[1]


@pytest.mark.slow
def test_the_memories_hold_the_two_views(method):
    _, embeddings, *_ = after(method, 0)
    start = jax.jit(method.init)(jax.random.key(0))[1]
    banks = method.objective(embeddings, start, jax.random.key(2), jnp.int32(0))[1]["banks"]
    for view in range(2):
        np.testing.assert_allclose(banks[VIEWS["index"], view], embeddings["embedding"][:, view], atol=1e-6)
    others = np.setdiff1d(np.arange(16), VIEWS["index"])
    np.testing.assert_array_equal(banks[others], start["banks"][others])


def test_swav_queues_the_embeddings_of_each_large_crop_apart():
    method = SwAV(ENCODER, HEAD, prototypes=4, queue_length=16)
    _, state = method.init(jax.random.key(0))
    scores, embedding = jnp.asarray(RANDOM.normal(size=(8, 2, 4))), jnp.asarray(RANDOM.normal(size=(8, 2, 5)))
    embeddings = {"embedding": embedding.astype(jnp.float32), "scores": scores.astype(jnp.float32)}
    queues = method.objective(embeddings, state, jax.random.key(1), jnp.int32(0))[1]["queues"]
    for crop in range(2):
        np.testing.assert_array_equal(queues[str(crop)].rows[::2], embeddings["embedding"][:, crop])


@pytest.mark.parametrize(("step", "due"), [(0, False), (1, False), (2, True), (3, False), (5, True)])
def test_labels_are_new_at_the_end_of_an_epoch_only(method, step, due):
    *_, before, new = after(method, step)
    assert (before["labels"] != new["labels"]).any() == due
    assert new["labels"].shape == (16, 3) and new["labels"].dtype == jnp.int32


def test_deepcluster_labels_what_it_has_encoded_by_the_nearest_centroid():
    method = DeepCluster(ENCODER, HEAD, **OPTIONS)
    _, embeddings, loss, _, new = after(method, 2)
    assert loss == 0  # before there are clusters
    index, others = VIEWS["index"], np.setdiff1d(np.arange(16), VIEWS["index"])
    for head in range(3):  # head 1 clusters the second view, heads 0 and 2 the first
        nearest = np.argmax(np.asarray(new["banks"][:, head % 2] @ new["centroids"][head].T), axis=1)
        np.testing.assert_array_equal(new["labels"][index, head], nearest[np.asarray(index)])
        np.testing.assert_array_equal(new["labels"][others, head], -1)
        np.testing.assert_allclose(jnp.linalg.norm(new["centroids"][head], axis=-1), 1, rtol=1e-5)
    assert (new["labels"][:, 0] != new["labels"][:, 2]).any()  # another seed
    scores = jnp.einsum("bvd,hkd->bhvk", embeddings["embedding"], new["centroids"])
    loss, _, _ = method.objective({**embeddings, "scores": scores}, new, jax.random.key(2), jnp.int32(3))
    log_probabilities = np.asarray(jax.nn.log_softmax(scores / 0.1))
    picked = [
        -log_probabilities[row, head, view, new["labels"][number, head]]
        for row, number in enumerate(VIEWS["index"])
        for head in range(3)
        for view in range(2)
    ]
    np.testing.assert_allclose(loss, np.mean(picked), rtol=1e-5)


def test_sela_shares_the_data_set_out_from_the_first_step():
    method = SeLa(ENCODER, HEAD, **OPTIONS | {"examples": 200, "entries": 208})
    *_, loss, before, new = after(method, 2)
    assert loss > 0
    for head in range(3):
        np.testing.assert_array_equal(np.bincount(before["labels"][:200, head]), [50, 50, 50, 50])
        counts = np.bincount(new["labels"][:200, head], minlength=4)
        assert counts.min() > 40 and counts.max() < 60
    assert (before["labels"][:, 0] != before["labels"][:, 1]).any()


def test_selas_prototypes_are_trained_and_kept_at_unit_length():
    method = SeLa(ENCODER, HEAD, **OPTIONS)
    params, state = jax.jit(method.init)(jax.random.key(0))

    def loss(params):
        embeddings, after = method.encode(params, state, VIEWS, jax.random.key(1), jnp.int32(0))
        return method.objective(embeddings, after, jax.random.key(2), jnp.int32(0))[0]

    assert (jax.jit(jax.grad(loss))(params)["prototypes"] != 0).any()
    params, _ = method.after_step({**params, "prototypes": 3 * params["prototypes"]}, state, jnp.int32(0))
    np.testing.assert_allclose(jnp.linalg.norm(params["prototypes"], axis=-1), 1, rtol=1e-6)


def test_with_labels_the_sharded_objective_is_the_whole(method):
    """The contract's test sees DeepCluster before its first clusters."""
    params, embeddings, _, _, state = after(method, 2)
    embeddings = method.encode(params, state, VIEWS, jax.random.key(1), jnp.int32(3))[0]

    def whole(scores, others, carried, *, axis_name=None):
        given = {**others, "scores": scores}
        return method.objective(given, carried, jax.random.key(2), jnp.int32(3), axis_name=axis_name)[0]

    spec = PartitionSpec("data")
    sharded = jax.shard_map(
        lambda *shard: whole(*shard, axis_name="data"), mesh=make_mesh(4), in_specs=spec, out_specs=PartitionSpec()
    )
    scores, carried = embeddings.pop("scores"), {name: state[name] for name in method.objective_state}
    found = [jax.jit(jax.value_and_grad(run))(scores, embeddings, carried) for run in (whole, sharded)]
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_clusters_of_sharded_banks_are_those_of_whole_ones(method):
    """In a program over four devices, each of which compares its own quarter of the entries with the clusters."""
    params, *_, state, new = after(method, 2)
    mesh = make_mesh(4)
    banks = jax.device_put(state["banks"], batch_sharding(mesh))
    run = jax.jit(lambda banks: method.cluster(params, {**state, "banks": banks}, jnp.int32(2)))
    assert "all-gather" in run.lower(banks).compile().as_text() or "all-reduce" in run.lower(banks).compile().as_text()
    found = run(banks)
    np.testing.assert_array_equal(found["labels"], new["labels"])
    assert not found["labels"].sharding.is_fully_replicated


def test_more_clusters_than_images_are_refused():
    with pytest.raises(UsageError, match="entries: must be at least the 12 examples, got 8"):
        DeepCluster(ENCODER, HEAD, **OPTIONS | {"entries": 8})
    with pytest.raises(
        UsageError, match="clusters: got 13, expected at most 12, the number of images: lower --clusters"
    ):
        DeepCluster(ENCODER, HEAD, **OPTIONS | {"clusters": 13})
    with pytest.raises(UsageError, match="clusters: got 4, expected 2 to 3, the number of images: lower"):
        cluster(np.zeros((3, 2)), 4)


def test_clusterfit_names_the_cluster_of_each_example_not_its_label():
    points = np.repeat([[5.0, 0.0], [0.0, 5.0], [-5.0, -5.0]], 4, axis=0) + RANDOM.normal(size=(12, 2))
    clusters = cluster(points, 3)
    assert [len(set(clusters[start : start + 4])) for start in (0, 4, 8)] == [1, 1, 1] and len(set(clusters)) == 3
    method = ClusterFit(ENCODER, linear_head(inputs=ENCODER.width, outputs=3), clusters=clusters)
    params, state = jax.jit(method.init)(jax.random.key(0))
    views = {**VIEWS, "label": jnp.full(8, 1)}
    embeddings, state = method.encode(params, state, views, jax.random.key(1), jnp.int32(0))
    np.testing.assert_array_equal(embeddings["label"], clusters[np.asarray(VIEWS["index"])])


@pytest.mark.slow
def test_the_seed_of_the_clusters_changes_them():
    points = np.random.default_rng(0).normal(size=(60, 4))
    assert (cluster(points, 7) == cluster(points, 7, seed=0)).all()
    assert (cluster(points, 7) != cluster(points, 7, seed=1)).any()
