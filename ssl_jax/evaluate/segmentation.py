"""Segmentation by frozen features of patches: a linear head and k-NN, with the intersection over union of each class.

N: training images; M: test images; h x w: cells of a feature map; D: size of their features; H x W: pixels of a mask; K:
classes, the background, class 0, included. Intersections and unions are summed over all test images, as in PASCAL VOC; a class
that neither occurs nor is predicted is left out of the mean. Bootstrap intervals are over test images, since the pixels of one
are not independent.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.evaluate.knn import knn
from ssl_jax.evaluate.logistic import logistic_regression, no_opinion
from ssl_jax.evaluate.patches import cell_labels, check_patches
from ssl_jax.evaluate.standardization import moments, standardized
from ssl_jax.ops.checks import check_all_positive, check_count, check_range, given

STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)
DRAWS = 200  # Of the bootstrap.
Maps = NDArray[np.float32]
Masks = NDArray[np.integer]
Counts = NDArray[np.int64]


class Segmentation(NamedTuple):
    """Figures in [0, 1], over the pixels of the test images."""

    mean_iou: float  # mean over classes, the background included
    interval: tuple[float, float]  # 95 % bootstrap interval of that mean, over test images
    of_classes: tuple[float, ...]  # IoU of each class; NaN where it neither occurs nor is predicted
    accuracy: float  # share of the pixels
    chance: float  # mean IoU where every pixel is assigned to the most frequent class
    strength: float  # the L2 strength that training images chose
    predictions: NDArray[np.uint8]  # [M, H, W]


class PatchNeighbors(NamedTuple):
    """Figures in [0, 1], over the cells of the test images."""

    accuracy: float  # share of the cells
    interval: tuple[float, float]  # 95 % bootstrap interval of that share, over test images
    chance: float  # share of the most frequent class
    mean_iou: float  # mean over classes, the background included


def confusions(predictions: Masks, answers: Masks, *, num_classes: int) -> Counts:
    """Pixels of each image by class and prediction, `[M, ...]` -> `[M, K, K]`; answers outside 0 to K - 1 are not counted."""
    images = np.arange(len(answers)).reshape(-1, *[1] * (answers.ndim - 1))
    cells = (images * num_classes + answers.astype(np.int64)) * num_classes + predictions
    known = (answers >= 0) & (answers < num_classes)
    counts = np.bincount(cells[known], minlength=len(answers) * num_classes**2)
    return counts.reshape(len(answers), num_classes, num_classes)


def class_iou(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """Intersection over union of each class, `[..., K, K]` -> `[..., K]`; NaN where a class neither occurs nor is predicted."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    unions = counts.sum(axis=-1) + counts.sum(axis=-2) - hits
    return np.where(unions > 0, hits / np.maximum(unions, 1), np.nan)


