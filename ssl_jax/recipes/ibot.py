"""iBOT: our demo on a small ViT, and the authors' ImageNet run."""

from dataclasses import replace
from typing import Any

from ssl_jax.augment.masked_crops import masked_crops
from ssl_jax.composition import (
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
    on_photos,
    recipe,
)
from ssl_jax.composition.training import frozen_prototypes
from ssl_jax.methods.ibot import IBOT
from ssl_jax.recipes.dino import imagenet_adamw, make_head
from ssl_jax.sizes import sides_of

MICRO, SMALL = replace(DIGITS, encoder="vit_micro/7"), replace(IMAGENET, encoder="vit_small/16")


def open_tokens(images: Images, *, method: str, **options: object) -> Opened:
    """The data and a ViT with a class token and a mask token; `options` are others of the ViT."""
    return images.open_patches(method=method, positions="learned", pool="token", mask_token=True, **options)


@recipe(IBOT, momentum=0.97, center_momentum=0.5)
def demo(
    images: Images = MICRO, training: Laptop = Laptop(60, 256, 2e-3, 1e-2), crops: Crops = Crops(14, 2), *,
    prototypes: int = 256, **options: Any,
) -> Recipe:  # fmt: skip
    """Minutes on a laptop, AdamW, patches of 7 pixels, two large and two small crops, one head.

    The center's momentum is 0.5, not 0.9: with 0.9 the teacher gives nearly all examples to 2 % of the prototypes for 500 of
    the 900 steps, which the collapse alarm reports; with 0.5 it uses 56 % of them from step 120 on.
    """
    opened = open_tokens(images, method="ibot")
    head, steps = make_head(opened, 256, 64, prototypes=prototypes, norm=True), training.steps(opened.data)
    method = IBOT(opened.encoder, head, steps, teacher_temperature=0.02, warmup_temperature=0.02, **options)
    return opened.recipe(training, method, masked_crops(crops.like(opened), grid=opened.grid), training.adamw)


photos = on_photos(demo, images=VIT_PHOTOS, training=VIT_ALBUM, crops=Crops(48, 2))


@recipe(IBOT, momentum=0.996)
def imagenet(
    images: Images = SMALL, training: Training = Training(800, 1024, 5e-4, 0.04), crops: Crops = Crops(96, 10), *,
    clip: float = 3.0, drop_path: float = 0.1, prototypes: int = 8192, **options: Any,
) -> Recipe:  # fmt: skip
    """The authors' ViT-S/16 command of 800 epochs: 2 x 224 and 10 x 96, one head. 77.9 % linear, 75.2 % k-NN there.

    README.md ("iBOT Pre-Training with ViTs") and the defaults of main_ibot.py of bytedance/ibot, on 16 GPUs of 64 images.

    Args:
      weight_decay: initial weight decay, on weights only; it rises to 0.4 along a cosine.
    """
    opened = open_tokens(images, method="ibot", drop_path=drop_path, position_offset=0.1)
    head, steps = make_head(opened, 2048, 2048, 256, prototypes=prototypes), training.steps(opened.data)
    warmup = round(steps * 30 / training.epochs)
    method = IBOT(opened.encoder, head, steps, teacher_temperature=0.07, warmup=warmup, **options)
    large_and_small = crops.dino(opened, large=(0.25, 1.0), small=(0.05, 0.25))
    rows, columns = sides_of(opened.grid)
    views = masked_crops(large_and_small, grid=opened.grid, smallest=(rows // 3) * (columns // 3))
    return opened.recipe(training, method, views, frozen_prototypes(imagenet_adamw(training, clip=clip), training))
