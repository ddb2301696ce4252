"""Maps of features lie where the image has the patch, cells have the class of most of their pixels, and commands show both."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.cli import main
from ssl_jax.data import ArraySource, Data
from ssl_jax.data.drawn.scenes import Scenes
from ssl_jax.errors import UsageError
from ssl_jax.evaluate import evaluate_features
from ssl_jax.evaluate.features import Features, Network
from ssl_jax.evaluate.patches import cell_labels, checked_maps, map_extractor, map_shape, pixel_maps, read_patches
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import projection_head, small_convnet
from ssl_jax.networks.vit import vit
from ssl_jax.report.reading import read_run

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 12, 12, 1), np.uint8)


def prepare(image):
    return image.astype(jnp.float32) / 255


def simclr(encoder):
    method = SimCLR(encoder, projection_head(inputs=encoder.width, widths=(8,)), temperature=0.2)
    return method, *method.init(jax.random.key(0))


VIT = vit(image_size=12, patch_size=4, dim=8, depth=1, heads=2, channels=1)
CONV = small_convnet(channels=1, widths=(4, 8), strides=(2, 2))


@pytest.mark.slow
@pytest.mark.parametrize("encoder", [VIT, CONV])
def test_a_cell_of_the_map_lies_where_the_image_changes(encoder):
    """Of layers that do not mix all positions, 3 x 3: the last convolution, and the patches before attention."""
    method, params, state = simclr(encoder)
    extract = map_extractor(method, prepare, layer="patches" if encoder is VIT else "layer2")
    changed = IMAGES[:1].copy()
    changed[0, 8:, 4:8] ^= 128
    before, after = (np.asarray(extract(params, state, images)) for images in (IMAGES[:1], changed))
    assert before.shape[:3] == (1, 3, 3) and before.dtype == np.float32
    distance = np.abs(after - before).sum(axis=-1)[0]
    assert distance[2, 1] > 0 and not distance[0].any()
    if encoder is VIT:
        assert (distance > 0).sum() == 1


@pytest.mark.slow
def test_features_stand_for_the_last_map():
    for encoder, last in ((VIT, "tokens"), (CONV, "layer2")):
        method, params, state = simclr(encoder)
        found, expected = (
            map_extractor(method, prepare, layer=layer)(params, state, IMAGES) for layer in ("features", last)
        )
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(UsageError, match="unknown layer 'layer9'"):
        map_extractor(method, prepare, layer="layer9")(params, state, IMAGES)


def test_pixels_of_a_cell_are_its_features():
    found = np.asarray(pixel_maps((3, 3))(None, None, jnp.asarray(IMAGES)))
    assert found.shape == (7, 3, 3, 16)
    np.testing.assert_allclose(found[4, 1, 2], IMAGES[4, 4:8, 8:12, 0].ravel() / 255, atol=1e-6)
    assert pixel_maps((3, 3))(None, None, jnp.zeros((2, 48, 48, 3), jnp.uint8)).shape == (2, 3, 3, 8 * 8 * 3)
    assert pixel_maps((5, 5))(None, None, jnp.zeros((2, 12, 12, 1), jnp.uint8)).shape == (2, 5, 5, 4)


@pytest.mark.parametrize("grid", [(3, 3), (2, 5), (7, 7), (1, 1)])
def test_the_class_of_a_cell_by_its_definition(grid):
    masks = np.random.default_rng(1).choice([0, 1, 2, 255], p=[0.3, 0.2, 0.2, 0.3], size=(4, 7, 7)).astype(np.uint8)
    masks[2] = 255
    expected = np.full((4, *grid), -1)
    for image, row, column in np.ndindex(*expected.shape):
        pixels = [
            masks[image, y, x]
            for y, x in np.ndindex(7, 7)
            if (y * grid[0] // 7, x * grid[1] // 7) == (row, column) and masks[image, y, x] != 255
        ]
        if pixels:
            expected[image, row, column] = np.bincount(pixels).argmax()
    np.testing.assert_array_equal(cell_labels(masks, grid, num_classes=3), expected)


def network(source, method, params, state, **options):
    data = Data("masked", source, source)
    return Network(lambda *args: None, params, state, data, maps=map_extractor(method, prepare), **options)


def test_maps_and_masks_are_of_the_same_images():
    """Of a part, too; on eight devices as on one."""
    masks = np.repeat(np.arange(7, dtype=np.uint8), 144).reshape(7, 12, 12)
    source = ArraySource("masked", ("a",), IMAGES, np.zeros(7, np.int32), masks)
    method, params, state = simclr(CONV)
    one = network(source, method, params, state)
    patches, part = read_patches(one, source), read_patches(one, source, most=3)
    assert map_shape(one, source) == (3, 3, 8) and patches.maps.shape == (7, 3, 3, 8)
    np.testing.assert_array_equal(patches.masks, masks)
    rows = part.masks[:, 0, 0]
    np.testing.assert_allclose(part.maps, patches.maps[rows], atol=1e-6)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharded = network(source, method, *jax.device_put((params, state), jax.NamedSharding(mesh, jax.P())), mesh=mesh)
    np.testing.assert_allclose(read_patches(sharded, source).maps, patches.maps, atol=1e-6)


def test_what_has_no_masks_or_is_cropped_is_refused():
    method, params, state = simclr(CONV)
    plain = ArraySource("plain", ("a",), IMAGES, np.zeros(7, np.int32))
    for call in (lambda each: read_patches(each, plain), lambda each: checked_maps(each, prepare=prepare)):
        with pytest.raises(
            UsageError, match=r"^protocols: patches are evaluated with masks, which plain has not: choose data"
        ):
            call(network(plain, method, params, state))
    masked = ArraySource("masked", ("a",), IMAGES, np.zeros(7, np.int32), np.zeros((7, 12, 12), np.uint8))
    assert checked_maps(network(masked, method, params, state), prepare=prepare) == (3, 3)
    with pytest.raises(UsageError, match=r"^protocols: the run's evaluation view is a crop"):
        checked_maps(network(masked, method, params, state), prepare=lambda image: prepare(image)[1:-1, 1:-1])
    with pytest.raises(UsageError, match=r"^protocols: segmentation needs maps of features"):
        evaluate_features(
            Features(*[None] * 5), protocols=["segmentation"], network=network(masked, *[None] * 3)._replace(maps=None)
        )


@pytest.mark.slow
def test_the_protocols_by_command_and_their_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("ssl_jax.data.datasets.Scenes", lambda *, size, **options: Scenes(size=size // 50, **options))
    run = tmp_path / "run"
    words = "--data scenes --image-size 24 --encoder small --epochs 1 --batch-size 16 --devices 1".split()
    assert main(["pretrain", "simclr", *words, "--run", str(run)]) == 0
    before = (run / "report.html").read_text()
    assert main(["evaluate", str(run), "--protocols", "segmentation", "patch_knn", "--save"]) == 0
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    results = json.loads((run / "results.json").read_text())["features"]
    for source, end in {"pretrained": "", "untrained": "_random_init", "pixels": "_pixels"}.items():
        segmentation, neighbors = results[source]["segmentation"], results[source]["patch_knn"]
        assert 0 < segmentation["chance"] < 0.2 < neighbors["chance"] < neighbors["accuracy"] + 0.1
        assert (
            list(segmentation["classes"])[:2] == ["background", "ball"] and segmentation["classes"]["background"] > 0.5
        )
        assert line[f"segmentation{end}"] == segmentation["mean_iou"]
        assert line[f"patch_knn{end}"] == neighbors["accuracy"]
    pictures = read_run(run).pictures
    assert pictures["patch_colors"].shape == pictures["patch_colors_before"].shape == (8, 3, 3, 3)
    assert pictures["patch_mask"].shape == (8, 24, 24) and "views" in pictures
    page = (run / "report.html").read_text()
    assert "<h2>Patches</h2>" in page and "<h2>Patches</h2>" not in before
    assert page.count("<img") == before.count("<img") + 32
    assert main(["evaluate", str(run), "--data", "synthetic", "--protocols", "segmentation"]) == 2
    assert "protocols: patches are evaluated with masks, which synthetic:0 has not" in capsys.readouterr().err
