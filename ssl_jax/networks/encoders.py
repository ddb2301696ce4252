"""Encoders by the names that people type: one function of the images' shape each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.functional import Net
from ssl_jax.networks.resnet import resnet18, resnet34, resnet50
from ssl_jax.networks.small import small_convnet
from ssl_jax.networks.vit import vit_base, vit_micro, vit_small, vit_tiny

Shape = tuple[int, int, int]


def encoder(name: str, *, image_shape: Shape, dtype: DTypeLike = jnp.float32, **options: Any) -> Net:
    """The encoder of that name for images `[H, W, C]`.

    A ResNet gets the stem for its images' size; a ViT the patches of `patch_size_for`, or those that its name asks for.

    Args:
      name: one of `ENCODERS`.
      image_shape: of one image, as the augmentation hands it over.
      dtype: of the activations; parameters, statistics and "features" are float32.
      options: others of the function that makes it, such as a ViT's `positions`.

    Raises:
      UsageError: an unknown name, images that a ViT cannot cut into patches.
    """
    return ENCODERS[pick("encoder", name, ENCODERS)](image_shape, dtype, **options)


def convolutional(make: Callable[..., Net], image_shape: Shape, dtype: DTypeLike, **options: Any) -> Net:
    return make(channels=image_shape[2], dtype=dtype, **options)


def residual(make: Callable[..., Net], image_shape: Shape, dtype: DTypeLike, **options: Any) -> Net:
    side = max(image_shape[:2])
    stem = "mnist" if side <= 28 else "cifar" if side <= 32 else "imagenet"
    return make(stem=stem, channels=image_shape[2], dtype=dtype, **options)


def transformer(
    make: Callable[..., Net], patch_size: int | None, image_shape: Shape, dtype: DTypeLike, **options: Any
) -> Net:
    height, width, channels = image_shape
    if height != width:
        raise UsageError(f"a ViT takes square images, got {height} x {width}: crop them, or choose a ResNet")
    patch_size = patch_size or patch_size_for(height)
    return make(image_size=height, patch_size=patch_size, channels=channels, dtype=dtype, **options)


def patch_size_for(side: int) -> int:
    """The largest patch, of 2 to 16 pixels, with at least 7 on a side: 16 at 224 pixels, 8 at 64, 4 at 32 and at 28."""
    fitting = [size for size in range(2, 17) if side % size == 0 and side // size >= 7]
    if not fitting:
        raise UsageError(f"no patch of 2 to 16 pixels cuts {side} pixels into 7 or more: resize to a multiple of 8")
    return max(fitting)


ENCODERS: dict[str, Callable[..., Net]] = {
    "small": partial(convolutional, small_convnet),
    "resnet18": partial(residual, resnet18),
    "resnet34": partial(residual, resnet34),
    "resnet50": partial(residual, resnet50),
    "vit_micro": partial(transformer, vit_micro, None),
    "vit_micro/7": partial(transformer, vit_micro, 7),
    "vit_tiny": partial(transformer, vit_tiny, None),
    "vit_tiny/4": partial(transformer, vit_tiny, 4),
    "vit_tiny/8": partial(transformer, vit_tiny, 8),
    "vit_tiny/16": partial(transformer, vit_tiny, 16),
    "vit_small": partial(transformer, vit_small, None),
    "vit_small/8": partial(transformer, vit_small, 8),
    "vit_small/16": partial(transformer, vit_small, 16),
    "vit_base": partial(transformer, vit_base, None),
    "vit_base/8": partial(transformer, vit_base, 8),
    "vit_base/16": partial(transformer, vit_base, 16),
}
