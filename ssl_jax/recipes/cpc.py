"""CPC: our demo on small patches, and the paper's task on ImageNet."""

from dataclasses import replace
from typing import Any

from ssl_jax.composition import DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, recipe
from ssl_jax.composition.training import Constant
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.cpc import CPC
from ssl_jax.networks.context import row_context
from ssl_jax.optimizers import adam

CROPPED = (256 / 300) ** 2  # Fraction of the image in a crop of the ImageNet run.
CROPS = replace(IMAGENET, image_size=256, stored_size=300)


def open_patches(images: Images, patch_size: int) -> Opened:
    """Layer norm in the encoder: batch norm makes patches depend on one another, so that the task has a shortcut.

    Source: Hénaff et al. 2019, https://arxiv.org/abs/1905.09272, section 4.1.
    """
    return images.open(view_size=patch_size, norm="layer")


def make_method(opened: Opened, *, width: int, context: int, depth: int, prediction_steps: int, **options: Any) -> CPC:
    """Linear embeddings of patches and linear predictions of them."""
    return CPC(
        opened.encoder,
        opened.linear(width),
        context=row_context(inputs=width, width=context, depth=depth, dtype=opened.dtype),
        predictor=opened.linear(prediction_steps * width, inputs=context),
        prediction_steps=prediction_steps,
        image_size=opened.image_size,
        **options,
    )


@recipe(CPC, patch_size=14, stride=7, prediction_steps=1, temperature=1.0)
def demo(images: Images = DIGITS, training: Laptop = Laptop(epochs=40, learning_rate=2e-3), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW, 3 x 3 patches of 14 pixels that overlap by half."""
    opened = open_patches(images, options["patch_size"])
    method = make_method(opened, width=64, context=128, depth=4, **options)
    return opened.recipe(training, method, opened.views(views=1, scale=(0.7, 1.0)), training.adamw)


@recipe(CPC, patch_size=64, stride=32, prediction_steps=5, temperature=1.0)
def imagenet(images: Images = CROPS, training: Constant = Constant(200, 512, 2e-4, 0.0), **options: Any) -> Recipe:
    """The paper's task: 7 x 7 patches of 64 pixels that overlap by half, Adam. Published: 48.7 % linear with a ResNet-101 v2.

    As in section 3.3 of the paper: crops of 256 of 300 pixels, random flips, all grayscale; a random crop of 60 pixels of each
    patch, padded to 64; 32 x 16 images per step. Our encoder is the last stage of a ResNet-50, the paper's is a ResNet-101 v2
    without norms up to its third stage. The paper states neither a schedule nor a number of epochs: the constant rate and the
    epochs are ours.
    """
    opened, sub_crop = open_patches(images, options["patch_size"]), 60 * options["patch_size"] // 64
    method = make_method(opened, width=1024, context=1024, depth=6, sub_crop=sub_crop, **options)
    views = opened.views(crop_views, scale=(CROPPED, CROPPED), grayscale=1.0)
    return opened.recipe(training, method, views, training.optimizer(adam))
