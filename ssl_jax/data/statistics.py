"""Mean and standard deviation of the pixels of each channel, measured, for images that are neither grayscale nor in colour."""

import numpy as np

from ssl_jax.data.fingerprint import spread
from ssl_jax.data.source import Source, read

SAMPLE = 64  # Images that are measured, evenly spaced.

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def measured_statistics(source: Source) -> Statistics:
    """Means and standard deviations in [0, 1] by channel, of at most 64 images; of a constant channel the deviation is
    1/255."""
    pixels = read(source, np.array(spread(len(source), SAMPLE)))["image"].astype(np.float64) / 255
    axes = tuple(range(pixels.ndim - 1))
    mean, std = pixels.mean(axes).round(4), np.maximum(pixels.std(axes), 1 / 255).round(4)
    return tuple(mean.tolist()), tuple(std.tolist())
