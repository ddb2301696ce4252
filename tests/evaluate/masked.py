"""A segmentation problem: images of 3 x 3 cells, a class each, whose features are noisy centres of the classes."""

import numpy as np

CLASSES, CELL = 4, 4


def problem(*, images, seed, noise=1.5, cell=CELL):
    """Maps `[images, 3, 3, 6]` float32 and masks `[images, 3 cell, 3 cell]`."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(100).normal(size=(CLASSES, 6))
    labels = rng.choice(CLASSES, p=(0.55, 0.25, 0.15, 0.05), size=(images, 3, 3))
    maps = centres[labels] + noise * rng.normal(size=(images, 3, 3, 6))
    return maps.astype(np.float32), np.kron(labels, np.ones((1, cell, cell), int))
