"""Colourisation: our demo on drawn shapes, and the paper's task on ImageNet."""

from dataclasses import replace
from typing import Any

from ssl_jax.augment.lab import color_bins, grayscale_and_color, lightness
from ssl_jax.augment.views import evaluation_view
from ssl_jax.composition import IMAGENET, Images, Laptop, Opened, Recipe, recipe
from ssl_jax.composition.training import Staircase
from ssl_jax.composition.views import crop_views
from ssl_jax.errors import UsageError
from ssl_jax.methods.colorization import Colorization
from ssl_jax.networks import Net
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.optimizers import adam
from ssl_jax.sizes import sides_of

CROPPED = (176 / 256) ** 2  # Fraction of the image in a crop of the ImageNet run.
MEAN, STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # Colours stay in [0, 1] until they become Lab.
SHAPES, CROPS = Images("shapes", 24, "small"), replace(IMAGENET, image_size=176)
SOLVER = Staircase(15.6, 40, 3e-5, 1e-3, drops=(225_000,), of=500_000)


def open_colored(images: Images) -> Opened:
    """Images with their colours unstandardised, and an encoder of one channel, their lightness.

    Raises:
      UsageError: grayscale images, which have no colours to predict; a ViT, whose layers are not feature maps.
    """
    if isinstance(images.encoder, Net):
        raise UsageError(
            "encoder: colorization makes its own for one channel, got a network: choose one of `ssl-jax list`."
        )
    opened = images.open()
    if not opened.encoder.spatial:
        raise UsageError(
            f"encoder: colorization needs an encoder with feature maps, got {images.encoder}: choose a ResNet."
        )
    if opened.channels != 3:
        what = "grayscale images" if opened.channels == 1 else f"images of {opened.channels} channels"
        raise UsageError(f"data: {images.data} holds {what}, expected colour: colorization predicts it from lightness.")
    size = opened.image_size
    prepare = evaluation_view(size=size, crop_fraction=images.crop_fraction, mean=MEAN, std=STD)
    net = make_encoder(images.encoder, image_shape=(*sides_of(size), 1), dtype=opened.dtype)
    return replace(opened, encoder=net, mean=MEAN, std=STD, prepare=lambda image: lightness(prepare(image)))


def make_method(opened: Opened, *, cells: int) -> Colorization:
    """One linear layer that predicts the colours at each position of the last feature map."""
    *_, (layer, inputs), _ = opened.encoder.layers.items()
    head = opened.linear(len(color_bins()) * cells**2, inputs=inputs)
    return Colorization(opened.encoder, head, layer=layer, cells=cells)


@recipe(Colorization, cells=4)
def demo(images: Images = SHAPES, training: Laptop = Laptop(epochs=40), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW, on drawn shapes whose colours are predictable; the digits have none.

    Args:
      data: drawn "shapes", or other coloured images.
    """
    opened = open_colored(images)
    views = grayscale_and_color(opened.views(crop_views, scale=(0.5, 1.0)))
    return opened.recipe(training, make_method(opened, **options), views, training.adamw)


@recipe(Colorization, cells=4)
def imagenet(images: Images = CROPS, training: Staircase = SOLVER, **options: Any) -> Recipe:
    """The paper's task and solver with a ResNet-50: Adam with L2 decay, 500,000 steps of 40 images.

    Crops have 0.47 of the image's area, as the paper's of 176 of 256 pixels, with an aspect ratio of 3/4 to 4/3; the paper's
    are squares. The encoder and its one linear layer of colours are ours. Source: train/solver.prototxt and
    train/train_val.prototxt of richzhang/colorization.

    Args:
      learning_rate: rate until 225,000 of 500,000 steps, then a tenth of it; the drop moves in proportion to the length of the
        run.
    """
    opened = open_colored(images)
    views = grayscale_and_color(opened.views(crop_views, scale=(CROPPED, CROPPED)))
    optimizer = training.optimizer(adam, peak=training.learning_rate, second_decay=0.99)
    return opened.recipe(training, make_method(opened, **options), views, optimizer)
