"""Intersections over unions are those of their definition and scikit-learn's, and training images choose the strength."""

import jax
import numpy as np
import pytest
from masked import CLASSES, problem

from ssl_jax.evaluate import patch_knn, segmentation_probe
from ssl_jax.evaluate.segmentation import bootstrap_interval, class_iou, confusions, mean_iou

TRAIN, TEST = problem(images=40, seed=0), problem(images=30, seed=1)


def test_intersection_over_union_by_its_definition():
    """In float64, pixel by pixel; class 3 occurs nowhere, class 2 is predicted and never right."""
    rng = np.random.default_rng(0)
    answers, predictions = rng.integers(0, 2, (5, 6, 7)), rng.integers(0, 3, (5, 6, 7))
    answers[0, :2] = 255
    hits, unions = np.zeros(4), np.zeros(4)
    for answer, prediction in zip(answers.ravel(), predictions.ravel(), strict=True):
        for label in range(4):
            hits[label] += answer != 255 and answer == label == prediction
            unions[label] += answer != 255 and label in (answer, prediction)
    counts = confusions(predictions, answers, num_classes=4)
    assert counts.sum() == 5 * 42 - 14 and counts.sum(axis=(1, 2)).tolist() == [28, 42, 42, 42, 42]
    expected = np.where(unions > 0, hits / np.maximum(unions, 1), np.nan)
    np.testing.assert_allclose(class_iou(counts.sum(axis=0)), expected, rtol=1e-15)
    assert expected[2] == 0 and np.isnan(expected[3])
    assert mean_iou(counts.sum(axis=0)) == pytest.approx(np.mean(expected[:3]), rel=1e-15)


def test_one_cell_a_pixel_is_scikit_learns_regression_and_jaccard_score():
    """scikit-learn 1.9.1: LogisticRegression(C=1 / (360 * 0.01), tol=1e-12) on standardised cells, and jaccard_score of it."""
    train, test = problem(images=40, seed=0, cell=1), problem(images=30, seed=1, cell=1)
    found = segmentation_probe(*train, *test, num_classes=CLASSES, strengths=[1e-2])
    counts = confusions(found.predictions, test[1], num_classes=CLASSES).sum(axis=0)
    assert counts.tolist() == [[145, 6, 1, 3], [8, 51, 6, 0], [6, 1, 25, 1], [4, 3, 3, 7]]
    assert found.of_classes == pytest.approx([0.838150289017341, 0.68, 0.5813953488372093, 1 / 3], rel=1e-12)
    assert found.mean_iou == pytest.approx(0.608219742796971, rel=1e-12)
    assert found.accuracy == pytest.approx(0.8444444444444444, rel=1e-12)
    assert found.chance == pytest.approx(155 / 270 / 4, rel=1e-12)


def test_logits_are_interpolated_to_pixels():
    """At the middle of a cell the class is that of the cell alone, and the border between two cells lies halfway."""
    maps = np.eye(2, dtype=np.float32)[[[[0, 1]]] * 4]
    masks = np.kron([[[0, 1]]] * 4, np.ones((1, 6, 6), int))
    found = segmentation_probe(maps, masks, maps, masks, num_classes=2, strengths=[1e-2])
    np.testing.assert_array_equal(found.predictions, masks)
    assert found.mean_iou == found.accuracy == 1 and found.chance == 0.25 and found.interval == (1, 1)


def test_what_the_probe_knows_is_far_above_chance_and_within_its_interval():
    found = segmentation_probe(*TRAIN, *TEST, num_classes=CLASSES)
    assert found.chance < 0.2 < 0.4 < found.mean_iou < found.accuracy
    assert found.interval[0] < found.mean_iou < found.interval[1] < found.interval[0] + 0.3
    neighbors = patch_knn(*TRAIN, *TEST, num_classes=CLASSES)
    assert neighbors.chance < 0.6 < 0.7 < neighbors.accuracy and neighbors.interval[0] < neighbors.accuracy
    with jax.transfer_guard("disallow"):
        again = segmentation_probe(*TRAIN, *TEST, num_classes=CLASSES)
    assert again.mean_iou == found.mean_iou and again.interval == found.interval


