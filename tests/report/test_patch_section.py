"""The section about patches: images in columns, below each its mask and the colours of its patches, enlarged to the image."""

import numpy as np

from ssl_jax.report.patches import enlarged, mask_colors, section
from ssl_jax.report.reading import add_pictures, save_pictures

RNG = np.random.default_rng(0)
PICTURES = {
    "patch_image": RNG.integers(0, 256, (3, 12, 12, 1), np.uint8),
    "patch_mask": RNG.integers(0, 13, (3, 12, 12), np.uint8),
    "patch_colors_before": RNG.integers(0, 256, (3, 4, 4, 3), np.uint8),
    "patch_colors": RNG.integers(0, 256, (3, 4, 4, 3), np.uint8),
}


def test_a_row_for_each_array_and_nothing_without_images_or_colours():
    page = section(PICTURES)
    assert page.count("<img ") == 12
    assert all(f"<h3>{name}</h3>" in page for name in ("Image", "Mask", "Before training", "After training"))
    assert section({name: PICTURES[name] for name in ("patch_image", "patch_colors")}).count("<img ") == 6
    for name in ("patch_image", "patch_colors"):
        assert section({other: array for other, array in PICTURES.items() if other != name}) is None


def test_every_class_has_its_own_colour():
    colors = mask_colors(np.arange(256, dtype=np.uint8)[None])[0]
    assert colors[0].tolist() == [0, 0, 0] and colors[255].tolist() == [128, 128, 128]
    distances = np.abs(colors[:14, None].astype(int) - colors[None, :14]).sum(axis=-1)
    assert (distances + 1000 * np.eye(14)).min() > 100


def test_cells_are_enlarged_without_interpolation():
    cells = PICTURES["patch_colors"][0]
    np.testing.assert_array_equal(enlarged(cells, (12, 12)), np.kron(cells, np.ones((3, 3, 1), np.uint8)))
    assert enlarged(cells, (4, 4)) is cells


def test_pictures_are_added_to_those_of_the_run(tmp_path):
    save_pictures(tmp_path, **{name: PICTURES[name] for name in ("patch_image", "patch_mask")})
    add_pictures(tmp_path, patch_colors=PICTURES["patch_colors"], patch_mask=PICTURES["patch_mask"][:1])
    with np.load(tmp_path / "pictures.npz") as found:
        assert set(found) == {"patch_image", "patch_mask", "patch_colors"} and len(found["patch_mask"]) == 1
