"""DINO: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs with a small vision transformer."""

from dataclasses import replace
from typing import Any

from ssl_jax.methods.dino import DINO
from ssl_jax.networks import Net, prototype_head
from ssl_jax.optimizers import Optimizer, adamw, cosine, with_clipping
from ssl_jax.recipes.images import CIFAR, DIGITS, EMOJI, IMAGENET, Images, Opened
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import EMOJI_RUN, Laptop, MakeOptimizer, SoloLearn, Training, frozen_prototypes
from ssl_jax.recipes.views import demo_crops, demo_views, dino_crops, emoji_views, solo_views

VIT_SMALL = replace(IMAGENET, encoder="vit_small/16")


def make_head(opened: Opened, *widths: int, prototypes: int | None, norm: bool = False) -> Net:
    """Layers of these widths on the encoder, and prototypes, if any."""
    inputs = opened.encoder.width
    return prototype_head(inputs=inputs, widths=widths, outputs=prototypes, norm=norm, dtype=opened.dtype)


def imagenet_adamw(training: Training, *, clip: float) -> MakeOptimizer:
    """AdamW whose decay rises to 0.4 by a cosine, and whose gradients are clipped parameter by parameter."""

    def optimizer(steps: int) -> Optimizer:
        decay = cosine(training.weight_decay, 0.4, steps=steps)
        return with_clipping(adamw(training.schedule(steps, end=1e-6), weight_decay=decay), limit=clip)

    return optimizer


@recipe
def demo(
    images: Images = DIGITS,
    training: Laptop = Laptop(),
    *,
    prototypes: int = 256,
    momentum: float = 0.99,
    small_size: int = 20,
    small_views: int = 2,
) -> Recipe:
    """Minutes on a laptop, AdamW, two large and two small crops."""
    views = {"view": demo_views, "small_size": small_size, "small_views": small_views}
    return _small(images.open(), training, views, prototypes=prototypes, momentum=momentum)


@recipe
def emoji(
    images: Images = EMOJI,
    training: Laptop = EMOJI_RUN,
    *,
    prototypes: int = 256,
    momentum: float = 0.99,
    small_size: int = 16,
    small_views: int = 2,
) -> Recipe:
    """Minutes on a laptop, AdamW, two large and two small crops, on emoji, which `ssl-jax data prepare emoji` prepares."""
    views = {"view": emoji_views, "small_size": small_size, "small_views": small_views}
    return _small(images.open(), training, views, prototypes=prototypes, momentum=momentum)


@recipe
def cifar(
    images: Images = CIFAR,
    training: SoloLearn = SoloLearn(1000, 256, 0.3, 1e-6),
    *,
    prototypes: int = 4096,
    momentum: float = 0.9995,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe: two crops, 4096 outputs. Published: 89.52 % linear.

    Values of scripts/pretrain/cifar/dino.yaml and solo/methods/dino.py of vturrisi/solo-learn: no norms in the head, the
    teacher's temperature 0.07 from the start.
    """
    opened = images.open()
    head, steps = make_head(opened, 2048, 2048, 256, prototypes=prototypes), training.steps(opened.data)
    method = DINO(opened.encoder, head, steps, momentum=momentum, teacher_temperature=0.07, warmup_temperature=0.07)
    return opened.recipe(training, method, opened.views(solo_views), frozen_prototypes(training.clipped_lars, training))


@recipe
def imagenet(
    images: Images = VIT_SMALL,
    training: Training = Training(100, 512, 5e-4, 0.04),
    *,
    clip: float = 3.0,
    drop_path: float = 0.1,
    prototypes: int = 65536,
    momentum: float = 0.996,
    small_size: int = 96,
    small_views: int = 8,
) -> Recipe:
    """The authors' ViT-S/16 command of 100 epochs: AdamW, 2 x 224 and 8 x 96. Published: 74.0 % linear, 69.3 % k-NN.

    README.md ("vanilla DINO training") and the defaults of main_dino.py of facebookresearch/dino, on 8 GPUs of 64 images.

    Args:
      weight_decay: initial weight decay, on weights only; it rises to 0.4 along a cosine.
      clip: largest norm of each parameter's gradient.
      drop_path: stochastic depth of the student's last block, if it is a ViT.
    """
    opened = images.open(drop_path=drop_path)
    head = make_head(opened, 2048, 2048, 256, prototypes=prototypes)
    method = DINO(opened.encoder, head, training.steps(opened.data), momentum=momentum)
    views = dino_crops(opened, small_size=small_size, small_views=small_views)
    return opened.recipe(training, method, views, frozen_prototypes(imagenet_adamw(training, clip=clip), training))


def _small(opened: Opened, training: Laptop, views: dict[str, Any], *, prototypes: int, momentum: float) -> Recipe:
    """The common part of the recipes for minutes on a laptop; views: arguments of `demo_crops`."""
    head = make_head(opened, 256, 64, prototypes=prototypes, norm=True)
    method = DINO(opened.encoder, head, training.steps(opened.data), momentum=momentum)
    return opened.recipe(training, method, demo_crops(opened, **views), training.adamw)
