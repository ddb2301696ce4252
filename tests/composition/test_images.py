"""Images and the encoder for them: how they meet, and what a recipe is made of."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

from ssl_jax.commands import evaluate, pretrain
from ssl_jax.composition.images import CIFAR_STATISTICS, Images, has_labels
from ssl_jax.data import Data, as_source
from ssl_jax.data.source import ArraySource
from ssl_jax.errors import UsageError
from ssl_jax.networks import encoder
from ssl_jax.options import Options
from ssl_jax.recipes import avid, colorization, find, ijepa, mae, moco, simclr

DIGITS = Images("digits", 8, "small")


def test_grey_images_become_colour_where_the_statistics_are_those_of_colour():
    assert DIGITS.open().data.train.image_shape == (8, 8, 1)
    shown = replace(DIGITS, statistics=CIFAR_STATISTICS).open()
    image = shown.data.train[0]["image"]
    assert image.shape == (8, 8, 3) and (image == image[..., :1]).all()
    assert shown.data.test.image_shape == (8, 8, 3)
    assert jax.eval_shape(shown.prepare, image).shape == (8, 8, 3)


def test_a_recipe_for_colour_takes_digits():
    recipe = simclr.cifar(data="digits", image_size=8, encoder="small")
    assert jax.eval_shape(recipe.augment, jax.random.key(0), recipe.data.train[0]["image"]).shape == (2, 8, 8, 3)


@pytest.mark.parametrize("make", [colorization.demo, colorization.imagenet])
def test_grey_images_have_no_colours_to_predict(make):
    with pytest.raises(UsageError, match="digits holds grayscale images, expected colour"):
        make(data="digits")


def test_what_an_encoder_cannot_do_is_one_sentence():
    with pytest.raises(
        UsageError, match="encoder: colorization needs an encoder with feature maps, got vit_micro: choose"
    ):
        colorization.demo(encoder="vit_micro")
    for method, name in ((mae, "mae"), (ijepa, "ijepa")):
        sentence = (
            f"encoder: {name} masks patches of a ViT, got resnet18: choose one of vit_micro, vit_micro/7, vit_tiny"
        )
        with pytest.raises(UsageError, match=sentence):
            method.demo(encoder="resnet18")


@pytest.mark.parametrize(("encoder", "layer", "width"), [("small", "layer3", 128), ("resnet18", "stage4", 512)])
def test_colorization_predicts_from_the_last_map(encoder, layer, width):
    method = colorization.demo(encoder=encoder).method
    assert method.layer == layer
    params, _ = jax.eval_shape(method.head.init, jax.random.key(0))
    assert params["layer1"]["kernel"].shape[0] == width


@pytest.mark.parametrize("encoder", ["small", "resnet18", "vit_micro"])
def test_options_reach_the_encoders_that_have_them(encoder):
    opened = Images("synthetic", 32, encoder).open(norm="layer", pool="mean", drop_path=0.5)
    assert opened.encoder.norm_kind == "layer"  # A ViT has no other norm, and no such option.
    params, _ = jax.eval_shape(opened.encoder.init, jax.random.key(0))
    assert "token" not in params
    assert Images("synthetic", 32, "small").open().encoder.norm_kind == "batch"


def test_an_option_that_no_encoder_has_is_refused():
    with pytest.raises(TypeError, match="no encoder has the option drop_paths"):
        Images("synthetic", 32, "vit_micro").open(drop_paths=0.1)


@pytest.mark.parametrize(("encoder", "groups"), [("small", 4), ("resnet18", 4), ("vit_micro", 1)])
def test_moco_has_groups_where_there_is_batch_norm(encoder, groups):
    recipe = moco.imagenet(data="synthetic", image_size=32, stored_size=32, encoder=encoder, norm_groups=4)
    assert recipe.method.norm_groups == groups


def test_groups_of_batch_statistics_are_those_of_separate_devices():
    """Encoder and head of four groups, and those of one on a quarter of the batch: the embeddings of the first quarter."""
    options = {"data": "synthetic", "image_size": 8}
    whole, parted = (simclr.demo(**options, norm_groups=groups).method for groups in (1, 4))
    rows = jax.random.normal(jax.random.key(0), (16, 8, 8, 3))
    found = []
    for method, views in ((whole, rows), (parted, rows), (whole, rows[:4])):
        (encoder, stats), (head, head_stats) = (net.init(jax.random.key(1)) for net in (method.encoder, method.head))
        layers, _ = method.encoder.apply(encoder, stats, views, train=True)
        found.append(method.head.apply(head, head_stats, layers["features"], train=True)[0])
    np.testing.assert_allclose(found[1][:4], found[2], rtol=1e-3, atol=1e-4)
    assert np.abs(found[0][:4] - found[2]).max() > 0.1


def test_groups_that_do_not_divide_the_batch_are_refused():
    for recipe in (simclr.demo, moco.demo):
        with pytest.raises(
            UsageError, match=r"^norm_groups: got 3, which does not divide the batch of 256: choose a divisor"
        ):
            recipe(data="synthetic", image_size=8, norm_groups=3)


@pytest.mark.parametrize(("encoder", "size", "patch"), [("vit_micro", 28, 4), ("vit_micro/7", 28, 7), ("small", 28, 0)])
def test_patches_are_those_of_the_encoder(encoder, size, patch):
    opened = Images("synthetic", size, encoder).open()
    assert opened.patch_size == patch and (not patch or opened.grid == size // patch)


@pytest.mark.parametrize("make", [simclr.demo, avid.demo])
def test_images_that_are_stored_smaller_are_refused(make):
    with pytest.raises(
        UsageError, match=r"^stored_size: got 5, expected at least the image_size, \d+: raise it, or leave it"
    ):
        make(stored_size=5)


def test_images_that_are_stored_larger_are_evaluated_on_their_middle():
    assert DIGITS.crop_fraction == 1 and replace(DIGITS, stored_size=16).crop_fraction == 0.5
    opened = replace(DIGITS, stored_size=16).open()
    assert opened.data.train.image_shape == (16, 16, 1)
    assert jax.eval_shape(opened.prepare, opened.data.train[0]["image"]).shape == (8, 8, 1)


def test_heads_stand_on_the_encoder_or_on_another_number_of_inputs():
    opened = DIGITS.open()
    params, _ = jax.eval_shape(opened.head(6, 4).init, jax.random.key(0))
    assert params["layer1"]["kernel"].shape == (opened.encoder.width, 6)
    params, _ = jax.eval_shape(opened.linear(4, inputs=5).init, jax.random.key(0))
    assert params["layer1"]["kernel"].shape == (5, 4)


@pytest.mark.parametrize("method", ["supcon", "supervised"])
def test_a_folder_without_classes_is_refused(method, tmp_path):
    for number in range(8):
        Image.new("L", (28, 28), 9 * number).save(tmp_path / f"{number}.png")
    with pytest.raises(UsageError, match=f"data: {method} learns from labels and none of the 8 training images"):
        find(method, "demo")(data=str(tmp_path), batch_size=8)


def images(labels, classes=("a", "b")):
    return ArraySource("drawn", classes, np.zeros((len(labels), 4, 4, 1), np.uint8), np.asarray(labels, np.int32))


class OneByOne:
    """A source whose labels are not at hand, as those of a prepared tfds data set."""

    def __init__(self, source):
        self._source = source
        self.name, self.classes, self.image_shape = source.name, source.classes, source.image_shape

    def __len__(self):
        return len(self._source)

    def __getitem__(self, number):
        return self._source[number]


@pytest.mark.parametrize("kind", [lambda source: source, OneByOne])
def test_a_label_of_minus_one_is_none(kind):
    assert not has_labels(kind(images([-1, -1, -1])))
    assert has_labels(kind(images([-1, -1, 1])))
    assert not has_labels(kind(images([0, 0, 0], classes=())))


@pytest.mark.slow
def test_data_and_a_network_from_python_stand_in_for_names_and_are_recorded_as_what_they_are(tmp_path):
    """Colour and grayscale alike; the run's folder cannot make the recipe again, and says so."""
    images = np.random.default_rng(0).integers(0, 255, (64, 8, 8)).astype(np.uint8)
    data = Data("mine", as_source((images, np.arange(64) % 2)), None)
    net = encoder("small", image_shape=(8, 8, 3))
    colour = simclr.cifar(data=data, encoder=net, image_size=8)
    assert colour.data.train.image_shape == (8, 8, 3) and colour.method.encoder is net
    made = simclr.demo(data=data, image_size=8, batch_size=32, epochs=1)
    assert made.data.train[3]["image"].shape == (8, 8, 1)
    assert made.arguments["data"] == "given in Python: mine"
    with pytest.raises(UsageError, match="encoder: got 3, expected a value of type str"):
        simclr.demo(encoder=3)
    pretrain(lambda: simclr.demo(data=data, image_size=8, batch_size=32, epochs=1), Options(run=tmp_path, devices=1))
    assert json.loads((tmp_path / "run.json").read_text())["arguments"]["data"] == "given in Python: mine"
    with pytest.raises(UsageError, match=r"run: its data came from Python and cannot be read from run.json"):
        evaluate(tmp_path)
