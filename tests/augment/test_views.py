"""Views: what they hold, that they depend on the key and the image alone, and what they refuse."""

import math
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from PIL import Image

from ssl_jax.augment import views
from ssl_jax.augment.views import (
    byol_views,
    digit_views,
    evaluation_view,
    joined,
    multi_crop,
    photo_views,
    simclr_views,
    standardize,
)
from ssl_jax.errors import UsageError

GREY = {"mean": (0.2,), "std": (0.5,)}
COLOUR = {"mean": (0.2, 0.4, 0.6), "std": (0.5, 0.25, 0.2)}
STILL = {"degrees": 0.0, "translate": 0.0, "zoom": (1.0, 1.0), "shear": 0.0, "brightness": 0.0, "contrast": 0.0}


def pictures(*shape):
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


@pytest.fixture(scope="module", params=["simclr", "digit"])
def example(request):
    """A jitted function of one example, 16 keys and 16 images that it can take."""
    keys = jax.random.split(jax.random.key(0), 16)
    if request.param == "simclr":
        return jax.jit(simclr_views(size=20, **COLOUR)), keys, pictures(16, 24, 22, 3)
    return jax.jit(digit_views(size=20, **GREY)), keys, pictures(16, 20, 24, 1)


@pytest.mark.slow
def test_views_do_not_depend_on_how_the_batch_is_cut(example):
    """Two examples on each of eight devices against one at a time; and the devices have nothing to tell each other."""
    augment, keys, images = example
    alone = np.stack([augment(*one) for one in zip(keys, images, strict=True)])
    assert alone.shape == (16, 2, 20, 20, images.shape[-1]) and alone.dtype == np.float32

    rows = NamedSharding(Mesh(np.array(jax.devices()), ("data",)), PartitionSpec("data"))
    keys, images = jax.device_put((keys, images), rows)
    program = jax.jit(jax.vmap(augment), out_shardings=rows).lower(keys, images).compile()
    np.testing.assert_allclose(program(keys, images), alone, atol=1e-5)
    assert not [word for word in ("all-gather", "all-reduce", "all-to-all", "collective") if word in program.as_text()]


def test_views_differ_from_each_other_and_from_key_to_key(example):
    augment, keys, images = example
    first, second = augment(keys[0], images[0])
    other = augment(keys[1], images[0])
    assert abs(first - second).max() > 0.1 and abs(first - other[0]).max() > 0.1


def test_views_make_no_other_types_and_nothing_large(example):
    augment, keys, images = example
    text = str(jax.make_jaxpr(augment)(keys[0], images[0]))
    made = re.findall(r":([a-z]+[0-9]*(?:<fry>)?)\[([0-9,]*)\]", text)
    assert {dtype for dtype, _ in made} == {"f32", "i32", "u8", "u32", "bool", "key<fry>"}
    largest = max(math.prod(int(n) for n in shape.split(",") if n) for _, shape in made)
    assert images[0].size <= largest <= 2 * 4 * images[0].size  # two views, four neighbours of each pixel at most


@pytest.mark.parametrize("value", [0, 77, 255])
def test_constant_images_give_finite_views(example, value):
    augment, keys, images = example
    assert np.isfinite(augment(keys[0], jnp.full_like(images[0], value))).all()


@pytest.mark.slow
def test_views_of_no_strength_are_the_standardised_image():
    image, rng = pictures(20, 20, 1), jax.random.key(0)
    expected = (np.float64(image) / 255 - 0.2) / 0.5
    simclr = simclr_views(size=20, strength=0, min_scale=1, blur=False, flip=False, views=3, **GREY)
    for augment in (simclr, digit_views(size=20, scale=(1, 1), views=3, **STILL, **GREY)):
        for one in jax.jit(augment)(rng, image):
            np.testing.assert_allclose(one, expected, atol=1e-5)


def test_floats_and_bytes_give_the_same_view():
    image, view = pictures(8, 8, 3), evaluation_view(size=8, **COLOUR)
    np.testing.assert_allclose(view(image), view(image.astype(jnp.float32) / 255), atol=1e-6)


