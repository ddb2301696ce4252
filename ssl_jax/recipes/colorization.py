"""Colourisation: our demo on drawn shapes, and the paper's task on ImageNet."""

import jax.numpy as jnp

from ssl_jax.augment.lab import color_bins, grey_and_color, lightness
from ssl_jax.augment.views import Views, evaluation_view, photo_views
from ssl_jax.data import Data, open_data
from ssl_jax.errors import UsageError
from ssl_jax.methods.colorization import Colorization
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import adam, staircase
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, compute_dtype, demo_optimizer

CROPPED = (176 / 256) ** 2  # Part of the image in a crop of the ImageNet run.
MEAN, STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # Colours stay in [0, 1] until they become Lab.


def coloured(name: str, *, image_size: int, strict: bool) -> Data:
    """`open_data`; a `UsageError` for grey images, which have no colours to predict."""
    images = open_data(name, image_size=image_size, strict=strict)
    if images.train.image_shape[-1] != 3:
        raise UsageError(
            f"data: {name} holds grey images, expected colour: colorization predicts colours from lightness."
        )
    return images


def crops(*, size: int, part: tuple[float, float]) -> Views:
    """A crop and a flip, which leave the colours as they are."""
    return photo_views(
        size=size, scale=part, jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0, blur=0.0, views=1, mean=MEAN, std=STD
    )


def method(encoder: str, *, image_size: int, cells: int, dtype: jnp.dtype) -> Colorization:
    """One linear layer from each place of the last layer to the colours in it; the encoder sees one channel."""
    net = make_encoder(encoder, image_shape=(image_size, image_size, 1), dtype=dtype)
    outputs = len(color_bins()) * cells**2
    # Places have half as many channels as the features of the small encoder, which are their mean and their maximum.
    inputs = net.width // 2 if encoder == "small" else net.width
    head = projection_head(inputs=inputs, widths=(outputs,), last_bias=True, dtype=dtype)
    return Colorization(net, head, layer="layer3" if encoder == "small" else "stage4", cells=cells)


@recipe
def demo(
    *,
    data: str = "shapes",
    image_size: int = 24,
    encoder: str = "small",
    epochs: float = 40,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    cells: int = 4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, on drawn shapes whose colours can be known; the digits have none.

    Args:
      data: drawn "shapes", or other coloured images.
      cells: on a side of each place of the last layer, the colours of which it tells.
    """
    images = coloured(data, image_size=image_size, strict=strict)
    prepare = evaluation_view(size=image_size, crop_fraction=1.0, mean=MEAN, std=STD)
    return Recipe(
        data=images,
        method=method(encoder, image_size=image_size, cells=cells, dtype=compute_dtype(precision)),
        augment=grey_and_color(crops(size=image_size, part=(0.5, 1.0))),
        prepare=lambda image: lightness(prepare(image)),
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def imagenet(
    *,
    data: str = "imagenet2012",
    image_size: int = 176,
    stored_size: int = 256,
    encoder: str = "resnet50",
    epochs: float = 15.6,
    batch_size: int = 40,
    learning_rate: float = 3e-5,
    weight_decay: float = 1e-3,
    cells: int = 4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The paper's task and solver with a ResNet-50: Adam with L2 decay, 500,000 steps of 40 images.

    Crops have 0.47 of the image, as theirs of 176 of 256 pixels; their width/height is 3/4 to 4/3, where theirs are squares.
    The encoder and its one linear layer of colours are ours. Source: train/solver.prototxt and train/train_val.prototxt of
    richzhang/colorization.

    Args:
      learning_rate: until 225,000 of 500,000 steps, in proportion for another length; then a tenth.
      cells: on a side of each place of the last layer, the colours of which it tells.
    """
    images = coloured(data, image_size=stored_size, strict=strict)
    prepare = evaluation_view(size=image_size, crop_fraction=image_size / stored_size, mean=MEAN, std=STD)
    return Recipe(
        data=images,
        method=method(encoder, image_size=image_size, cells=cells, dtype=compute_dtype(precision)),
        augment=grey_and_color(crops(size=image_size, part=(CROPPED, CROPPED))),
        prepare=lambda image: lightness(prepare(image)),
        optimizer=lambda steps: adam(
            staircase(learning_rate, steps=steps, drops=(225_000,), of=500_000),
            weight_decay=weight_decay,
            second_decay=0.99,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
