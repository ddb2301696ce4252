"""Colour operations against float64 definitions and Pillow; random ones by their probabilities, ranges and orders."""

import colorsys
from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from ssl_jax.augment import color
from ssl_jax.errors import UsageError

BRIGHTNESS, CONTRAST, SATURATION = color.adjust_brightness, color.adjust_contrast, color.adjust_saturation


def picture(channels=3, seed=0):
    """Uniform noise of uint8, with a black, a white, a grey and a fully saturated pixel."""
    image = np.random.default_rng(seed).integers(0, 256, (6, 5, channels), np.uint8)
    image[0, 0], image[0, 1], image[0, 2], image[0, 3, 0], image[0, 3, 1:] = 0, 255, 77, 255, 0
    return image


def unit(image):
    return jnp.asarray(image, jnp.float32) / 255


def luma(image):
    return image if image.shape[-1] == 1 else (image @ [0.299, 0.587, 0.114])[..., None] * np.ones(3)


def turned(pixel, amount):
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    return colorsys.hsv_to_rgb((hue + amount) % 1, saturation, value)


def blended(image, dull, amount):
    return np.clip(amount * image + (1 - amount) * dull, 0, 1)


DEFINITIONS = {
    BRIGHTNESS: lambda image, amount: blended(image, 0, amount),
    CONTRAST: lambda image, amount: blended(image, luma(image).mean(), amount),
    SATURATION: lambda image, amount: blended(image, luma(image), amount),
    color.adjust_hue: lambda image, amount: np.apply_along_axis(turned, -1, image, amount),
    color.solarize: lambda image, amount: np.where(image < amount, image, 1 - image),
}


@pytest.mark.parametrize("adjust", DEFINITIONS, ids=lambda adjust: adjust.__name__)
@pytest.mark.parametrize("amount", [-0.3, 0.0, 0.4, 1.0, 1.7])
def test_adjustments_are_their_definitions(adjust, amount):
    if adjust is not color.adjust_hue:
        amount = abs(amount)
    image = unit(picture())
    expected = DEFINITIONS[adjust](np.asarray(image, np.float64), amount)
    np.testing.assert_allclose(jax.jit(adjust)(image, amount), expected, atol=2e-6)


@pytest.mark.parametrize("adjust", [BRIGHTNESS, CONTRAST], ids=["brightness", "contrast"])
def test_adjustments_of_grey_images_are_their_definitions(adjust):
    image = unit(picture(channels=1))
    expected = DEFINITIONS[adjust](np.asarray(image, np.float64), 1.6)
    np.testing.assert_allclose(adjust(image, 1.6), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("adjust", "enhance"),
    [(BRIGHTNESS, ImageEnhance.Brightness), (CONTRAST, ImageEnhance.Contrast), (SATURATION, ImageEnhance.Color)],
    ids=["brightness", "contrast", "saturation"],
)
@pytest.mark.parametrize("amount", [0.0, 0.5, 1.5])
def test_adjustments_follow_pillow_to_its_rounding(adjust, enhance, amount):
    image = picture()
    expected = np.asarray(enhance(Image.fromarray(image)).enhance(amount), np.float64)
    # Pillow rounds the grey and the result down or up, one level each.
    np.testing.assert_allclose(255 * adjust(unit(image), amount), expected, atol=2)


def test_solarize_is_pillows():
    image = picture()
    expected = np.asarray(ImageOps.solarize(Image.fromarray(image), threshold=128))
    np.testing.assert_allclose(255 * color.solarize(unit(image), 128 / 255), expected, atol=1e-3)


@pytest.mark.parametrize("adjust", [BRIGHTNESS, CONTRAST, SATURATION])
def test_amount_1_is_the_image_bit_for_bit(adjust):
    np.testing.assert_array_equal(adjust(unit(picture()), 1.0), unit(picture()))


def test_known_hues():
    red, green, blue = np.eye(3, dtype=np.float32)
    image = jnp.asarray([[red, green, blue]])
    np.testing.assert_allclose(color.adjust_hue(image, 1 / 3)[0], [green, blue, red], atol=1e-6)
    np.testing.assert_allclose(color.adjust_hue(image, -2 / 3)[0], [green, blue, red], atol=1e-6)
    np.testing.assert_allclose(color.adjust_hue(unit(picture()), 1.0), unit(picture()), atol=2e-6)