@pytest.mark.parametrize("make", [photo_views, digit_views])
def test_views_that_are_no_squares_are_not_stretched(make):
    """A disc on an image twice as wide as high stays one in views of that shape; crops have their shape, too."""
    y, x = np.mgrid[:24, :48]
    image = jnp.asarray((y - 11.5) ** 2 + (x - 23.5) ** 2 < 36, jnp.float32)[..., None]
    still = STILL if make is digit_views else {"jitter": (0.0,) * 4, "grayscale": 0.0, "blur": 0.0, "flip": False}
    view = jax.jit(make(size=(12, 24), scale=(1.0, 1.0), mean=(0.0,), std=(1.0,), views=1, **still))
    made = np.asarray(view(jax.random.key(0), image))
    assert made.shape == (1, 12, 24, 1)
    down, across = (
        np.sqrt(np.cov(np.arange(len(mass)), aweights=mass)) for mass in (made.sum((0, 2, 3)), made.sum((0, 1, 3)))
    )
    assert across / down == pytest.approx(1, abs=0.1)
    with pytest.raises(UsageError, match=r"size \(12, 50\) is larger than the image \(24, 48, 1\)"):
        make(size=(12, 50), mean=(0.0,), std=(1.0,))(jax.random.key(0), image)


@pytest.mark.parametrize("shape", [(24, 48), (30, 48), (24, 60), (12, 24)])
def test_the_evaluation_view_covers_a_size_that_is_no_square(shape):
    image, (height, width) = pictures(*shape, 1), shape
    resized = Image.fromarray(np.float32(image[..., 0]) / 255)
    across, down = (width * 12 // height, 12) if width >= 2 * height else (24, height * 24 // width)
    resized = resized.resize((across, down), Image.Resampling.BILINEAR)
    top, left = ((side - kept) // 2 for side, kept in zip(resized.size[::-1], (12, 24), strict=True))
    expected = np.asarray(resized)[top : top + 12, left : left + 24, None]
    made = evaluation_view(size=(12, 24), mean=(0.0,), std=(1.0,))(image)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_strengths_are_the_papers(monkeypatch):
    told = {}

    def tell(name, function):
        def told_function(rng, image, **arguments):
            told[name] = arguments
            return function(rng, image, **arguments)

        monkeypatch.setattr(views, name, told_function)

    for name in ("random_resized_crop", "random_color_jitter", "random_grayscale", "random_gaussian_blur"):
        tell(name, getattr(views, name))
    jax.eval_shape(simclr_views(size=32, strength=0.5, **COLOUR), jax.random.key(0), pictures(32, 32, 3))
    strengths = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    assert told["random_color_jitter"] == strengths | {"probability": 0.8}
    assert told["random_resized_crop"] == {
        "size": (32, 32),
        "scale": (0.08, 1.0),
        "ratio": (3 / 4, 4 / 3),
        "kernel": "linear",
        "antialias": True,
    }
    assert told["random_gaussian_blur"] == {"kernel_size": 3, "probability": 0.5}
    assert told["random_grayscale"] == {"probability": 0.2}
    jax.eval_shape(
        photo_views(size=96, jitter_probability=1.0, blur_kernel="pillow", **COLOUR),
        jax.random.key(0),
        pictures(96, 96, 3) / 255,  # As floats: made as a batch is.
    )
    assert told["random_color_jitter"]["probability"] == 1.0 and told["random_gaussian_blur"]["kernel_size"] == 13


@pytest.mark.slow
@pytest.mark.parametrize("resampling", ["linear", "cubic"])
def test_crops_are_resized_as_pillow_does_it(resampling):
    """A whole image, so that no crop is drawn: half as large as uint8, which Pillow rounds and clips."""
    image = pictures(24, 24, 3)
    plain = {"scale": (1.0, 1.0), "jitter": (0.0,) * 4, "grayscale": 0.0, "blur": 0.0, "flip": False, "views": 1}
    made = photo_views(size=12, resampling=resampling, mean=(0.0,) * 3, std=(1.0,) * 3, **plain)(
        jax.random.key(0), image
    )
    kernel = {"linear": Image.Resampling.BILINEAR, "cubic": Image.Resampling.BICUBIC}[resampling]
    expected = np.asarray(Image.fromarray(np.asarray(image)).resize((12, 12), kernel))
    np.testing.assert_allclose(255 * made[0], expected, atol=1.01)  # a rounding after each axis
    skipping = photo_views(
        size=12, resampling=resampling, antialias=False, mean=(0.0,) * 3, std=(1.0,) * 3, **plain
    )(jax.random.key(0), image)  # fmt: skip
    assert abs(skipping - made).max() > 0.1


@pytest.mark.slow
def test_what_a_cubic_kernel_overshoots_is_clipped():
    image = np.zeros((8, 8, 1), np.uint8)
    image[:, 4:] = 255  # an edge, which the kernel overshoots by 7 % at twice the size
    plain = {"scale": (1.0, 1.0), "jitter": (0.0,) * 4, "grayscale": 0.0, "blur": 0.0, "flip": False, "views": 1}
    view = photo_views(size=8, resampling="cubic", mean=(0.0,), std=(1.0,), **plain)
    for fraction in (0.3, 0.6):
        crop = photo_views(
            size=8, resampling="cubic", mean=(0.0,), std=(1.0,), **plain | {"scale": (fraction, fraction)}
        )
        made = crop(jax.random.key(1), jnp.asarray(image))
        assert made.min() >= 0 and made.max() <= 1
    np.testing.assert_allclose(view(jax.random.key(0), jnp.asarray(image))[0], image / 255, atol=1e-6)


@pytest.mark.parametrize(("shape", "fraction"), [((30, 40), 1.0), ((40, 30), 0.8), ((12, 16), 1.0), ((25, 25), 0.8)])
def test_evaluation_view_is_pillows_resize_and_the_middle(shape, fraction):
    image = pictures(*shape, 1)
    shorter = round(20 / fraction)
    height, width = (side * shorter // min(shape) for side in shape)
    resized = Image.fromarray(np.float32(image[..., 0]) / 255).resize((width, height), Image.Resampling.BILINEAR)
    top, left = (height - 20) // 2, (width - 20) // 2
    expected = (np.asarray(resized)[top : top + 20, left : left + 20, None] - 0.2) / 0.5
    made = jax.jit(evaluation_view(size=20, crop_fraction=fraction, **GREY))(image)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_standardize_takes_each_channel_by_its_own_numbers():
    image = jnp.asarray([[[0.2, 0.65, 1.0]]])
    np.testing.assert_allclose(standardize(image, **COLOUR), [[[0, 1, 2]]], atol=1e-6)


@pytest.mark.parametrize("make", [simclr_views, digit_views])
def test_wrong_images_are_told_in_a_sentence(make):
    def run(augment, images):
        return jax.jit(jax.vmap(augment))(jax.random.split(jax.random.key(0), len(images)), images)

    with pytest.raises(UsageError, match=r"size 32 is larger than the image \(28, 40, 1\): resize it, or lower size"):
        run(make(size=32, **GREY), pictures(2, 28, 40, 1))
    with pytest.raises(UsageError, match="mean and std need a value for each channel"):
        run(make(size=28, **GREY), pictures(2, 28, 28, 3))
    with pytest.raises(UsageError, match="got int32"):
        run(make(size=28, **GREY), pictures(2, 28, 28, 1).astype(jnp.int32))


@pytest.mark.parametrize("make", [simclr_views, digit_views, partial(evaluation_view, crop_fraction=0.0)])
def test_wrong_sizes_are_told_when_the_views_are_made(make):
    with pytest.raises(UsageError, match="must be 1 or more"):
        make(size=0, **GREY)


@pytest.mark.slow
def test_joined_views_have_a_key_each():
    image, view = pictures(20, 20, 1), digit_views(size=20, views=1, **GREY)
    both = jax.jit(joined(view, view))(jax.random.key(0), image)
    assert both.shape == (2, 20, 20, 1) and (both[0] != both[1]).any()


def test_multi_crop_is_views_of_two_sizes():
    large, small = digit_views(size=20, **GREY), digit_views(size=12, scale=(0.1, 0.3), views=3, **GREY)
    views = jax.eval_shape(multi_crop(large, small), jax.random.key(0), pictures(20, 20, 1))
    assert {name: view.shape for name, view in views.items()} == {
        "views": (2, 20, 20, 1),
        "small_views": (3, 12, 12, 1),
    }


def test_byol_always_blurs_one_view_and_solarises_the_other(monkeypatch):
    told = []

    def tell(name, function):
        def told_function(*given, probability, **named):
            told.append((name, probability))
            return function(*given, probability=probability, **named)

        monkeypatch.setattr(views, name, told_function)

    for name in ("random_gaussian_blur", "random_solarize"):
        tell(name, getattr(views, name))
    jax.eval_shape(byol_views(size=40, **COLOUR), jax.random.key(0), pictures(40, 40, 3))
    blurs = [probability for name, probability in told if name == "random_gaussian_blur"]
    assert blurs == [1.0, 0.1]  # Grill et al. 2020, table 6
    assert told.count(("random_solarize", 0.2)) == 1 and len(told) == 3
