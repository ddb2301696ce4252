"""The arrays behind the pictures of what the networks see."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np

from ssl_jax.augment.pretext import standardize_tile
from ssl_jax.augment.views import evaluation_view
from ssl_jax.report.album import of_each_class
from ssl_jax.report.inputs import HIDDEN, as_pixels, hide, masked_pictures, sound_pictures

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 6, 6, 2), dtype=np.uint8)


def test_pixels_are_those_before_standardisation():
    prepare = evaluation_view(size=6, mean=(0.2, 0.5), std=(0.1, 0.3))
    seen = jnp.stack([prepare(image) for image in IMAGES])
    np.testing.assert_array_equal(as_pixels(seen, prepare, IMAGES), IMAGES)


def test_tiles_that_are_standardised_one_by_one_have_grays_and_not_only_black_and_white():
    def prepare(image):
        return standardize_tile(image.astype(jnp.float32) / 255)

    pixels = as_pixels(jnp.stack([prepare(image) for image in IMAGES]), prepare, IMAGES)
    assert 0 < pixels.min() < 60 and 195 < pixels.max() < 255 and abs(pixels.mean() - 127.5) < 1


def test_frequencies_rise_from_bottom_to_top():
    spectrogram = np.zeros((1, 4, 3, 1))  # Time steps, frequencies.
    spectrogram[0, 1, 0] = 1
    picture = sound_pictures(jnp.asarray(spectrogram))
    assert picture.shape == (1, 3, 4, 1) and picture[0, 2, 1, 0] == 255 and picture.sum() == 255


def test_hidden_patches_are_gray():
    views = np.arange(48, dtype=np.uint8).reshape(1, 2, 4, 6, 1)
    shown = np.zeros((1, 2, 6), bool)
    shown[0, 0, 0] = shown[0, 1, 5] = True
    hidden = hide(views, shown, grid=(2, 3))
    np.testing.assert_array_equal(hidden[0, 0, :2, :2], views[0, 0, :2, :2])
    assert (hidden[0, 0, 2:] == HIDDEN).all() and (hidden[0, 1, 2:, 4:] == views[0, 1, 2:, 4:]).all()


def test_masks_of_every_kind_of_views():
    encoder, views = SimpleNamespace(patch_size=2), np.full((1, 1, 4, 4, 1), 9, np.uint8)

    def visible(**seen):
        found = masked_pictures(views, {name: jnp.asarray(array) for name, array in seen.items()}, encoder)
        return (found["masked"] == 9)[0, :, ::2, ::2, 0].reshape(-1, 4).tolist()

    assert visible(seen=[[0, 3]], wanted=[[1, 2]]) == [[True, False, False, True]]
    blocks = {"wanted": [[[1, 1], [2, 3]]], "counted": [[[True, False], [True, True]]]}
    of_blocks = [[True, False, False, False], [False, True, False, False], [False, False, True, True]]
    assert visible(seen=[[0]], **blocks) == of_blocks
    assert visible(masked=[[[True, False, False, False]]], wanted=[[[0]]]) == [[False, True, True, True]]
    assert masked_pictures(views, {"views": jnp.zeros(1)}, encoder) == masked_pictures(views, {}, None) == {}


def test_as_many_queries_of_each_class_as_fit():
    labels = np.array([2, -1, 0, 2, 1, 0])
    assert of_each_class(labels, 3).tolist() == of_each_class(labels, 5).tolist() == [2, 4, 0]
    assert of_each_class(labels, 10).tolist() == [2, 5, 4, 0, 3] and of_each_class(labels, 2).tolist() == [2, 0]
