"""Gaussian blur of one image, float32 `[H, W, C]`, any C. Sigma and kernel in pixels."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.chance import Range, between, chosen
from ssl_jax.errors import UsageError

FAR = 5.7  # Deviations, beyond which a weight is below 1e-7 of the largest.
TAPS = 4  # Of a round of the loop in blur_rows.


def gaussian_blur(image: Array, sigma: Array | float, *, kernel_size: int) -> Array:
    """Gaussian filter of `kernel_size` taps along each axis, weights summing to 1, with reflection padding.

    As in torchvision. (SimCLR's code pads with black, which darkens the border.)

    Args:
      sigma: standard deviation, above 0.
      kernel_size: odd; 1 is the identity; SimCLR's is `simclr_kernel`.

    Raises:
      UsageError: an even kernel, or one that reaches beyond the mirrored image.

    Example:
      >>> image = jnp.zeros((5, 5, 1)).at[2, 2].set(1.0)
      >>> print(np.asarray(gaussian_blur(image, 1.0, kernel_size=3)[2, :, 0]).round(2))
      [0.   0.12 0.2  0.12 0.  ]
    """
    _check(image, kernel_size, min(image.shape[:2]))
    weights = _weights(sigma, kernel_size)
    return _filter(_filter(image, weights, axis=0), weights, axis=1)


def blur_rows(image: Array, sigma: Array | float, *, kernel_size: int) -> Array:
    """`gaussian_blur` along the first axis alone, in a loop over the taps that weigh more than a rounding error.

    For one image at a time on a CPU.

    Example:
      >>> image = jnp.zeros((5, 5, 1)).at[2, 2].set(1.0)
      >>> print(np.asarray(blur_rows(image, 1.0, kernel_size=3)[:, 2, 0]).round(2))
      [0.   0.27 0.45 0.27 0.  ]
    """
    _check(image, kernel_size, len(image))
    radius = kernel_size // 2
    last = -kernel_size % TAPS  # Taps of weight 0 that complete the last group.
    weights = jnp.pad(_weights(sigma, kernel_size), (0, last))
    rows = image.reshape(len(image), -1)
    padded = jnp.pad(jnp.pad(rows, ((radius, radius), (0, 0)), mode="reflect"), ((0, last), (0, 0)))

    def add(group: Array, total: Array) -> Array:
        taken = [jax.lax.dynamic_slice_in_dim(padded, group * TAPS + tap, len(rows)) for tap in range(TAPS)]
        return total + sum(weights[group * TAPS + tap] * part for tap, part in enumerate(taken))

    reach = jnp.minimum(radius, jnp.ceil(FAR * sigma)).astype(jnp.int32)
    first, end = (radius - reach) // TAPS, (radius + reach) // TAPS + 1
    return jax.lax.fori_loop(first, end, add, jnp.zeros_like(rows)).reshape(image.shape)


def random_gaussian_blur(
    rng: Array, image: Array, *, kernel_size: int, sigma: Range = (0.1, 2.0), probability: float = 0.5
) -> Array:
    """`gaussian_blur` with `probability`, sigma uniform in a range.

    Example:
      >>> print(random_gaussian_blur(jax.random.key(0), jnp.ones((32, 32, 3)), kernel_size=3).shape)
      (32, 32, 3)

    Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, appendix A.
    """
    uniform, drawn = _draw(rng, sigma)
    change = partial(gaussian_blur, sigma=drawn, kernel_size=kernel_size)
    return chosen("random_gaussian_blur", uniform, change, image, probability=probability)


def random_blur_of_rows(
    rng: Array, image: Array, *, kernel_size: int, sigma: Range = (0.1, 2.0), probability: float = 0.5
) -> Array:
    """The half of `random_gaussian_blur` that is along the first axis, by a branch: with the same key twice, once transposed.

    Example:
      >>> print(random_blur_of_rows(jax.random.key(0), jnp.ones((32, 3, 32)), kernel_size=3).shape)
      (32, 3, 32)
    """
    uniform, drawn = _draw(rng, sigma)
    change = partial(blur_rows, sigma=drawn, kernel_size=kernel_size)
    return chosen("random_blur_of_rows", uniform, change, image, probability=probability, branches=True)


def simclr_kernel(size: int) -> int:
    """SimCLR's kernel size for a side of `size`: 10 % of it, made odd (224 -> 23, 32 -> 3; below 20 -> 1, no blur).

    Example:
      >>> print(simclr_kernel(224), simclr_kernel(32), simclr_kernel(16))
      23 3 1
    """
    return 2 * (size // 20) + 1


def pillow_kernel(size: int) -> int:
    """13 taps, three deviations of the widest blur, sigma 2; fewer where the side `size` is below 7.

    Pillow's GaussianBlur, which most PyTorch implementations use, has no kernel size. 10 % of the side truncates a blur
    of sigma 2 at half a deviation for 32 pixels, and at two for 96.

    Example:
      >>> print(pillow_kernel(224), pillow_kernel(5))
      13 9
    """
    return min(13, 2 * size - 1)


def _check(image: Array, kernel_size: int, shorter: int) -> None:
    if kernel_size % 2 == 0 or kernel_size // 2 >= shorter:
        most = f"at most {2 * shorter - 1} for an image {image.shape}"
        raise UsageError(f"gaussian_blur: kernel_size must be odd and {most}, got {kernel_size}.")


def _weights(sigma: Array | float, kernel_size: int) -> Array:
    offsets = jnp.arange(-(kernel_size // 2), kernel_size // 2 + 1, dtype=jnp.float32)
    return jax.nn.softmax(-0.5 * (offsets / sigma) ** 2)


def _draw(rng: Array, sigma: Range) -> tuple[Array, Array]:
    """The draw that decides whether to blur, and a sigma."""
    if not 0 < sigma[0] <= sigma[1]:
        raise UsageError(f"random_gaussian_blur: sigma must be a range (low, high) with 0 < low <= high, got {sigma}.")
    uniform = jax.random.uniform(rng, (2,))
    return uniform[1], between(sigma, uniform[0])


def _filter(image: Array, weights: Array, *, axis: int) -> Array:
    # Shifted copies: a convolution with a kernel for each image is a grouped one, 20 times slower on CPU.
    # Rows are flat: a last axis of channels would shorten the vector loops.
    radius, pixel = len(weights) // 2, image.shape[2] if axis == 1 else 1
    padded = jnp.pad(image, [(radius, radius) if i == axis else (0, 0) for i in range(3)], mode="reflect")
    padded = padded.reshape(len(padded), -1)
    size = padded.shape[axis] - 2 * radius * pixel
    shifted = [jax.lax.slice_in_dim(padded, i * pixel, i * pixel + size, axis=axis) for i in range(len(weights))]
    return sum((weights[i] * part for i, part in enumerate(shifted)), jnp.float32(0)).reshape(image.shape)
