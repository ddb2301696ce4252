"""Crops and sizes against Pillow and naive loops; boxes against torchvision's rule written as a loop."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ssl_jax.augment import geometry
from ssl_jax.errors import UsageError


def picture(height, width, channels=2):
    return np.random.default_rng(0).random((height, width, channels)).astype(np.float32)


def pillow_resized(image, size, kernel):
    kernel = {"linear": Image.Resampling.BILINEAR, "cubic": Image.Resampling.BICUBIC}[kernel]
    planes = [Image.fromarray(plane).resize(size[::-1], kernel) for plane in np.moveaxis(image, -1, 0)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def skipping_bilinear(image, size):
    """Bilinear without antialiasing: each result pixel from the four around its centre, edges drawn out."""
    result = np.zeros((*size, image.shape[2]))
    for i, j in np.ndindex(size):
        y, x = ((k + 0.5) * n / m - 0.5 for k, n, m in zip((i, j), image.shape, size, strict=False))
        for row, column in np.ndindex(2, 2):
            row, column = math.floor(y) + row, math.floor(x) + column
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            result[i, j] += weight * image[np.clip(row, 0, len(image) - 1), np.clip(column, 0, image.shape[1] - 1)]
    return result


BOXES = [(0, 0, 12, 10), (3, 2, 4, 5), (0, 6, 12, 4), (11, 9, 1, 1), (5, 0, 7, 9)]


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
@pytest.mark.parametrize("size", [(8, 8), (3, 4), (20, 17)])
def test_crop_and_resize_is_pillows_crop_then_resize(kernel, size):
    image = picture(12, 10)
    crop = jax.jit(partial(geometry.crop_and_resize, size=size, kernel=kernel))
    for top, left, height, width in BOXES:
        made = crop(image, jnp.array([top, left, height, width], jnp.float32))
        expected = pillow_resized(image[top : top + height, left : left + width], size, kernel)
        np.testing.assert_allclose(made, expected, atol=3e-6)


def skipping_cubic(line, size):
    """Keys' kernel with a = -0.5 without antialiasing, along one axis, its weights inside the image summing to 1."""
    result = np.zeros((size, *line.shape[1:]))
    for i in range(size):
        centre = (i + 0.5) * len(line) / size - 0.5
        taps = [tap for tap in range(math.floor(centre) - 1, math.floor(centre) + 3) if 0 <= tap < len(line)]
        away = np.abs(np.array(taps) - centre)
        near, far = 1.5 * away**3 - 2.5 * away**2 + 1, -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2
        weights = np.where(away < 1, near, far)
        result[i] = np.tensordot(weights / weights.sum(), line[taps], axes=1)
    return result


@pytest.mark.parametrize("size", [(3, 4), (20, 17)])
def test_cubic_without_antialias_is_its_definition(size):
    """As tf.image.resize has it, whose sixteen neighbours are not widened where the image shrinks."""
    image = picture(12, 10)
    for top, left, height, width in BOXES:
        box = jnp.array([top, left, height, width], jnp.float32)
        made = geometry.crop_and_resize(image, box, size=size, kernel="cubic", antialias=False)
        rows = skipping_cubic(np.float64(image[top : top + height, left : left + width]), size[0])
        expected = skipping_cubic(rows.swapaxes(0, 1), size[1]).swapaxes(0, 1)
        np.testing.assert_allclose(made, expected, atol=3e-6)


@pytest.mark.parametrize("size", [(3, 4), (20, 17)])
def test_without_antialias_the_four_nearest_pixels_count(size):
    image = picture(12, 10)
    for top, left, height, width in BOXES:
        box = jnp.array([top, left, height, width], jnp.float32)
        made = geometry.crop_and_resize(image, box, size=size, antialias=False)
        expected = skipping_bilinear(image[top : top + height, left : left + width], size)
        np.testing.assert_allclose(made, expected, atol=3e-6)


def test_resize_to_its_own_size_is_the_image_and_constants_stay():
    image = picture(9, 7)
    np.testing.assert_allclose(geometry.resize(jnp.asarray(image), size=(9, 7)), image, atol=1e-6)
    np.testing.assert_allclose(geometry.resize(jnp.full((9, 7, 1), 0.3), size=(4, 11), kernel="cubic"), 0.3, atol=1e-6)


def boxes(*, count=4000, **arguments):
    sample = jax.vmap(partial(geometry.sample_crop_box, **arguments))
    return np.asarray(jax.jit(sample)(jax.random.split(jax.random.key(0), count)))


def loop_box(rng, image_size, scale, ratio):
    """torchvision's RandomResizedCrop.get_params, its draws in a loop."""
    rows, columns = image_size
    for _ in range(10):
        area = rows * columns * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= columns and 0 < height <= rows:
            return rng.integers(rows - height + 1), rng.integers(columns - width + 1), height, width
    width, height = columns, rows
    if columns / rows < ratio[0]:
        height = round(width / ratio[0])
    elif columns / rows > ratio[1]:
        width = round(height * ratio[1])
    return (rows - height) // 2, (columns - width) // 2, height, width


