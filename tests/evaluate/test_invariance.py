"""LiDAR against its definition in float64; the invariance to each augmentation of networks for which it is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.data import ArraySource, Data
from ssl_jax.errors import UsageError
from ssl_jax.evaluate import effective_rank, evaluate_features, lidar
from ssl_jax.evaluate.features import Features, Network, compute_features
from ssl_jax.evaluate.invariance import AUGMENTATIONS, view_diagnostics
from ssl_jax.evaluate.results import digest

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 12, 12, 3), np.uint8)
SOURCE = ArraySource("noise", (), IMAGES, np.full(24, -1, np.int32))
DATA = Data("noise", SOURCE, SOURCE)


def lidar_64(views, delta):
    """The paper's equations: covariances of means and within, whitening by a symmetric square root, entropy of eigenvalues."""
    views = views.astype(np.float64)
    images, count, dims = views.shape
    means = views.mean(axis=1)
    between = (means - means.mean(axis=0)).T @ (means - means.mean(axis=0)) / images
    within = sum(np.outer(row, row) for row in (views - means[:, None]).reshape(-1, dims)) / (images * count)
    values, vectors = np.linalg.eigh(within + delta * np.eye(dims))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    shares = np.maximum(np.linalg.eigvalsh(root @ between @ root), 0)
    shares = shares / shares.sum()
    return np.exp(-np.sum(shares * np.log(np.where(shares > 0, shares, 1))))


@pytest.mark.parametrize("shape", [(40, 5, 8), (6, 3, 8), (3, 2, 30)], ids=["tall", "few", "wide"])
@pytest.mark.parametrize("delta", [1e-4, 1e-2])
def test_lidar_is_the_definition(shape, delta):
    images = RNG.normal(size=(shape[0], 1, shape[2])) * np.exp(-0.2 * np.arange(shape[2]))
    views = (images + 0.3 * RNG.normal(size=shape)).astype(np.float32)
    found = jax.jit(lambda views: lidar(views, delta=delta))(views)
    np.testing.assert_allclose(found, lidar_64(views, delta), rtol=1e-3)


@pytest.mark.slow
def test_what_only_the_augmentation_changes_counts_for_the_rank_and_not_for_lidar():
    images = np.zeros((64, 1, 8)) + RNG.normal(size=(64, 1, 8)) * (np.arange(8) < 2)
    moved = (images + 3 * RNG.normal(size=(64, 20, 8)) * (np.arange(8) >= 2)).astype(np.float32)
    assert lidar(jnp.asarray(moved)) < 2.1 and effective_rank(jnp.asarray(moved.reshape(-1, 8))) > 6


def test_lidar_at_a_collapse_is_one():
    assert lidar(jnp.ones((8, 4, 3))) == 1 and lidar(jnp.zeros((8, 4, 3))) == 1
    for shape in ((4, 3), (1, 4, 3), (4, 1, 3), (4, 4, 0)):
        with pytest.raises(ValueError, match=r"lidar: views must be \[n, q, D\]"):
            lidar(jnp.ones(shape))


def network(extract):
    return Network(extract, None, None, DATA)


def flat(params, state, images):
    return images.reshape(len(images), -1).astype(jnp.float32)


def columns(params, state, images):
    """Sums over both halves of the columns, mirrored: the same for an image and its mirror image."""
    images = images.astype(jnp.float32)
    return (images + images[:, :, ::-1]).reshape(len(images), -1)


def colourless(params, state, images):
    weights = jnp.array([0.2989, 0.587, 0.114]).reshape(1, 1, 1, 3)
    return (images.astype(jnp.float32) * weights).sum(axis=-1).reshape(len(images), -1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extract", "invariant"), [(flat, set()), (columns, {"flip"}), (colourless, {"grayscale"})],
    ids=["pixels", "mirrored", "grey"],
)  # fmt: skip
def test_a_network_is_invariant_to_what_it_cannot_see(extract, invariant):
    found = view_diagnostics(network(extract), images=24, views=3)["invariance"]
    assert found.keys() == AUGMENTATIONS.keys()
    assert {name for name, cosine in found.items() if cosine > 0.99} == invariant
    assert all(-1 <= cosine <= 1.001 for cosine in found.values())


@pytest.mark.slow
def test_the_cosine_is_that_of_centred_features():
    found = view_diagnostics(network(flat), images=24, views=2)["invariance"]["flip"]
    rows, mirrored = (each.reshape(24, -1).astype(np.float64) for each in (IMAGES, IMAGES[:, :, ::-1]))
    centre = rows.mean(axis=0)
    rows, mirrored = rows - centre, mirrored - centre
    cosines = (rows * mirrored).sum(axis=1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(mirrored, axis=1)
    np.testing.assert_allclose(found, cosines.mean(), atol=1e-4)


@pytest.mark.slow
def test_the_protocol_needs_no_labels_and_is_in_the_digest():
    features = compute_features(flat, None, None, DATA)
    found = evaluate_features(features, protocols=["diagnostics", "knn"], network=network(flat))
    assert list(found) == ["diagnostics"]
    assert {"std", "effective_rank", "eigenvalue_decay", "uniformity", "lidar", "invariance"} <= found[
        "diagnostics"
    ].keys()
    line = digest({"features": {"pixels": found}})
    assert line["diagnostics_pixels_lidar"] == found["diagnostics"]["lidar"] > 1
    assert "diagnostics_pixels" not in line and "diagnostics_pixels_invariance" not in line


@pytest.mark.slow
def test_grey_images_and_clips():
    grey = ArraySource("grey", (), IMAGES[..., :1], SOURCE.labels)
    found = view_diagnostics(Network(flat, None, None, Data("grey", grey, grey)), images=24, views=2)
    assert found["invariance"].keys() == AUGMENTATIONS.keys() - {"grayscale"}
    clips = type("Clips", (), {"image_shape": (3, 4, 4, 1)})()
    with pytest.raises(UsageError, match="diagnostics augments images, but x holds clips"):
        view_diagnostics(Network(flat, None, None, Data("x", clips, clips)))


def test_features_without_a_network_are_refused():
    with pytest.raises(UsageError, match="diagnostics encodes images"):
        evaluate_features(
            Features(*[np.zeros((4, 2), np.float32), SOURCE.labels[:4]] * 2, 2), protocols=["diagnostics"]
        )
