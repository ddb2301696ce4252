"""Patches of test images by their features: principal components as colours, beside the images and their masks.

p: images; g: cells on a side of a feature map. All in numpy.
"""

import colorsys

import numpy as np
from PIL import Image

from ssl_jax.report.html import Html, join, tag
from ssl_jax.report.pictures import thumbnail
from ssl_jax.report.reading import Pictures

MOST_IMAGES = 8
SHADES = ((1.0, 1.0), (0.5, 0.95), (0.6, 0.7))  # Saturations and values of the classes' colours, in turns.
STRIPS = {"Image": "patch_image", "Mask": "patch_mask", "Before training": "patch_colors_before",
          "After training": "patch_colors"}  # fmt: skip


def section(pictures: Pictures) -> Html | None:
    """Images in columns; below each its mask, and the colours of its patches before and after training."""
    if any(name not in pictures for name in ("patch_image", "patch_colors")):
        return None
    images = pictures["patch_image"][:MOST_IMAGES]
    shown = {title: pictures[name][:MOST_IMAGES] for title, name in STRIPS.items() if name in pictures}
    if "Mask" in shown:
        shown["Mask"] = mask_colors(shown["Mask"])
    strips = (
        join(
            tag("h3", title),
            tag("div", *(thumbnail(enlarged(each, images.shape[1:3])) for each in row), class_="strip"),
        )
        for title, row in shown.items()
    )
    return tag(
        "section",
        tag("h2", "Patches"),
        tag("p", "Patches with similar features have similar colours: red, green and blue are their first three principal "
            "components, over all images. Good features give objects of one class one colour.", class_="see"),
        tag("div", *strips, class_="views", style=f"--n: {len(images)}"),
    )  # fmt: skip


def mask_colors(masks: np.ndarray) -> np.ndarray:
    """A colour for each class, `[..., H, W]` -> uint8 `[..., H, W, 3]`: black for the background, grey where unknown (255)."""
    shades = [SHADES[label % len(SHADES)] for label in range(256)]
    palette = np.array([colorsys.hsv_to_rgb(0.265 * label % 1, *shade) for label, shade in enumerate(shades)])
    palette[0], palette[255] = 0, 0.5
    return (255 * palette).round().astype(np.uint8)[masks]


def enlarged(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 `[g, g, C]` -> `[H, W, C]` of this size, in squares of pixels; an image of that size as it is."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.NEAREST))
