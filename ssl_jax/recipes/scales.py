"""What recipes of one scale share, whatever the method: images and their statistics, the encoder, views, common options."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.views import Views, digit_views, evaluation_view, joined, photo_views
from ssl_jax.data import Data, open_data
from ssl_jax.data.channels import Channels
from ssl_jax.errors import UsageError
from ssl_jax.networks import ENCODERS, Net
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.networks.encoders import patch_size_for
from ssl_jax.optimizers import Optimizer, adamw, warmup_cosine

Precision = Literal["auto", "float32", "bfloat16"]

# Means and standard deviations of the training pixels, in [0, 1], a channel: what images are standardised by.
Statistics = tuple[tuple[float, ...], tuple[float, ...]]
DIGIT_STATISTICS: Statistics = (0.1307,), (0.3081,)
CIFAR_STATISTICS: Statistics = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
IMAGENET_STATISTICS: Statistics = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# What an option means wherever its recipe does not say otherwise.
COMMON_OPTIONS = {
    "data": 'embedded "digits", a tfds name such as cifar10 or imagenet2012:train[:10%], a folder of images, "synthetic".',
    "image_size": "side of the views in pixels; images of other sizes are resized.",
    "stored_size": "shorter side to which images are resized on the host; crops are drawn from their central square.",
    "encoder": "see `ssl-jax list`.",
    "epochs": "passes over the training images.",
    "batch_size": "images a step, over all devices.",
    "learning_rate": "peak of the schedule.",
    "weight_decay": "on weights, not on biases and norms.",
    "temperature": "divides similarities.",
    "precision": "of activations; auto is bfloat16 on accelerators, float32 on CPU.",
    "strict": "refuse unreadable images instead of skipping them.",
}


class Scale(NamedTuple):
    """Images, the encoder for them, and what stands between.

    mean, std: of the pixels, by channel.
    prepare: the one view of evaluation.
    dtype: of activations.
    """

    data: Data
    encoder: Net
    mean: tuple[float, ...]
    std: tuple[float, ...]
    prepare: Callable[[Array], Array]
    dtype: jnp.dtype


def scale(
    *,
    data: str,
    image_size: int,
    encoder: str,
    precision: Precision,
    strict: bool,
    stored_size: int | None = None,
    statistics: Statistics | None = None,
    view_size: int | None = None,
    network: dict[str, Any] | None = None,
) -> Scale:
    """Opens the data and makes the encoder for it.

    Args:
      stored_size: images are kept larger than the views, and evaluation crops `image_size` of it; `image_size` when None.
      statistics: of the pixels; images become as many channels as they have, grey ones three equal channels for instance.
        Those of digits for grey images and of ImageNet for others when None.
      view_size: side of what the encoder sees in pre-training, where that is not a whole image (tiles); needed by ViTs.
      network: options of the encoder that its name does not say, such as a ViT's positions.
    """
    shown: Channels | None = None if statistics is None else 1 if len(statistics[0]) == 1 else 3
    images = open_data(data, image_size=stored_size or image_size, channels=shown, strict=strict)
    if len(images.train.image_shape) != 3:
        raise UsageError(
            f"data: {images.name} holds clips, expected images: choose frames, tracks, avid or cma for them."
        )
    channels, dtype = images.train.image_shape[-1], compute_dtype(precision)
    mean, std = statistics or (DIGIT_STATISTICS if channels == 1 else IMAGENET_STATISTICS)
    side = view_size or image_size
    prepare = evaluation_view(
        size=image_size, crop_fraction=image_size / (stored_size or image_size), mean=mean, std=std
    )
    net = make_encoder(encoder, image_shape=(side, side, channels), dtype=dtype, **(network or {}))
    return Scale(images, net, mean, std, prepare, dtype)


def patches_only(encoder: str, *, method: str, pool: Literal["token", "mean"] = "mean") -> dict[str, Any]:
    """Options of a ViT that sees some patches of an image; a `UsageError` where the encoder is none."""
    if not encoder.startswith("vit"):
        names = ", ".join(name for name in ENCODERS if name.startswith("vit"))
        raise UsageError(f"encoder: {method} hides patches from a ViT, got {encoder}: choose one of {names}.")
    return {"positions": "sincos", "pool": pool}


def demo_views(scale: Scale, *, image_size: int, views: int = 2, part: tuple[float, float] = (0.4, 1.0)) -> Views:
    """Small grey images, turned, sheared and zoomed rather than recoloured; strengths found on the embedded digits.

    part: range of the part of the image's area in a view.
    """
    return digit_views(
        size=image_size,
        views=views,
        scale=part,
        degrees=20,
        translate=0.1,
        zoom=(0.82, 1.22),
        shear=15,
        mean=scale.mean,
        std=scale.std,
    )


def solo_views(
    scale: Scale,
    *,
    image_size: int,
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1),
    crop: tuple[float, float] = (0.08, 1.0),
    blur: float = 0.0,
    solarize: tuple[float, float] = (0.0, 0.2),
) -> Views:
    """solo-learn's two CIFAR views, cut out by Pillow's cubic kernel; those of asymmetric.yaml when nothing else is said.

    crop: range of the part of the image's area in a view.
    jitter, blur: as `photo_views` has them.
    solarize: probabilities of the first and of the second view.

    Source: scripts/pretrain/cifar/augmentations and solo/data/pretrain_dataloader.py of vturrisi/solo-learn.
    """
    view = functools.partial(
        photo_views, size=image_size, mean=scale.mean, std=scale.std, scale=crop, jitter=jitter, blur=blur,
        blur_kernel="pillow", resampling="cubic", views=1,
    )  # fmt: skip
    return joined(*(view(solarize=probability) for probability in solarize))


def patch_side(encoder: str, image_size: int) -> int:
    """Pixels of a side of a ViT's patches, as its name or the images' size has it."""
    _, _, size = encoder.partition("/")
    return int(size) if size else patch_size_for(image_size)


def demo_optimizer(learning_rate: float, weight_decay: float) -> Callable[[int], Optimizer]:
    """AdamW with a warm-up of 5 % and a cosine to 0."""
    return lambda steps: adamw(warmup_cosine(learning_rate, steps=steps, warmup=steps // 20), weight_decay=weight_decay)


def compute_dtype(precision: Precision) -> jnp.dtype:
    """Type of activations: "auto" is bfloat16 on accelerators and float32 on CPU. Parameters stay float32."""
    if precision == "auto":
        precision = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(precision)