@pytest.mark.parametrize(("image_size", "scale"), [((32, 32), (0.08, 1.0)), ((20, 50), (0.5, 1.0))])
def test_boxes_are_distributed_as_torchvisions(image_size, scale):
    ratio = (3 / 4, 4 / 3)
    ours = boxes(image_size=image_size, scale=scale)
    rng = np.random.default_rng(0)
    loop = np.array([loop_box(rng, image_size, scale, ratio) for _ in range(4000)])
    quantiles = np.linspace(0, 1, 21)
    for column in range(4):
        near = np.quantile(ours[:, column], quantiles) - np.quantile(loop[:, column], quantiles)
        assert abs(near).max() <= 2 and abs(near).mean() < 0.7
    np.testing.assert_array_equal(ours, ours.round())
    assert (ours[:, :2] >= 0).all() and (ours[:, 2:] >= 1).all()
    assert (ours[:, :2] + ours[:, 2:] <= image_size).all()


def test_boxes_reach_every_place_equally():
    corners = boxes(count=1800, image_size=(4, 4), scale=(0.25, 0.25), ratio=(1.0, 1.0))[:, :2]
    places, counts = np.unique(corners, axis=0, return_counts=True)
    np.testing.assert_array_equal(places, list(np.ndindex(3, 3)))
    assert 140 < counts.min() and counts.max() < 260  # 200 each, four standard deviations


@pytest.mark.parametrize("image_size", [(10, 100), (100, 10), (16, 16)])
def test_boxes_that_never_fit_fall_back_to_the_middle(image_size):
    expected = loop_box(np.random.default_rng(0), image_size, (1.0, 1.0), (3 / 4, 4 / 3))
    made = boxes(count=50, image_size=image_size, scale=(1.0, 1.0))
    np.testing.assert_array_equal(made, np.tile(expected, (50, 1)))


def test_random_resized_crop_is_a_crop_of_a_sampled_box():
    image, rng = jnp.asarray(picture(12, 10)), jax.random.key(3)
    box = geometry.sample_crop_box(rng, image_size=(12, 10), scale=(0.2, 0.6), ratio=(0.5, 2.0))
    expected = geometry.crop_and_resize(image, box, size=(5, 5))
    made = geometry.random_resized_crop(rng, image, size=(5, 5), scale=(0.2, 0.6), ratio=(0.5, 2.0))
    np.testing.assert_array_equal(made, expected)


def test_center_crop_is_the_middle():
    image = jnp.asarray(picture(6, 9))
    np.testing.assert_array_equal(geometry.center_crop(image, size=(4, 4)), image[1:5, 2:6])
    np.testing.assert_array_equal(geometry.center_crop(image, size=(6, 9)), image)


def test_flip_exchanges_left_and_right_with_its_probability():
    image = picture(3, 4)
    keys = jax.random.split(jax.random.key(0), 2000)
    made = np.asarray(jax.vmap(partial(geometry.random_flip, probability=0.3), (0, None))(keys, image))
    flipped = (made == np.fliplr(image)).all((1, 2, 3))
    assert (flipped ^ (made == image).all((1, 2, 3))).all()
    assert abs(flipped.mean() - 0.3) < 0.045
    np.testing.assert_array_equal(geometry.flip(geometry.flip(image)), image)


def test_quarter_turns_are_numpys_and_four_of_them_nothing():
    image = jnp.asarray(picture(5, 5))
    quarters = jnp.arange(-2, 7)
    made = jax.vmap(geometry.rotate90, (None, 0))(image, quarters)
    for k, turned in zip(quarters.tolist(), made, strict=True):
        np.testing.assert_array_equal(turned, np.rot90(image, k))
        np.testing.assert_array_equal(geometry.rotate90(image, k), turned)
    np.testing.assert_array_equal(geometry.rotate90(image, 4), image)


def test_wrong_arguments_are_told_in_a_sentence():
    rng, image = jax.random.key(0), jnp.zeros((4, 6, 1))
    with pytest.raises(UsageError, match=r"size \(5, 5\) is larger than the image \(4, 6, 1\)"):
        geometry.center_crop(image, size=(5, 5))
    with pytest.raises(UsageError, match="must be square"):
        geometry.rotate90(image, 1)
    for wrong in ({"scale": (0.0, 1.0)}, {"scale": (0.5, 1.2)}, {"ratio": (2.0, 1.0)}):
        with pytest.raises(UsageError, match="ranges must have 0 < low <= high"):
            geometry.sample_crop_box(rng, image_size=(4, 6), **wrong)
    with pytest.raises(UsageError, match="random_flip: probability"):
        geometry.random_flip(rng, image, probability=-0.1)
