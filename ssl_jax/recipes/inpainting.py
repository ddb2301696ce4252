"""Inpainting: our demo, and the paper's task on ImageNet."""

import math
from dataclasses import replace

from ssl_jax.augment.masking import hole_masking
from ssl_jax.composition import DIGITS, IMAGENET, Images, Laptop, Recipe, recipe
from ssl_jax.composition.training import Constant
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.inpainting import Inpainting
from ssl_jax.optimizers import adam
from ssl_jax.sizes import sides_of

SMALL = replace(IMAGENET, image_size=128, stored_size=146)


@recipe
def demo(images: Images = DIGITS, training: Laptop = Laptop(), *, hole: int = 10, holes: int = 4) -> Recipe:
    """Minutes on a laptop, AdamW, random holes with half of the area; all pixels are predicted, the loss counts the holes.

    Args:
      hole: side of each square hole in pixels.
      holes: number of holes, at random positions; they may overlap.
    """
    opened = images.open()
    head = opened.head(512, math.prod(sides_of(opened.image_size)) * opened.channels, last_bias=True)
    views = hole_masking(opened.views(views=1), hole=hole, anywhere=holes)
    return opened.recipe(training, Inpainting(opened.encoder, head), views, training.adamw)


@recipe
def imagenet(images: Images = SMALL, training: Constant = Constant(100, 64, 2e-3, 0.0), *, hole: int = 64) -> Recipe:
    """The paper's task and optimizer: the middle 64 x 64 of 128 x 128 pixels, Adam with beta 0.5 and a constant rate.

    Without the adversarial loss, whose weight in the paper is 0.001. The encoder, the number of epochs and the crops, of 0.3
    to 1 of the image, are ours; the paper's crops are 128 pixels of images whose shorter side has 350. The squared error has
    one weight in the whole hole; the paper's has ten times the weight within 4 pixels of its edge. Source: train.lua and
    README.md of pathak22/context-encoder.

    Args:
      learning_rate: constant rate, ten times that of the authors' discriminator, 2e-4.
      hole: side of the square hole in the middle, in pixels.
    """
    opened = images.open()
    head = opened.head(4000, hole**2 * opened.channels, last_bias=True)
    views = hole_masking(opened.views(crop_views, scale=(0.3, 1.0)), hole=hole)
    optimizer = training.optimizer(adam, first_decay=0.5)
    return opened.recipe(training, Inpainting(opened.encoder, head), views, optimizer)
