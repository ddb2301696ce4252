"""Grey in three equal channels, colour in one: as Pillow converts."""

import numpy as np
from PIL import Image

from ssl_jax.data.channels import recolored

COLOUR = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), np.uint8)


def test_grey_of_colour_is_pillows_luma():
    grey = recolored(COLOUR, 1)
    assert grey.shape == (2, 40, 50, 1) and grey.dtype == np.uint8
    for frame, image in zip(grey, COLOUR, strict=True):
        np.testing.assert_array_equal(frame[..., 0], np.asarray(Image.fromarray(image).convert("L")))


def test_grey_is_repeated_and_channels_that_are_right_are_kept():
    grey = COLOUR[..., :1]
    np.testing.assert_array_equal(recolored(grey, 3), np.repeat(grey, 3, axis=-1))
    assert recolored(grey, 1) is grey and recolored(COLOUR, 3) is COLOUR