def mean_iou(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """Mean of `class_iou` over the classes that occur or are predicted."""
    return np.nanmean(class_iou(counts), axis=-1)


def segmentation_probe(
    train_maps: Maps,
    train_masks: Masks,
    test_maps: Maps,
    test_masks: Masks,
    *,
    num_classes: int,
    strengths: Sequence[float] = STRENGTHS,
    held_out: float = 0.2,
    seed: int = 0,
) -> Segmentation:
    """Mean intersection over union of a linear classifier of patches. By chance, s/K for a most frequent class with share s.

    Multinomial logistic regression on cells, each with the class of most of its pixels; its logits, interpolated bilinearly to
    pixels, are evaluated against the masks.

    Args:
      train_maps, train_masks: `[N, h, w, D]`, standardised by their own statistics, and integers `[N, H, W]` below K, 255 where
        unknown.
      test_maps, test_masks: `[M, h, w, D]` and `[M, H, W]`.
      num_classes: K, with the background.
      strengths: L2 strengths to choose from, see `logistic_regression`.
      held_out: share of the training images, drawn at random, that chooses the strength by its mean IoU.
      seed: seed of the held-out images and of the bootstrap.

    Raises:
      ValueError: shapes that do not fit, classes out of range, features that are not finite, a number out of range, or fewer
        than two training images with a known pixel.

    Example:
      >>> masks = np.array([[[0, 1], [1, 2]], [[2, 0], [1, 0]]] * 4)
      >>> maps = np.eye(3, dtype=np.float32)[masks]
      >>> print(segmentation_probe(maps, masks, maps, masks, num_classes=3).mean_iou)
      1.0

    Source: Oquab et al. 2023, https://arxiv.org/abs/2304.07193, section 7.4, whose linear layer is trained by AdamW on
    interpolated logits instead.
    """
    check_patches("segmentation_probe", train_maps, train_masks, test_maps, test_masks, num_classes=num_classes)
    check_all_positive("segmentation_probe", strengths=strengths)
    check_range("segmentation_probe", 0.01, 0.99, held_out=held_out)
    check_count("segmentation_probe", least=0, seed=seed)
    labels = cell_labels(train_masks, train_maps.shape[1:3], num_classes=num_classes)
    usable = np.flatnonzero((labels >= 0).any(axis=(1, 2)))
    if len(usable) < 2:
        raise ValueError(
            f"segmentation_probe: got {len(usable)} training image, expected two or more, since one chooses the strength."
        )
    generator = np.random.default_rng(seed)
    held = generator.permutation(usable)[: min(max(1, round(held_out * len(usable))), len(usable) - 1)]
    known, fitted = labels >= 0, labels >= 0  # Cells of void alone teach nothing, not even the standardisation.
    fitted[held] = False
    cells = jax.device_put(train_maps[known])
    mean, scale = moments(cells)
    rows, targets = standardized(cells, mean, scale), jax.device_put(labels[known])

    def fit(chosen: NDArray[np.bool_], strength: float, start: Array) -> Array:
        return logistic_regression(rows, targets, chosen, strength=strength, start=start, tolerance=1e-3)

    def predicted(solution: Array, maps: Maps, masks: Masks) -> NDArray[np.uint8]:
        return _segmented(solution, maps, (mean, scale), size=masks.shape[1:])

    solution, solutions, found = no_opinion(num_classes, rows), {}, {}
    for strength in sorted(strengths, reverse=True):
        solutions[strength] = solution = fit(fitted[known], strength, solution)
        segmented = predicted(solution, train_maps[held], train_masks[held])
        found[strength] = mean_iou(confusions(segmented, train_masks[held], num_classes=num_classes).sum(axis=0))
    chosen = max(found, key=found.__getitem__)
    solution = fit(np.ones(len(rows), bool), chosen, solutions[chosen])
    predictions = predicted(solution, test_maps, test_masks)
    counts = confusions(predictions, test_masks, num_classes=num_classes)
    share = frequencies(counts).max()
    return Segmentation(
        float(mean_iou(counts.sum(axis=0))),
        bootstrap_interval(counts, mean_iou, generator),
        tuple(class_iou(counts.sum(axis=0)).tolist()),
        float(accuracy(counts.sum(axis=0))),
        float(share / (frequencies(counts) > 0).sum()),
        chosen,
        predictions,
    )


def patch_knn(
    train_maps: Maps,
    train_masks: Masks,
    test_maps: Maps,
    test_masks: Masks,
    *,
    num_classes: int,
    k: int | None = None,
    seed: int = 0,
) -> PatchNeighbors:
    """Share of the test cells whose class k-NN among the training cells predicts. By chance, the share of the largest class.

    Args:
      train_maps, train_masks: `[N, h, w, D]` and integers `[N, H, W]` below K, 255 where unknown; a cell has the class of most
        of its pixels.
      test_maps, test_masks: `[M, h, w, D]` and `[M, H, W]`.
      num_classes: K, with the background.
      k: neighbours that vote, as in `knn`.
      seed: seed of the bootstrap.

    Raises:
      ValueError: shapes that do not fit, classes out of range, features that are not finite, or a number out of range.

    Example:
      >>> masks = np.array([[[0, 1], [1, 2]]])
      >>> maps = np.eye(3, dtype=np.float32)[masks]
      >>> print(patch_knn(maps, masks, maps, masks, num_classes=3, k=1).accuracy)
      1.0
    """
    check_patches("patch_knn", train_maps, train_masks, test_maps, test_masks, num_classes=num_classes)
    check_count("patch_knn", **given(k=k))
    check_count("patch_knn", least=0, seed=seed)
    grid, width = train_maps.shape[1:3], train_maps.shape[-1]
    labels, answers = (cell_labels(masks, grid, num_classes=num_classes) for masks in (train_masks, test_masks))
    found = knn(
        train_maps.reshape(-1, width), labels.reshape(-1), test_maps.reshape(-1, width), num_classes=num_classes, k=k
    )
    counts = confusions(np.asarray(jax.device_get(found)).reshape(answers.shape), answers, num_classes=num_classes)
    total = counts.sum(axis=0)
    interval = bootstrap_interval(counts, accuracy, np.random.default_rng(seed))
    return PatchNeighbors(float(accuracy(total)), interval, float(frequencies(counts).max()), float(mean_iou(total)))


def accuracy(counts: NDArray[np.number]) -> NDArray[np.float64]:
    """Share of the pixels on the diagonal, `[..., K, K]` -> `[...]`."""
    return np.trace(counts, axis1=-2, axis2=-1) / np.maximum(counts.sum(axis=(-2, -1)), 1)


def frequencies(counts: Counts) -> NDArray[np.float64]:
    """The share of each class among the pixels of all images, `[M, K, K]` -> `[K]`."""
    return counts.sum(axis=(0, 2)) / counts.sum()


def bootstrap_interval(
    counts: Counts, figure: Callable[[NDArray[np.number]], NDArray[np.float64]], generator: np.random.Generator
) -> tuple[float, float]:
    """95 % percentile interval of a figure of the summed confusions, over draws of images with replacement."""
    size = len(counts)
    weights = generator.multinomial(size, np.full(size, 1 / size), size=DRAWS)
    resampled = (weights @ counts.reshape(size, -1)).reshape(DRAWS, *counts.shape[1:])
    low, high = np.quantile(figure(resampled[resampled.any(axis=(1, 2))]), [0.025, 0.975])
    return float(low), float(high)


def _segmented(
    solution: Array, maps: Maps, statistics: tuple[Array, Array], *, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Classes of pixels, `[M, h, w, D]` -> `[M, H, W]`, a block of images at a time."""
    blocks = [
        np.asarray(jax.device_get(_block(solution, *statistics, jax.device_put(maps[first : first + 128]), size=size)))
        for first in range(0, len(maps), 128)
    ]
    return np.concatenate(blocks)


@jax.jit(static_argnames="size")
def _block(solution: Array, mean: Array, scale: Array, maps: Array, *, size: tuple[int, int]) -> Array:
    rows = standardized(maps.reshape(-1, maps.shape[-1]), mean, scale)
    logits = jnp.matmul(rows, solution.T, precision="highest").reshape(*maps.shape[:-1], -1)
    pixels = jax.image.resize(logits, (len(maps), *size, logits.shape[-1]), "linear")
    return pixels.argmax(axis=-1).astype(jnp.uint8)
