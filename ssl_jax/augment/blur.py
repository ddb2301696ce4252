"""Gaussian blur of one image, float32 `[H, W, C]`, any C. Sigma and kernel in pixels."""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.chance import Range, between, chosen
from ssl_jax.errors import UsageError


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
    radius, shorter = kernel_size // 2, min(image.shape[:2])
    if kernel_size % 2 == 0 or radius >= shorter:
        most = f"at most {2 * shorter - 1} for an image {image.shape}"
        raise UsageError(f"gaussian_blur: kernel_size must be odd and {most}, got {kernel_size}.")
    offsets = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
    weights = jax.nn.softmax(-0.5 * (offsets / sigma) ** 2)
    return _filter(_filter(image, weights, axis=0), weights, axis=1)


def random_gaussian_blur(
    rng: Array, image: Array, *, kernel_size: int, sigma: Range = (0.1, 2.0), probability: float = 0.5
) -> Array:
    """`gaussian_blur` with `probability`, sigma uniform in a range.

    Example:
      >>> print(random_gaussian_blur(jax.random.key(0), jnp.ones((32, 32, 3)), kernel_size=3).shape)
      (32, 32, 3)

    Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, appendix A.
    """
    if not 0 < sigma[0] <= sigma[1]:
        raise UsageError(f"random_gaussian_blur: sigma must be a range (low, high) with 0 < low <= high, got {sigma}.")
    uniform = jax.random.uniform(rng, (2,))
    blurred = gaussian_blur(image, between(sigma, uniform[0]), kernel_size=kernel_size)
    return chosen("random_gaussian_blur", uniform[1], probability=probability, changed=blurred, image=image)


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


def _filter(image: Array, weights: Array, *, axis: int) -> Array:
    # Shifted copies: a convolution with a kernel for each image is a grouped one, 20 times slower on CPU.
    # Rows are flat: a last axis of channels would shorten the vector loops.
    radius, pixel = len(weights) // 2, image.shape[2] if axis == 1 else 1
    padded = jnp.pad(image, [(radius, radius) if i == axis else (0, 0) for i in range(3)], mode="reflect")
    padded = padded.reshape(len(padded), -1)
    size = padded.shape[axis] - 2 * radius * pixel
    shifted = [jax.lax.slice_in_dim(padded, i * pixel, i * pixel + size, axis=axis) for i in range(len(weights))]
    return sum((weights[i] * part for i, part in enumerate(shifted)), jnp.float32(0)).reshape(image.shape)
