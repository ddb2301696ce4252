"""Drawn scenes: an index is an image, masks are exact, frequencies have a long tail, and both sets draw the same things."""

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data import ArraySource, open_data, split_training
from ssl_jax.data.drawn.scenes import Scenes
from ssl_jax.data.drawn.things import THINGS
from ssl_jax.data.source import in_order, masks_of


@pytest.mark.parametrize("curated", [True, False])
def test_an_image_and_its_mask_are_decided_by_number_and_seed(curated):
    first, again, other = (Scenes(seed=seed, curated=curated) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[17]["image"], again[17]["image"])
    np.testing.assert_array_equal(first.mask(17), again.mask(17))
    assert (first[17]["image"] != other[17]["image"]).any()
    assert first[17]["image"].shape == (48, 48, 3) and first[17]["image"].dtype == first.mask(17).dtype == np.uint8
    with pytest.raises(IndexError):
        first.mask(512)


def test_a_label_is_the_class_with_the_most_pixels():
    scenes = Scenes(size=60)
    for number in range(60):
        mask = scenes.mask(number)
        counts = [(mask == 1 + label).sum() for label in range(12)]
        assert counts[scenes[number]["label"]] == max(counts) > 0 and mask.max() <= 12


def test_an_object_is_alone_and_in_the_middle():
    objects = Scenes(size=48, curated=True)
    for number in range(48):
        mask = objects.mask(number)
        assert set(np.unique(mask)) == {0, 1 + number % 12} and objects[number]["label"] == number % 12
        assert np.abs(np.argwhere(mask).mean(axis=0) - 24).max() < 9 and 0.1 < (mask > 0).mean() < 0.7


@pytest.mark.slow
def test_classes_of_scenes_have_a_long_tail_and_scenes_several_things():
    scenes = Scenes(size=400)
    masks = np.stack([scenes.mask(number) for number in range(400)])
    shown = np.array([[(mask == label).any() for label in range(1, 13)] for mask in masks])
    shares = shown.mean(axis=0)
    assert shares[0] > 0.5 and 0.03 < shares[-1] < 0.2 and (np.diff(shares) < 0.05).all()
    assert 1.5 < shown.sum(axis=1).mean() < 3.5 and shown.any(axis=1).all()
    assert 0.1 < (masks > 0).mean() < 0.3


def test_the_mask_is_where_the_image_differs_from_its_background():
    """Of plain images: pixels of one class differ from the others' mean colour by more than noise, but for the edge."""
    objects = Scenes(size=24, curated=True)
    for number in range(24):
        image, mask = objects[number]["image"].astype(float), objects.mask(number) > 0
        distance = np.abs(image - np.median(image[~mask], axis=0)).max(axis=-1)
        assert np.median(distance[mask]) > 30 and (distance[~mask] > 60).mean() < 0.1


def test_every_thing_has_its_own_outline():
    y, x = (np.mgrid[:64, :64] + 0.5) / 32 - 1
    drawn = {name: draw(x, y) for name, draw in THINGS.items()}
    assert all(parts.dtype == np.uint8 and set(np.unique(parts)) <= {0, 1, 2} for parts in drawn.values())
    for name, parts in drawn.items():
        edge = np.concatenate([parts[[0, -1]].ravel(), parts[:, [0, -1]].ravel()])
        assert not edge.any(), name  # It fits into its square.
        for other in drawn.keys() - {name}:
            both = (parts > 0) & (drawn[other] > 0)
            assert both.sum() / ((parts > 0) | (drawn[other] > 0)).sum() < 0.8, (name, other)


@pytest.mark.parametrize("name", ["objects", "scenes"])
def test_it_is_opened_by_name_with_masks_through_every_wrapper(name):
    data = open_data(name, image_size=24)
    assert len(data.train) == 4000 and len(data.test) == 1000 and data.train.image_shape == (24, 24, 3)
    grey = open_data(name, image_size=24, channels=1)
    np.testing.assert_array_equal(masks_of(grey.test)(5), masks_of(data.test)(5))
    held = split_training(data)
    batch = next(in_order(held.test, batch_size=4))
    for index, image in zip(batch["index"], batch["image"], strict=True):
        number = int(held.test.indices[index])
        np.testing.assert_array_equal(image, data.train[number]["image"])
        np.testing.assert_array_equal(masks_of(held.test)(index), masks_of(data.train)(number))


def test_data_without_masks_say_so():
    digits = open_data("digits")
    assert masks_of(digits.train) is None and masks_of(split_training(digits).test) is None
    images, labels = np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int32)
    assert masks_of(ArraySource("plain", ("a",), images, labels)) is None
    masks = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    np.testing.assert_array_equal(masks_of(ArraySource("masked", ("a",), images, labels, masks))(1), masks[1])


def test_the_size_changes_the_resolution_and_not_the_drawing():
    small, large = (Scenes(side=side, size=20) for side in (48, 96))
    for number in range(20):
        halved = Image.fromarray(large.mask(number)).resize((48, 48), Image.Resampling.NEAREST)
        assert (np.asarray(halved) == small.mask(number)).mean() > 0.93


def test_a_pixel_belongs_to_what_covers_most_of_it():
    """By the same objects at eight times the resolution: nine points of a pixel decide nearly as 64 do."""
    small, fine = (Scenes(side=side, size=12, curated=True) for side in (48, 384))
    for number in range(12):
        share = (fine.mask(number) > 0).reshape(48, 8, 48, 8).mean(axis=(1, 3))
        found = small.mask(number) > 0
        assert (found == (share > 0.5)).mean() > 0.98 and abs(found.sum() - share.sum()) < 0.03 * share.sum()
