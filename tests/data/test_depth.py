"""Deep pixels: black and white are measured, and every level between them that 8 bits can hold is kept."""

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data.pixels.depth import Levels, is_deep, levels_of, stated_levels, to_eight_bits
from ssl_jax.errors import UsageError

RAMP = np.linspace(0, 1, 4096).reshape(64, 64)


@pytest.mark.parametrize(
    "pixels, levels",
    [
        ((RAMP * 255).astype(np.uint16), Levels(0, 255)),
        ((RAMP * 256).astype(np.uint16), Levels(0, 1023)),
        ((RAMP * 1023).astype(np.int32), Levels(0, 1023)),
        ((RAMP * 4095).astype(np.uint16), Levels(0, 4095)),
        ((RAMP * 3000).astype(np.uint16), Levels(0, 4095)),
        ((RAMP * 16000).astype(np.uint16), Levels(0, 16383)),
        ((RAMP * 65535).astype(np.uint16), Levels(0, 65535)),
        ((1e6 + RAMP * 1e9).astype(np.int32), Levels(0, 2**30 - 1)),
        ((RAMP * (2**31 - 1)).astype(np.int32), Levels(0, 2**31 - 1)),
        ((RAMP * 4000 - 1000).astype(np.int32), Levels(-1023, 4095)),
        (np.zeros((64, 64), np.uint16), Levels(0, 255)),
    ],
)
def test_black_and_white_are_rounded_to_a_number_of_bits(pixels, levels):
    image = Image.fromarray(pixels)
    assert is_deep(image) and levels_of([image]) == levels
    expected = np.round((pixels.astype(np.float64) - levels.black) / (levels.white - levels.black) * 255)
    np.testing.assert_allclose(np.asarray(to_eight_bits(image, levels)), expected, atol=1)


def test_images_share_their_levels_and_what_lies_outside_is_clipped():
    images = [Image.fromarray(np.full((2, 2), value, np.int32)) for value in (-5, 7, 900, 5000)]
    levels = levels_of(images[:3])
    assert levels == Levels(-255, 1023) and levels_of([]) is None
    grey = [np.asarray(to_eight_bits(image, levels)).max() for image in images]
    assert grey == [50, 52, 230, 255]
    assert not is_deep(Image.new("L", (2, 2))) and not is_deep(Image.new("1", (2, 2)))


@pytest.mark.parametrize("dtype, white", [(np.int64, 2**62), (np.uint64, 2**64 - 1), (np.uint16, 10**23)])
def test_integers_of_64_bits_and_wide_ranges_do_not_wrap_around(dtype, white):
    pixels = np.array([[0, min(white, np.iinfo(dtype).max) // 2, min(white, np.iinfo(dtype).max)]], dtype)
    expected = pixels.astype(np.float64) / white * 255
    np.testing.assert_allclose(np.asarray(to_eight_bits(pixels, Levels(0, white))), expected, atol=1)


def test_a_range_beyond_all_floating_point_numbers_is_a_sentence():
    assert stated_levels("-5:1e3") == Levels(-5, 1000)
    with pytest.raises(UsageError, match="expected the pixels of black and white"):
        stated_levels(f"0:1{'0' * 400}")
