import jax
import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.networks import encoder
from ssl_jax.networks.encoders import encoders_with, patch_size_for


def layers_of(name, image_shape):
    net = encoder(name, image_shape=image_shape)
    images = jax.ShapeDtypeStruct((2, *image_shape), np.float32)
    start = jax.eval_shape(net.init, jax.random.key(0))
    layers, _ = jax.eval_shape(lambda *inputs: net.apply(*inputs, train=False), *start, images)
    return {name: layer.shape for name, layer in layers.items()}


@pytest.mark.parametrize(
    ("name", "image_shape", "layer", "shape"),
    [
        ("small", (28, 28, 1), "features", (2, 256)),
        ("small", (32, 32, 3), "layer3", (2, 4, 4, 128)),
        ("resnet18", (28, 28, 1), "stage1", (2, 14, 14, 64)),
        ("resnet18", (32, 32, 3), "stage1", (2, 32, 32, 64)),
        ("resnet18", (64, 64, 3), "stage1", (2, 16, 16, 64)),
        ("regnety_400mf", (28, 28, 1), "stage1", (2, 14, 14, 48)),
        ("vit_tiny", (28, 28, 1), "patches", (2, 50, 192)),
        ("vit_tiny/16", (32, 32, 3), "patches", (2, 5, 192)),
    ],
)
def test_the_stem_and_the_patches_follow_the_images(name, image_shape, layer, shape):
    assert layers_of(name, image_shape)[layer] == shape


@pytest.mark.parametrize(("side", "patches"), [(224, 14), (96, 8), (64, 8), (32, 8), (28, 7), (27, 9)])
def test_a_vit_without_a_patch_size_gets_at_least_seven_on_a_side(side, patches):
    assert side // patch_size_for(side) == patches


@pytest.mark.parametrize(
    ("name", "width"), [("resnet34", 512), ("resnet50", 2048), ("vit_small", 384), ("vit_base/8", 768)]
)
def test_a_name_makes_the_network_of_that_name(name, width):
    assert encoder(name, image_shape=(32, 32, 3)).width == width


@pytest.mark.parametrize(
    ("name", "image_shape", "sentence"),
    [
        ("resnet81", (32, 32, 3), "unknown encoder 'resnet81': did you mean 'resnet18'"),
        ("vit_tiny/16", (28, 28, 1), "patch_size 16 must divide image_size 28"),
        ("vit_tiny/16", (32, 40, 3), "patch_size 16 must divide image_size 32 x 40"),
        ("vit_tiny", (32, 45, 3), "no patch of 2 to 16 pixels cuts 32 x 45 pixels"),
        ("vit_tiny", (29, 29, 3), "no patch of 2 to 16 pixels cuts 29 pixels"),
    ],
)
def test_wrong_names_and_shapes_are_named(name, image_shape, sentence):
    with pytest.raises(UsageError, match=sentence):
        encoder(name, image_shape=image_shape)


def test_options_are_those_of_the_function_that_makes_an_encoder():
    regnets = [f"regnety_{size}" for size in ("400mf", "8gf", "32gf", "128gf", "256gf")]
    convolutional = ["small", "resnet18", "resnet34", "resnet50", *regnets]
    assert encoders_with("groups") == encoders_with("norm") == convolutional
    assert encoders_with("stem") == convolutional[1:]
    assert not set(encoders_with("patch_size")) & set(convolutional) and "vit_micro/7" in encoders_with("drop_path")
    assert encoders_with("no_such_option") == []
