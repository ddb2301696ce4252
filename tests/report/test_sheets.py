"""The pictures of a run as single images, and as TensorBoard's events."""

import numpy as np
from event_files import pixels, values

from ssl_jax.report.sheets import COLORS, SIDE, embeddings_map, grid, histograms, sheets
from ssl_jax.train.log import log_pictures

GENERATOR = np.random.default_rng(0)


def images(*shape):
    return GENERATOR.integers(0, 255, shape, dtype=np.uint8)


def pictures():
    features = GENERATOR.normal(size=(12, 4))
    return {
        "views_original": images(3, 6, 5, 1), "views": images(3, 2, 6, 5, 1),
        "query": images(2, 6, 5, 1), "neighbors_after": images(2, 4, 6, 5, 1),
        "embedding": features, "embedding_label": np.arange(12) % 3 - 1,
    }  # fmt: skip


def test_a_grid_has_the_images_in_their_places():
    given = images(2, 3, 4, 5, 3)
    sheet = grid(given)
    assert sheet.shape == (2 * 5 + 1, 3 * 6 + 1, 3)
    np.testing.assert_array_equal(sheet[6:10, 13:18], given[1, 2])
    assert (sheet[::5] == 255).all() and (sheet[:, ::6] == 255).all()


def test_other_numbers_of_channels_and_many_images():
    assert np.ptp(grid(images(1, 1, 4, 4, 2)), axis=-1).max() == 0
    assert grid(images(1, 1, 4, 4, 5)).shape[-1] == 3
    assert grid(images(30, 20, 2, 2, 1)).shape == (31, 31, 3)


def test_the_original_is_before_its_views_and_the_query_before_its_neighbours():
    given = pictures()
    found = sheets(given)
    assert set(found) == {"views", "neighbors_after", "map"}
    assert found["views"].shape == (3 * 7 + 1, 3 * 6 + 1, 3)
    np.testing.assert_array_equal(found["neighbors_after"][1:7, 1:6, 0], given["query"][0, ..., 0])


def test_a_map_has_the_colours_of_the_classes():
    shown = embeddings_map(GENERATOR.normal(size=(12, 4)), np.array([-1, 0, 1] * 4))
    colors = {tuple(each) for each in shown.reshape(-1, 3).tolist()}
    expected = {tuple(bytes.fromhex(color[1:])) for color in COLORS[:2]} | {(255, 255, 255), (128, 128, 128)}
    assert shown.shape == (SIDE, SIDE, 3) and colors == expected


def test_features_that_are_not_finite_have_no_map():
    given = pictures()
    given["embedding"][0, 0] = np.nan
    assert "map" not in sheets(given) and not histograms(given)


def test_tensorboard_reads_the_same_pixels(tmp_path):
    given = pictures()
    shown = sheets(given)
    log_pictures(tmp_path, shown, histograms(given), step=7)
    found = values(tmp_path)
    assert {step for step, _ in found} == {7} and {value.tag for _, value in found} == {*shown, "embedding"}
    for _, value in found:
        if value.tag in shown:
            np.testing.assert_array_equal(pixels(value), shown[value.tag])
        else:
            assert value.histo.num == given["embedding"].size
