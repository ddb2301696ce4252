"""What augmentations do to features: LiDAR, and how much each of them alone moves a feature.

n: images; q: views of each; D: size of a feature. Both need more forward passes than training can spare, and belong to the
evaluation on request. Labels are not used.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.augment.affine import affine, sample_affine_matrix
from ssl_jax.augment.blur import pillow_kernel, random_gaussian_blur
from ssl_jax.augment.color import random_color_jitter, solarize, to_grayscale
from ssl_jax.augment.geometry import flip, random_resized_crop
from ssl_jax.data import in_order, subsample
from ssl_jax.errors import UsageError
from ssl_jax.evaluate.crops import LEVELS, Augmentation, crop_and_flip
from ssl_jax.evaluate.diagnostics import effective_number
from ssl_jax.evaluate.features import Network, compiled, features_of
from ssl_jax.ops.checks import check_arrays, check_positive
from ssl_jax.ops.normalize import unit_length

Batches = Sequence[dict[str, NDArray[Any]]]
Encode = Callable[[Augmentation, Array], NDArray[np.float32]]


def lidar(views: Array, *, delta: float = 1e-4) -> Array:
    """LiDAR: effective number of directions in which images differ more than views of one image, from 1 to min(n - 1, D).

    The eigenvalues of the covariance of the images' means after whitening by the covariance of views around the mean of their
    image, to which `delta` is added: a direction that only the augmentation changes counts little, however large it is, which
    RankMe does not see. Where the views of an image are equal, the eigenvalues are those of the images' covariance.

    Args:
      views: features or embeddings of q views of each of n images, `[n, q, D]`. The paper has 1,000 images of 50 views for
        I-JEPA, and 50,000 samples or more for other methods.
      delta: variance added to that within an image, so that it has an inverse; 1e-4 in stable-pretraining's
        callbacks/lidar.py, which divides by q - 1 where we divide by q: its value is ours with q / (q - 1) times less delta.

    Raises:
      ValueError: not `[n, q, D]` with two images and two views at least, or delta is not positive.

    Example:
      >>> images = jnp.concatenate([jnp.eye(3, 4), -jnp.eye(3, 4)])[:, None]  # Three directions ...
      >>> views = jnp.stack([jnp.eye(4)[3], -jnp.eye(4)[3]])[None]  # ... and views along the fourth.
      >>> print(f"{lidar(images + 9 * views):.1f} {lidar(0 * images + views):.1f}")
      3.0 1.0

    Source: Thilak et al. 2024, https://arxiv.org/abs/2312.04000, section 4.
    """
    check_arrays("lidar", views=views)
    check_positive("lidar", delta=delta)
    if views.ndim != 3 or min(views.shape[:2]) < 2 or views.shape[2] == 0:
        raise ValueError(f"lidar: views must be [n, q, D] with two images and two views at least, got {views.shape}.")
    images, count, dims = views.shape
    views = views.astype(jnp.float32)
    means = views.mean(axis=1)
    within = (views - means[:, None]).reshape(-1, dims) / (images * count) ** 0.5
    between = (means - means.mean(axis=0, keepdims=True)) / images**0.5
    # The directions and deviations within images, without the products that would square their condition number.
    triangle = jnp.linalg.qr(within, mode="r")
    _, deviations, directions = jnp.linalg.svd(triangle, full_matrices=True)
    deviations = jnp.pad(deviations, (0, dims - len(deviations)))
    whitened = jnp.matmul(between, directions.T, precision="highest") / jnp.sqrt(deviations**2 + delta)[None]
    return effective_number(jnp.linalg.svd(whitened, compute_uv=False) ** 2)


def _crop(rng: Array, image: Array) -> Array:
    return random_resized_crop(rng, image, size=(image.shape[0], image.shape[1]))


def _rotation(rng: Array, image: Array) -> Array:
    size = image.shape[0], image.shape[1]
    return affine(image, sample_affine_matrix(rng, size=size, degrees=15, translate=0, scale=(1, 1), shear=0))


def _jitter(rng: Array, image: Array) -> Array:
    return random_color_jitter(rng, image, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, probability=1)


def _blur(rng: Array, image: Array) -> Array:
    return random_gaussian_blur(rng, image, kernel_size=pillow_kernel(min(image.shape[:2])), probability=1)


# Always applied, at the strengths of BYOL's views; the rotation is that of our views of digits.
AUGMENTATIONS: dict[str, Augmentation] = {
    "crop": _crop,
    "flip": lambda rng, image: flip(image),
    "rotation": _rotation,
    "color_jitter": _jitter,
    "grayscale": lambda rng, image: to_grayscale(image),
    "blur": _blur,
    "solarization": lambda rng, image: solarize(image),
}


def invariance(encode: Encode, *, names: Sequence[str] = tuple(AUGMENTATIONS), seed: int = 0) -> dict[str, float]:
    """Mean cosine of an image's feature to that of the same image after ONE augmentation, by the augmentation's name.

    The mean feature is subtracted first, since features that are not negative have a high cosine by chance: 1 is invariant, 0
    the value of unrelated images.

    Args:
      encode: `(augmentation, keys) -> [keys, n, D]`, as `encoder_of` makes it.
      names: of `AUGMENTATIONS`.
      seed: seed of the augmentations.
    """
    keys = jax.random.split(jax.random.key(seed), 1)
    clean = encode(lambda rng, image: image, keys)[0]
    mean, cosines = clean.mean(axis=0, keepdims=True), {}
    for name in names:
        moved = encode(partial(_in_unit_range, AUGMENTATIONS[name]), keys)[0]
        first, second = (np.asarray(unit_length(rows - mean)) for rows in (clean, moved))
        cosines[name] = float((first * second).sum(axis=1).mean())
    return cosines


def encoder_of(network: Network, batches: Batches) -> Encode:
    """`(augmentation, keys) -> features [keys, n, D]` of the images of the batches, once for each key.

    batches: `{"image": uint8 [B, H, W, C], "label": [B]}`, the first the largest.
    """
    run = compiled(network.extract, network.params, network.state)

    def encode(augment: Augmentation, keys: Array) -> NDArray[np.float32]:
        change = jax.jit(lambda key, images: jax.vmap(augment)(jax.random.split(key, len(images)), images))
        views = (partial(_after, partial(change, key), run) for key in keys)
        rows = [features_of(view, batches, sharding=network.sharding)[0] for view in views]
        return np.stack(rows)

    return encode


def view_diagnostics(network: Network, *, images: int = 1000, views: int = 50, seed: int = 0) -> dict[str, Any]:
    """`lidar` and, by the name of the augmentation, `invariance` of an even sample of the training images.

    Args:
      network: what computes the features; its augmentation makes the views of LiDAR, crops and flips where it has none.
      images, views: n and q of LiDAR. The images are also those of the invariance, once for each augmentation.
      seed: seed of the views.

    Raises:
      UsageError: the data hold clips.
    """
    data = network.data
    if len(data.train.image_shape) != 3:
        raise UsageError(f"protocols: diagnostics augments images, but {data.name} holds clips: leave it out.")
    batches = list(in_order(subsample(data.train, images), batch_size=network.batch_size(512)))
    encode = encoder_of(network, batches)
    clusters = encode(network.augment or crop_and_flip(), jax.random.split(jax.random.key(seed), views))
    names = [name for name in AUGMENTATIONS if name != "grayscale" or data.train.image_shape[-1] == 3]
    return {
        "lidar": float(lidar(jnp.asarray(clusters.swapaxes(0, 1)))),
        "lidar_samples": [clusters.shape[1], views],
        "invariance": invariance(encode, names=names, seed=seed),
    }


def _in_unit_range(change: Augmentation, rng: Array, image: Array) -> Array:
    changed = change(rng, image.astype(jnp.float32) / LEVELS)
    return jnp.clip(jnp.round(LEVELS * changed), 0, LEVELS).astype(jnp.uint8)


def _after(first: Callable[[Array], Array], second: Callable[[Array], Array], images: Array) -> Array:
    """Two jitted functions in a row: the network is compiled once for all augmentations."""
    return second(first(images))
