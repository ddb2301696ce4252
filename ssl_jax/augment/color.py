"""Colour of one image: brightness, contrast, saturation, hue, grayscale, solarisation, and SimCLR's random order of them.

Images are float32 `[H, W, C]` in [0, 1], and results are clipped to that range. C = 3 is red, green, blue; other numbers of
channels, such as grey or the bands of a satellite, have no saturation, hue and luma, and are left as they are by these. An
amount is a scalar of Python or an array. Where channels are on another axis than the last, `axis` is its number.

The convention is torchvision's, which is that of Pillow's ImageEnhance: brightness, contrast and saturation blend the
image with a degenerate one (black, its mean grey, its grayscale version). Amount 0 gives the degenerate image, 1 the
image, more exaggerates. TensorFlow and dm_pix differ: brightness adds, contrast works channel by channel, saturation in HSV.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.chance import between, chosen
from ssl_jax.errors import UsageError

Amount = Array | float


def adjust_brightness(image: Array, amount: Amount) -> Array:
    """Blend with black: `amount * image`.

    Example:
      >>> image = jnp.array([[[0.2, 0.4, 0.6]]])
      >>> print(adjust_brightness(image, 0.5)[0, 0])
      [0.1 0.2 0.3]
    """
    return _blend(image, 0.0, amount)


def adjust_contrast(image: Array, amount: Amount, *, axis: int = -1) -> Array:
    """Blend with the mean of `to_grayscale(image)`, channel by channel without colour. A constant grayscale image is
    unchanged.

    Example:
      >>> print(adjust_contrast(jnp.array([[[0.2], [0.6]]]), 0.5)[0, :, 0])
      [0.3 0.5]
    """
    places = (0, 1) if axis == -1 else tuple(other for other in range(3) if other != axis)
    return _blend(image, to_grayscale(jnp.mean(image, axis=places, keepdims=True), axis=axis), amount)


def adjust_saturation(image: Array, amount: Amount, *, axis: int = -1) -> Array:
    """Blend with `to_grayscale(image)`. Without colour: the image.

    Example:
      >>> image = jnp.array([[[0.2, 0.4, 0.6]]])
      >>> print(np.asarray(adjust_saturation(image, 0.0)[0, 0]).round(2))
      [0.36 0.36 0.36]
    """
    return _blend(image, to_grayscale(image, axis=axis), amount)


def adjust_hue(image: Array, amount: Amount, *, axis: int = -1) -> Array:
    """Shift the hue of HSV by `amount` turns: 1/3 makes red green, 1 changes nothing. Without colour: the image.

    Example:
      >>> image = jnp.array([[[0.2, 0.4, 0.6]]])
      >>> print(np.asarray(adjust_hue(image, 0.5)[0, 0]).round(2))
      [0.6 0.4 0.2]
    """
    if not _has_color(image, axis):
        return image
    red, green, blue = jnp.split(image, 3, axis=axis)  # [H, W, 1] each
    brightest = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = brightest - jnp.minimum(jnp.minimum(red, green), blue)
    per_chroma = jnp.where(chroma > 0, 1 / jnp.where(chroma > 0, chroma, 1), 0)
    sixths = jnp.where(
        brightest == red,
        (green - blue) * per_chroma,
        jnp.where(brightest == green, 2 + (blue - red) * per_chroma, 4 + (red - green) * per_chroma),
    )
    # A channel is maximal within a sixth of a turn of its own hue, and minimal beyond a third. With broadcasts instead of
    # three stacked channels, and round instead of a modulo, XLA's CPU code is 10 times faster.
    channels = jnp.arange(3, dtype=jnp.float32).reshape([3 if other == axis % 3 else 1 for other in range(3)])
    away = sixths / 6 + amount - channels / 3
    away = jnp.abs(away - jnp.round(away))
    return brightest - chroma * jnp.clip(6 * away - 1, 0, 1)


def to_grayscale(image: Array, *, axis: int = -1) -> Array:
    """Luma (0.299 red, 0.587 green, 0.114 blue: ITU-R BT.601) in every channel. Without colour: the image.

    Example:
      >>> image = jnp.array([[[0.2, 0.4, 0.6]]])
      >>> print(np.asarray(to_grayscale(image)[0, 0]).round(2))
      [0.36 0.36 0.36]
    """
    if not _has_color(image, axis):
        return image
    red, green, blue = (jax.lax.index_in_dim(image, channel, axis, keepdims=False) for channel in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return jnp.broadcast_to(jnp.expand_dims(luma, axis), image.shape)


def solarize(image: Array, amount: Amount = 0.5) -> Array:
    """Invert the pixels at or above the threshold `amount`.

    Example:
      >>> image = jnp.array([[[0.2, 0.4, 0.6]]])
      >>> print(np.asarray(solarize(image, 0.5)[0, 0]).round(2))
      [0.2 0.4 0.4]
    """
    return jnp.where(image >= amount, 1 - image, image)


def random_color_jitter(
    rng: Array,
    image: Array,
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    probability: float = 0.8,
    axis: int = -1,
    branches: bool = False,
) -> Array:
    """With `probability`, the four adjustments in a random order for each image.

    Args:
      brightness, contrast, saturation: x draws the amount from [max(0, 1 - x), 1 + x]; 0 leaves that adjustment out.
      hue: draws from [-hue, hue] turns; at most 0.5.
      axis: of the channels.
      branches: as in `chosen`.

    Raises:
      UsageError: a negative strength, a hue above 0.5, or a probability outside [0, 1].

    Example:
      >>> image = jnp.full((4, 4, 3), 0.5)
      >>> print(random_color_jitter(jax.random.key(0), image, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2).shape)
      (4, 4, 3)

    Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, appendix A: strengths s * (0.8, 0.8, 0.8, 0.2).
    """
    if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
        got = f"{brightness=}, {contrast=}, {saturation=}, {hue=}"
        raise UsageError(f"random_color_jitter: strengths must be 0 or more, hue at most 0.5 turns, got {got}.")
    if not _has_color(image, axis):
        saturation = hue = 0.0
    ranges = (
        (adjust_brightness, (max(0.0, 1 - brightness), 1 + brightness)),
        (partial(adjust_contrast, axis=axis), (max(0.0, 1 - contrast), 1 + contrast)),
        (partial(adjust_saturation, axis=axis), (max(0.0, 1 - saturation), 1 + saturation)),
        (partial(adjust_hue, axis=axis), (-hue, hue)),
    )
    used = [(adjust, limits) for adjust, limits in ranges if limits[0] < limits[1]]
    count = len(used)
    if not count:
        return image

    uniform = jax.random.uniform(rng, (2 * count + 1,))
    steps = [partial(adjust, amount=between(limits, uniform[i])) for i, (adjust, limits) in enumerate(used)]
    order = jnp.argsort(uniform[count:-1])

    def jitter(image: Array) -> Array:
        if branches:  # Without a loop, each of whose rounds copies the image.
            return reduce(lambda image, step: jax.lax.switch(order[step], steps, image), range(count), image)
        return jax.lax.fori_loop(0, count, lambda i, image: jax.lax.switch(order[i], steps, image), image)

    return chosen("random_color_jitter", uniform[-1], jitter, image, probability=probability, branches=branches)


def random_grayscale(
    rng: Array, image: Array, *, probability: float = 0.2, axis: int = -1, branches: bool = False
) -> Array:
    """`to_grayscale(image)` with `probability`; `branches` as in `chosen`.

    Example:
      >>> gray = random_grayscale(jax.random.key(0), jnp.array([[[1.0, 0.0, 0.0]]]), probability=1.0)
      >>> print(np.asarray(gray).round(3))
      [[[0.299 0.299 0.299]]]
    """
    change = partial(to_grayscale, axis=axis)
    return chosen(
        "random_grayscale", jax.random.uniform(rng), change, image, probability=probability, branches=branches
    )


def random_solarize(
    rng: Array, image: Array, *, probability: float = 0.2, threshold: float = 0.5, branches: bool = False
) -> Array:
    """`solarize(image, threshold)` with `probability`, 0.2 for BYOL's second view; `branches` as in `chosen`.

    Example:
      >>> print(random_solarize(jax.random.key(0), jnp.array([[[0.25, 0.75]]]), probability=1.0))
      [[[0.25 0.25]]]
    """
    change = partial(solarize, amount=threshold)
    return chosen("random_solarize", jax.random.uniform(rng), change, image, probability=probability, branches=branches)


def _blend(image: Array, dull: Amount, amount: Amount) -> Array:
    return jnp.clip(amount * image + (1 - amount) * dull, 0, 1)  # in this form, amount 1 is the image, bit for bit


def _has_color(image: Array, axis: int) -> bool:
    if image.ndim != 3:
        raise UsageError(f"colour needs an image [H, W, C], got {image.shape}: leave it out.")
    return image.shape[axis] == 3