def test_training_images_choose_the_strength():
    """Masks that are permuted among the test images change the figures and no choice; a better strength is found."""
    maps, masks = problem(images=12, seed=2, noise=3)
    tests = problem(images=60, seed=3, noise=3)
    found = segmentation_probe(maps, masks, *tests, num_classes=CLASSES, strengths=(1.0, 1e-6))
    permuted = segmentation_probe(
        maps,
        masks,
        tests[0],
        np.random.default_rng(0).permutation(tests[1]),
        num_classes=CLASSES,
        strengths=(1.0, 1e-6),
    )
    assert permuted.strength == found.strength and permuted.mean_iou < found.mean_iou
    np.testing.assert_array_equal(permuted.predictions, found.predictions)


def test_unknown_pixels_count_neither_in_training_nor_in_testing():
    """Images of them alone leave everything as it is without these images."""
    maps, masks = (array.copy() for array in TRAIN)
    masks[:10], maps[:10] = 255, 50.0
    tests = TEST[1].copy()
    tests[5:] = 255
    with_void, without = (maps, masks, TEST[0], tests), (maps[10:], masks[10:], TEST[0][:5], tests[:5])
    found, expected = (
        segmentation_probe(*each, num_classes=CLASSES, strengths=[1e-2]) for each in (with_void, without)
    )
    assert (found.mean_iou, found.accuracy, found.of_classes) == (
        expected.mean_iou,
        expected.accuracy,
        expected.of_classes,
    )
    found, expected = (patch_knn(*each, num_classes=CLASSES) for each in (with_void, without))
    assert (found.accuracy, found.mean_iou, found.chance) == (expected.accuracy, expected.mean_iou, expected.chance)


def test_the_interval_is_that_of_draws_of_images():
    """Of the share of right pixels of images that are all right or all wrong: about that of a binomial."""
    right = np.arange(100) % 2
    counts = confusions(np.repeat(1 - right[:, None], 50, axis=1), np.zeros((100, 50), int), num_classes=2)
    interval = bootstrap_interval(
        counts, lambda counts: counts[..., 0, 0] / counts.sum(axis=(-2, -1)), np.random.default_rng(0)
    )
    assert interval == pytest.approx((0.5 - 1.96 * 0.05, 0.5 + 1.96 * 0.05), abs=0.03)


WRONG = {
    "axes": (lambda maps, masks: (maps[:, 0], masks), r"needs maps \[N, h, w, D\] and masks \[N, H, W\]"),
    "size": (lambda maps, masks: (maps, masks[:, :2]), "of at least h x w pixels"),
    "number": (lambda maps, masks: (maps[:3], masks), "needs maps"),
    "class": (lambda maps, masks: (maps, masks + 3), "masks must be from 0 to 3, or 255"),
    "void": (lambda maps, masks: (maps, np.full_like(masks, 255)), "not all of them 255"),
    "finite": (lambda maps, masks: (maps * np.float32(np.nan), masks), "maps must be finite"),
    "width": (lambda maps, masks: (maps[..., :3], masks), "maps must be of one shape"),
}


@pytest.mark.parametrize("function", [segmentation_probe, patch_knn])
@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_do_not_fit_are_refused(function, name):
    change, sentence = WRONG[name]
    with pytest.raises(ValueError, match=f"^{function.__name__}: .*{sentence}"):
        function(*change(*TRAIN), *TEST, num_classes=CLASSES)


def test_one_image_cannot_choose():
    with pytest.raises(ValueError, match="got 1 training image, expected two or more"):
        segmentation_probe(TRAIN[0][:1], TRAIN[1][:1], *TEST, num_classes=CLASSES)
