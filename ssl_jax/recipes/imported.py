"""The recipe of an encoder from a file: what images it takes and how it is made. `ssl-jax import` fills in all of it."""

from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np

from ssl_jax.composition.images import CIFAR_STATISTICS, DIGIT_STATISTICS, IMAGENET_STATISTICS, Images, Statistics
from ssl_jax.composition.recipe import Recipe, recipe
from ssl_jax.methods.encoder_only import EncoderOnly
from ssl_jax.networks.resnet import Stem
from ssl_jax.networks.vit import Pool
from ssl_jax.optimizers import frozen
from ssl_jax.ranges import Range
from ssl_jax.sizes import ImageSize

Pixels = Literal["imagenet", "cifar10", "digits", "half"]
Offset = Annotated[float, Range(0.0, 1.0)]
STATISTICS: dict[Pixels, Statistics] = {
    "imagenet": IMAGENET_STATISTICS,
    "cifar10": CIFAR_STATISTICS,
    "digits": DIGIT_STATISTICS,
    "half": ((0.5,) * 3, (0.5,) * 3),
}
SHOWN, BATCH = Images("digits", 224, "resnet50"), 256  # Of the recipe, which is never trained.


@recipe
def encoder(
    images: Images = SHOWN,
    *,
    pixels: Pixels = "imagenet",
    trained_size: ImageSize = 224,
    stem: Stem = "imagenet",
    stem_padding: int | None = None,
    patch_size: int = 16,
    heads: int | None = None,
    pool: Pool = "token",
    registers: int = 0,
    layer_scale: bool = False,
    gated: bool = False,
    position_offset: Offset = 0.0,
) -> Recipe:
    """An encoder with weights from a file.

    Args:
      pixels: statistics that pixels are standardised with; half is 0.5 and 0.5, digits those of grayscale digits.
      trained_size: side in pixels of the images whose positions the file holds, or height and width; others are interpolated.
      stem: of a ResNet or RegNetY.
      stem_padding: of the stem of a ResNet; half of the size of its convolution, rounded down, when not given.
      patch_size: of a ViT.
      heads: attention heads of a ViT; as its name says when not given.
      pool: features of a ViT: its class token, or the mean of the patches.
      registers: of a ViT.
      layer_scale: whether the branches of a ViT have gains.
      gated: whether the hidden units of a ViT are gated (swiglu).
      position_offset: of interpolated positions; 0.1 for DINO, iBOT and DINOv2.
    """
    options: dict[str, Any] = {"stem": stem, "patch_size": patch_size, "pool": pool, "registers": registers}
    options |= {"position_offset": position_offset, "layer_scale": 1.0 if layer_scale else None}
    options |= {"activation": "swiglu"} if gated else {}
    options |= {} if heads is None else {"heads": heads}
    options |= {} if stem_padding is None else {"stem_padding": stem_padding}
    opened = replace(images, statistics=STATISTICS[pixels]).open(view_size=trained_size, **options)
    return Recipe(
        data=opened.data,
        method=EncoderOnly(opened.encoder),
        augment=lambda rng, image: opened.prepare(image)[np.newaxis],
        prepare=opened.prepare,
        optimizer=lambda steps: frozen(),
        batch_size=BATCH,
        epochs=1,
    )
