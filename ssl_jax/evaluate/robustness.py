"""Robustness: a linear probe of clean training images, evaluated on corrupted test images.

Corruptions are those of `ssl_jax.augment`, at five strengths each. The strengths are ours, relative to the side of the image:
figures are comparable with each other, not with ImageNet-C (Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261),
whose corruptions are others.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.augment.affine import affine, affine_matrix
from ssl_jax.augment.blur import gaussian_blur
from ssl_jax.augment.color import adjust_brightness, adjust_contrast
from ssl_jax.augment.geometry import resize
from ssl_jax.data import in_order
from ssl_jax.errors import UsageError
from ssl_jax.evaluate.features import Features, Network, compiled, features_of
from ssl_jax.evaluate.intervals import mean_interval
from ssl_jax.evaluate.linear import linear_probe
from ssl_jax.ops.checks import check_type

LEVELS = 255


class Robustness(NamedTuple):
    """Accuracies in [0, 1]. Chance level: 1/K."""

    accuracy: float  # mean over corruptions and strengths
    interval: tuple[float, float]  # 95 % interval of that mean, over test images
    clean: float  # on the images themselves
    corruptions: dict[str, list[float]]  # name -> accuracy at each strength, the weakest first
    strength: float  # the L2 strength of the probe


def noise(image: Array, amount: float) -> Array:
    """Gaussian noise of this deviation, the same in each image."""
    return image + amount * jax.random.normal(jax.random.key(0), image.shape)


def blur(image: Array, amount: float) -> Array:
    """Gaussian blur; sigma as a fraction of the shorter side."""
    side = min(image.shape[:2])
    return gaussian_blur(image, amount * side, kernel_size=2 * min(side - 1, max(1, round(3 * amount * side))) + 1)


def pixelate(image: Array, amount: float) -> Array:
    """Squares of pixels: each side reduced to this fraction, and back without interpolation."""
    height, width, channels = image.shape
    small = resize(image, size=(max(1, round(amount * height)), max(1, round(amount * width))))
    return jax.image.resize(small, (height, width, channels), "nearest")


def rotate(image: Array, amount: float) -> Array:
    """Counter-clockwise by this angle in degrees; the edge is repeated outside the image."""
    angle, none = jnp.float32(amount), jnp.float32(0)
    return affine(
        image, affine_matrix(degrees=angle, shear=none, scale=jnp.float32(1), shift=jnp.zeros(2)), mode="nearest"
    )


CORRUPTIONS: dict[str, tuple[Callable[[Array, float], Array], tuple[float, ...]]] = {
    "noise": (noise, (0.04, 0.08, 0.12, 0.18, 0.26)),
    "blur": (blur, (0.02, 0.03, 0.04, 0.06, 0.08)),
    "contrast": (adjust_contrast, (0.75, 0.6, 0.45, 0.3, 0.15)),
    "brightness": (adjust_brightness, (0.8, 0.65, 0.5, 0.35, 0.2)),
    "pixelation": (pixelate, (0.8, 0.6, 0.45, 0.3, 0.2)),
    "rotation": (rotate, (5.0, 10.0, 20.0, 30.0, 45.0)),
}


def robustness(network: Network, features: Features, *, seed: int = 0) -> Robustness:
    """Accuracy on corrupted test images of the linear probe that is fitted on clean training features. Chance level: 1/K.

    Args:
      network: what computed the features, and the data.
      features: of the clean images.
      seed: seed of the training images that choose the probe's L2 strength.

    Raises:
      UsageError: the data hold clips.
      ValueError: as in `linear_probe`.

    Example:
      >>> print(len(CORRUPTIONS), {len(strengths) for _, strengths in CORRUPTIONS.values()})
      6 {5}
    """
    check_type("robustness", Network, network=network)
    data = network.data
    assert data.test is not None
    if len(data.test.image_shape) != 3:
        raise UsageError(f"protocols: robustness corrupts images, but {data.name} holds clips: leave it out.")
    check_type("robustness", Features, features=features)
    *arrays, num_classes = features
    probe = linear_probe(*arrays, num_classes=num_classes, seed=seed)
    run = compiled(network.extract, network.params, network.state)
    right: dict[str, list[np.ndarray]] = {}
    for name, (change, amounts) in CORRUPTIONS.items():
        for amount in amounts:
            corrupt = jax.jit(partial(corrupted, change, amount))
            found, labels = features_of(
                partial(_after, corrupt, run), in_order(data.test, batch_size=512), sharding=network.sharding
            )
            predictions = (found @ probe.weights + probe.bias).argmax(axis=1)
            right.setdefault(name, []).append((predictions == labels)[labels >= 0])
    each = np.concatenate([np.stack(rows) for rows in right.values()]).mean(axis=0)
    shares = {name: [float(row.mean()) for row in rows] for name, rows in right.items()}
    return Robustness(float(each.mean()), mean_interval(each), probe.accuracy, shares, probe.strength)


def corrupted(change: Callable[[Array, float], Array], amount: float, images: Array) -> Array:
    """uint8 images `[B, H, W, C]`, changed as floats in [0, 1] and rounded."""
    changed = jax.vmap(lambda image: change(image.astype(jnp.float32) / LEVELS, amount))(images)
    return jnp.clip(jnp.round(LEVELS * changed), 0, LEVELS).astype(jnp.uint8)


def _after(first: Callable[[Array], Array], second: Callable[[Array], Array], images: Array) -> Array:
    """Two jitted functions in a row: the network is compiled once for all corruptions."""
    return second(first(images))
