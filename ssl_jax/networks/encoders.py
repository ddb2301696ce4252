"""Encoders by name, and the options of each that follow from the shape of the images."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.functional import Net
from ssl_jax.networks.regnet import regnety, regnety_8gf, regnety_32gf, regnety_128gf, regnety_256gf, regnety_400mf
from ssl_jax.networks.resnet import resnet, resnet18, resnet34, resnet50
from ssl_jax.networks.small import small_convnet
from ssl_jax.networks.vit import vit, vit_base, vit_large, vit_micro, vit_small, vit_tiny
from ssl_jax.sizes import ImageSize, in_words, sides_of, size_of

Shape = tuple[int, int, int]


class Encoder(NamedTuple):
    """How an encoder is made.

    make: the function that makes it, which passes options on to `family`.
    family: the function whose arguments are the options.
    of_shape: the options that depend on the shape of an image, `[H, W, C]`.
    """

    make: Callable[..., Net]
    family: Callable[..., Net]
    of_shape: Callable[[Shape], dict[str, Any]]


def encoder(name: str, *, image_shape: Shape, dtype: DTypeLike = jnp.float32, **options: Any) -> Net:
    """The encoder of that name for images `[H, W, C]`.

    A ResNet or a RegNetY gets the stem for its images' size; a ViT the patches of `patch_size_for`, or of the size in its name.

    Args:
      name: one of `ENCODERS`.
      image_shape: shape of one image, after the augmentation.
      dtype: of the activations; parameters, statistics and "features" are float32.
      options: other options of the function that makes it, such as a ViT's `positions`; they go before those of the shape.

    Raises:
      UsageError: an unknown name, images that a ViT cannot cut into patches.

    Example:
      >>> net = encoder("small", image_shape=(28, 28, 1))
      >>> params, stats = net.init(jax.random.key(0))
      >>> layers, _ = net.apply(params, stats, jnp.zeros((2, 28, 28, 1)), train=False)
      >>> print({name: layer.shape for name, layer in layers.items()})
      {'layer1': (2, 14, 14, 32), 'layer2': (2, 7, 7, 64), 'layer3': (2, 4, 4, 128), 'features': (2, 256)}
    """
    chosen = ENCODERS[pick("encoder", name, ENCODERS)]
    # Patches that are given need not be those that would be chosen for the size: it may have none.
    sized = (
        partial(patched, options["patch_size"]) if "patch_size" in options and chosen.family is vit else chosen.of_shape
    )
    return chosen.make(**(sized(image_shape) | options), dtype=dtype)


def encoders_with(option: str) -> list[str]:
    """Names of the encoders that have an option: "patch_size" of vision transformers, "groups" of those with batch norm."""
    return [name for name, each in ENCODERS.items() if option in signature(each.family).parameters]


def convolutional(image_shape: Shape) -> dict[str, Any]:
    return {"channels": image_shape[2]}


def residual(image_shape: Shape) -> dict[str, Any]:
    side = max(image_shape[:2])
    return {"stem": "mnist" if side <= 28 else "cifar" if side <= 32 else "imagenet", "channels": image_shape[2]}


def patched(patch_size: int | None, image_shape: Shape) -> dict[str, Any]:
    height, width, channels = image_shape
    size = size_of(height, width)
    return {"image_size": size, "patch_size": patch_size or patch_size_for(size), "channels": channels}


def patch_size_for(size: ImageSize) -> int:
    """The largest patch, of 2 to 16 pixels, with at least 7 on each side: 16 at 224 pixels, 8 at 64 and 96 x 128, 4 at 28."""
    fitting = [
        patch for patch in range(2, 17) if all(side % patch == 0 and side // patch >= 7 for side in sides_of(size))
    ]
    if not fitting:
        raise UsageError(
            f"no patch of 2 to 16 pixels cuts {in_words(size)} pixels into 7 or more: resize to a multiple of 8"
        )
    return max(fitting)


def _vits(name: str, make: Callable[..., Net], *patch_sizes: int) -> dict[str, Encoder]:
    """A vision transformer whose patches follow from the images, and those with patches of the sizes in their names."""
    sized: dict[str, int | None] = {f"{name}/{size}": size for size in patch_sizes}
    return {name: Encoder(make, vit, partial(patched, size)) for name, size in ({name: None} | sized).items()}


ENCODERS = {
    "small": Encoder(small_convnet, small_convnet, convolutional),
    "resnet18": Encoder(resnet18, resnet, residual),
    "resnet34": Encoder(resnet34, resnet, residual),
    "resnet50": Encoder(resnet50, resnet, residual),
    "regnety_400mf": Encoder(regnety_400mf, regnety, residual),
    "regnety_8gf": Encoder(regnety_8gf, regnety, residual),
    "regnety_32gf": Encoder(regnety_32gf, regnety, residual),
    "regnety_128gf": Encoder(regnety_128gf, regnety, residual),
    "regnety_256gf": Encoder(regnety_256gf, regnety, residual),
    **_vits("vit_micro", vit_micro, 7),
    **_vits("vit_tiny", vit_tiny, 4, 8, 16),
    **_vits("vit_small", vit_small, 8, 14, 16),
    **_vits("vit_base", vit_base, 8, 14, 16),
    **_vits("vit_large", vit_large, 14, 16),
}
