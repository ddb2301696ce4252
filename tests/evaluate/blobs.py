"""A small classification problem: classes that overlap a little, features of unlike scales."""

import numpy as np

CLASSES = 3


def blobs(*, each=20, dim=5, seed=0, spread=1.0):
    """Features `[3 * each, dim]` and labels, in class order."""
    centres = np.random.default_rng(100).normal(size=(CLASSES, dim))
    labels = np.repeat(np.arange(CLASSES, dtype=np.int32), each)
    noise = np.random.default_rng(seed).normal(size=(len(labels), dim))
    features = (centres[labels] + spread * noise) * np.logspace(-1, 1, dim) + 3
    return features.astype(np.float32), labels


def problem(*, dim=5, spread=1.0):
    """Training features and labels, test features and labels."""
    return *blobs(dim=dim, spread=spread), *blobs(each=10, dim=dim, seed=1, spread=spread)
