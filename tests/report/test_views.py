"""The pictures of what the networks see, and their captions, by method."""

import numpy as np
import pytest

from ssl_jax.recipes import methods
from ssl_jax.report import prototypes
from ssl_jax.report.captions import CAPTIONS, caption_of, name_of
from ssl_jax.report.views import rows, section


def pictures(*, channels=1, **counts):
    """Arrays by name: of eight examples with this many views; without the axis of views where it is None."""
    shapes = {
        name: (8, 6, 6, channels) if count is None else (8, count, 6, 6, channels) for name, count in counts.items()
    }
    return {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()}


def names(method, **counts):
    return [name for name, _ in rows(pictures(**counts), caption_of(method))]


def test_every_method_has_a_caption():
    assert CAPTIONS.keys() == set(methods())
    assert name_of("simclr") == "SimCLR" and name_of("barlow_twins") == "Barlow Twins"


def test_a_method_from_outside_is_shown_under_its_own_name_and_nothing_is_said_of_its_views():
    for name in ("my_method", "<b>", 3, None, ["simclr"]):
        caption = caption_of(name)
        assert caption.name == str(name) and "positive" not in caption.see and "negative" not in caption.see


@pytest.mark.parametrize(
    ("method", "counts", "expected"),
    [
        ("simclr", {"views_original": None, "views": 2}, ["Original", "View 1", "View 2"]),
        (
            "rotation",
            {"views": 4},
            ["0\N{DEGREE SIGN}", "90\N{DEGREE SIGN}", "180\N{DEGREE SIGN}", "270\N{DEGREE SIGN}"],
        ),
        ("supervised", {"views": 1}, ["View"]),
        ("moco", {"views": 2}, ["Query", "Key"]),
        ("dino", {"views": 2, "small_views": 2}, ["Large crop 1", "Large crop 2", "Small crop 1", "Small crop 2"]),
        ("ibot", {"views": 2, "masked": 2}, ["View 1", "View 2", "Masked crop 1", "Masked crop 2"]),
        ("mae", {"views": 1, "masked": 1, "reconstructed": None}, ["View", "Visible patches", "Reconstructed"]),
        (
            "colorization",
            {"views": 1, "predicted_colors": None, "true_colors": None},
            ["Lightness", "Predicted colours", "True colours"],
        ),
        ("ijepa", {"views": 1, "masked": 3}, ["View", "Context", "Target 1", "Target 2"]),
        ("jigsaw", {"views": 9}, ["Tiles, as shown"]),
        ("jigsaw", {"views": 4}, ["View 1", "View 2", "View 3", "View 4"]),
        ("pirl", {"views": 1, "transformed": 9}, ["View", "Transformed"]),
    ],
)
def test_the_rows_of_a_method(method, counts, expected):
    assert names(method, **counts) == expected


def test_tiles_stand_in_three_rows():
    page = section(pictures(views_original=None, views=9), caption_of("jigsaw"))
    assert page.count('class="tiles"') == 8 and page.count("<img ") == 8 + 72
    assert section(pictures(views=1, transformed=1), caption_of("pirl")).count("tiles") == 1  # That of the caption.


def test_small_crops_are_drawn_in_the_scale_of_the_large_ones():
    arrays = pictures(views=2) | {"small_views": np.zeros((8, 2, 3, 3, 1), np.uint8)}
    assert section(arrays, caption_of("swav")).count("--scale: 0.500") == 2


def test_clips_have_frames_inputs_and_sound():
    arrays = pictures(frames=4, views=2) | {"sound": np.zeros((8, 65, 40, 1), np.uint8)}
    page = section(arrays, caption_of("avid"))
    assert page.count("<h3>Clip</h3>") == page.count('class="sound"') == 4 and page.count("<img ") == 4 * (4 + 2 + 1)
    assert "<h3>Sound" not in section(pictures(frames=4, views=2), caption_of("tracks"))


@pytest.mark.parametrize(
    ("count", "words"), [(1, ""), (2, "Of 2 channels"), (3, ""), (5, "first three are shown as red")]
)
def test_channels_that_are_not_shown_are_named(count, words):
    page = section(pictures(channels=count, views=2), caption_of("simclr"))
    assert words in page and ("channels" in page) is bool(words)


def test_prototypes_have_their_images_and_shares():
    arrays = {"prototype_image": np.zeros((2, 3, 6, 6, 1), np.uint8), "prototype_share": np.array([0.5, 0.25])}
    page = prototypes.section(arrays)
    assert page.count("<img ") == 6 and "50.0% of the images" in page and prototypes.section({}) is None
    assert prototypes.section({"prototype_image": arrays["prototype_image"]}).count("of the images") == 0
