"""DINO: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs with a small vision transformer."""

from dataclasses import replace
from typing import Any

from ssl_jax.composition import (
    CIFAR,
    DIGITS,
    IMAGENET,
    VIT_ALBUM,
    VIT_PHOTOS,
    Crops,
    Images,
    Laptop,
    Opened,
    Recipe,
    Training,
    on_emoji,
    on_photos,
    recipe,
)
from ssl_jax.composition.training import MakeOptimizer, SoloLearn, frozen_prototypes
from ssl_jax.composition.views import solo_views
from ssl_jax.methods.dino import DINO
from ssl_jax.networks import Net, prototype_head
from ssl_jax.optimizers import Optimizer, adamw, cosine, with_clipping

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


@recipe(DINO, momentum=0.99)
def demo(
    images: Images = DIGITS, training: Laptop = Laptop(), crops: Crops = Crops(20, 2), *, prototypes: int = 256,
    **options: Any,
) -> Recipe:  # fmt: skip
    """Minutes on a laptop, AdamW, two large and two small crops."""
    opened = images.open()
    head = make_head(opened, 256, 64, prototypes=prototypes, norm=True)
    method = DINO(opened.encoder, head, training.steps(opened.data), **options)
    return opened.recipe(training, method, crops.like(opened), training.adamw)


emoji = on_emoji(demo, crops=Crops(16, 2))
photos = on_photos(demo, images=VIT_PHOTOS, training=VIT_ALBUM, crops=Crops(48, 2))


@recipe(DINO, momentum=0.9995)
def cifar(
    images: Images = CIFAR, training: SoloLearn = SoloLearn(1000, 256, 0.3, 1e-6), *, prototypes: int = 4096,
    **options: Any,
) -> Recipe:  # fmt: skip
    """solo-learn's CIFAR-10 recipe: two crops, 4096 outputs. Published: 89.52 % linear.

    Values of scripts/pretrain/cifar/dino.yaml and solo/methods/dino.py of vturrisi/solo-learn: no norms in the head, the
    teacher's temperature 0.07 from the start.
    """
    opened = images.open()
    head, steps = make_head(opened, 2048, 2048, 256, prototypes=prototypes), training.steps(opened.data)
    method = DINO(opened.encoder, head, steps, teacher_temperature=0.07, warmup_temperature=0.07, **options)
    return opened.recipe(training, method, opened.views(solo_views), frozen_prototypes(training.clipped_lars, training))


@recipe(DINO, momentum=0.996)
def imagenet(
    images: Images = VIT_SMALL, training: Training = Training(100, 512, 5e-4, 0.04), crops: Crops = Crops(96, 8), *,
    clip: float = 3.0, drop_path: float = 0.1, prototypes: int = 65536, **options: Any,
) -> Recipe:  # fmt: skip
    """The authors' ViT-S/16 command of 100 epochs: AdamW, 2 x 224 and 8 x 96. Published: 74.0 % linear, 69.3 % k-NN.

    README.md ("vanilla DINO training") and the defaults of main_dino.py of facebookresearch/dino, on 8 GPUs of 64 images.

    Args:
      weight_decay: initial weight decay, on weights only; it rises to 0.4 along a cosine.
    """
    opened = images.open(drop_path=drop_path)
    head = make_head(opened, 2048, 2048, 256, prototypes=prototypes)
    method = DINO(opened.encoder, head, training.steps(opened.data), **options)
    optimizer = frozen_prototypes(imagenet_adamw(training, clip=clip), training)
    return opened.recipe(training, method, crops.dino(opened), optimizer)
