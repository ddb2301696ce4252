"""Weights that follow from their names, so that no file has to hold them. RandomState's numbers are the same in every numpy."""

import zlib

import numpy as np


def drawn(name, shape):
    """An array of PyTorch's name and shape: kernels keep the size of activations, gains and variances are about 1."""
    if not shape and name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return np.exp(numbers / 8).astype(np.float32)
    if len(shape) == 1:
        return ((name.endswith(("weight", "gamma"))) + numbers / 8).astype(np.float32)
    fan_in = np.prod(shape[1:]) if name.endswith("weight") else 25  # Tokens and positions have none.
    return (numbers * (1.5 / fan_in) ** 0.5).astype(np.float32)


def drawn_images(side):
    """Two images as PyTorch has them, `[2, 3, side, side]`."""
    return np.random.RandomState(0).standard_normal((2, 3, side, side)).astype(np.float32)