def test_one_channel_has_no_colour_to_change():
    image = unit(picture(channels=1))
    for changed in (SATURATION(image, 0.3), color.adjust_hue(image, 0.3), color.to_grayscale(image)):
        np.testing.assert_allclose(changed, image, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_constant_images_stay_finite_and_in_range(channels, value):
    image = jnp.full((4, 4, channels), value)
    jitter = jax.jit(partial(color.random_color_jitter, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2))
    for seed in range(5):
        jittered = np.asarray(jitter(jax.random.key(seed), image))
        assert np.isfinite(jittered).all() and jittered.min() >= 0 and jittered.max() <= 1


def jittered(image, *, count=2400, **strengths):
    jitter = partial(color.random_color_jitter, **({"contrast": 0, "saturation": 0, "hue": 0} | strengths))
    return np.asarray(jax.jit(jax.vmap(jitter, (0, None)))(jax.random.split(jax.random.key(1), count), image))


def test_jitter_amounts_fill_their_range():
    amounts = jittered(jnp.full((1, 1, 1), 0.25), brightness=0.6, probability=1)[:, 0, 0, 0] / 0.25
    np.testing.assert_allclose([amounts.min(), amounts.max(), amounts.mean()], [0.4, 1.6, 1.0], atol=0.02)
    bright = jittered(jnp.full((1, 1, 1), 0.25), brightness=1.6, probability=1)[:, 0, 0, 0] / 0.25
    np.testing.assert_allclose([bright.min(), bright.max(), bright.mean()], [0, 2.6, 1.3], atol=0.05)


def test_jitter_happens_with_its_probability():
    changed = jittered(jnp.full((1, 1, 1), 0.25), brightness=0.6, probability=0.3) != 0.25
    assert abs(changed.mean() - 0.3) < 0.04


def test_jitter_of_no_strength_is_the_image():
    image = unit(picture())
    np.testing.assert_array_equal(jittered(image, count=1, brightness=0)[0], image)


@pytest.mark.parametrize("branches", [False, True])
def test_jitter_takes_all_orders_equally(monkeypatch, branches):
    names = ("brightness", "contrast", "saturation", "hue")
    for digit, name in enumerate(names, start=1):  # each writes its digit behind those of the ones before it
        monkeypatch.setattr(color, f"adjust_{name}", lambda image, amount, axis=-1, digit=digit: 10 * image + digit)
    written = jittered(jnp.zeros((1, 1, 3)), probability=1, branches=branches, **dict.fromkeys(names, 0.5))[:, 0, 0, 0]
    orders = Counter(written.astype(int).tolist())
    assert len(orders) == 24 and all(sorted(str(order)) == list("1234") for order in orders)
    assert 60 < min(orders.values()) and max(orders.values()) < 145  # 100 each, four standard deviations


@pytest.mark.parametrize(
    ("random", "changed"), [(color.random_grayscale, color.to_grayscale), (color.random_solarize, color.solarize)]
)
def test_grey_and_solarize_happen_with_their_probability(random, changed):
    image = unit(picture())
    keys = jax.random.split(jax.random.key(2), 2000)
    made = jax.jit(jax.vmap(partial(random, probability=0.3), (0, None)))(keys, image)
    is_image, is_changed = (np.isclose(made, one, atol=1e-6).all((1, 2, 3)) for one in (image, changed(image)))
    assert (is_image ^ is_changed).all()
    assert abs(is_changed.mean() - 0.3) < 0.045


def test_wrong_arguments_are_told_in_a_sentence():
    rng, image = jax.random.key(0), unit(picture())
    strengths = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    with pytest.raises(UsageError, match="strengths must be 0 or more"):
        color.random_color_jitter(rng, image, **strengths | {"contrast": -1})
    with pytest.raises(UsageError, match=r"hue at most 0\.5"):
        color.random_color_jitter(rng, image, **strengths | {"hue": 0.6})
    with pytest.raises(UsageError, match=r"random_grayscale: probability must be in \[0, 1\], got 2"):
        color.random_grayscale(rng, image, probability=2)
    with pytest.raises(UsageError, match=r"got \(6, 5\)"):
        color.to_grayscale(image[..., 0])


def test_other_channels_than_colours_have_brightness_and_contrast_only():
    bands = jnp.concatenate([unit(picture()), unit(picture())[..., :2]], axis=-1)
    for unchanged in (color.to_grayscale(bands), color.adjust_hue(bands, 0.3), color.adjust_saturation(bands, 0.2)):
        np.testing.assert_allclose(unchanged, bands, atol=1e-7)
    blended = color.adjust_contrast(bands, 0.5)
    np.testing.assert_allclose(blended, 0.5 * bands + 0.5 * bands.mean(axis=(0, 1), keepdims=True), atol=1e-6)
    rng, strengths = jax.random.key(0), {"brightness": 0.4, "contrast": 0.4}
    jittered = color.random_color_jitter(rng, bands, **strengths, saturation=0.4, hue=0.1, probability=1)
    np.testing.assert_array_equal(
        jittered, color.random_color_jitter(rng, bands, **strengths, saturation=0, hue=0, probability=1)
    )
