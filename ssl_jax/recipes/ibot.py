"""iBOT: our demo on a small ViT, and the authors' ImageNet run."""

from dataclasses import replace

from ssl_jax.augment.masked_crops import masked_crops
from ssl_jax.methods.ibot import IBOT
from ssl_jax.recipes.dino import imagenet_adamw, make_head
from ssl_jax.recipes.images import DIGITS, IMAGENET, Images, Opened
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import Laptop, Training, frozen_prototypes
from ssl_jax.recipes.views import demo_crops, dino_crops

MICRO, SMALL = replace(DIGITS, encoder="vit_micro"), replace(IMAGENET, encoder="vit_small/16")


def open_tokens(images: Images, *, method: str, **options: object) -> Opened:
    """The data and a ViT with a class token and a mask token; `options` are others of the ViT."""
    return images.open_patches(method=method, positions="learned", pool="token", mask_token=True, **options)


@recipe
def demo(
    images: Images = MICRO,
    training: Laptop = Laptop(epochs=200, learning_rate=2e-3, weight_decay=1e-2),
    *,
    prototypes: int = 256,
    momentum: float = 0.97,
    small_size: int = 20,
    small_views: int = 2,
) -> Recipe:
    """Hours on a laptop (a step is 4.7 s on a core), AdamW, patches of 4 pixels, two large and two small crops, one head.

    Args:
      encoder: a ViT, see `ssl-jax list`.
      prototypes: outputs of the head.
    """
    opened = open_tokens(images, method="ibot")
    head = make_head(opened, 256, 64, prototypes=prototypes, norm=True)
    method = IBOT(
        opened.encoder, head, training.steps(opened.data), momentum=momentum, teacher_temperature=0.02,
        warmup_temperature=0.02,
    )  # fmt: skip
    views = masked_crops(demo_crops(opened, small_size=small_size, small_views=small_views), grid=opened.grid)
    return opened.recipe(training, method, views, training.adamw)


@recipe
def imagenet(
    images: Images = SMALL,
    training: Training = Training(800, 1024, 5e-4, 0.04),
    *,
    clip: float = 3.0,
    drop_path: float = 0.1,
    prototypes: int = 8192,
    momentum: float = 0.996,
    small_size: int = 96,
    small_views: int = 10,
) -> Recipe:
    """The authors' ViT-S/16 command of 800 epochs: 2 x 224 and 10 x 96, one head. 77.9 % linear, 75.2 % k-NN there.

    README.md ("iBOT Pre-Training with ViTs") and the defaults of main_ibot.py of bytedance/ibot, on 16 GPUs of 64 images.

    Args:
      encoder: a ViT, see `ssl-jax list`.
      weight_decay: at first, on weights; it rises to 0.4 by a cosine.
      clip: largest norm of each parameter's gradient.
      drop_path: stochastic depth of the student's last block.
      prototypes: outputs of the head.
    """
    opened = open_tokens(images, method="ibot", drop_path=drop_path, position_offset=0.1)
    head = make_head(opened, 2048, 2048, 256, prototypes=prototypes)
    steps = training.steps(opened.data)
    method = IBOT(
        opened.encoder, head, steps, momentum=momentum, teacher_temperature=0.07,
        warmup=round(steps * 30 / training.epochs),
    )  # fmt: skip
    crops = dino_crops(opened, large=(0.25, 1.0), small=(0.05, 0.25), small_size=small_size, small_views=small_views)
    views = masked_crops(crops, grid=opened.grid, smallest=(opened.grid // 3) ** 2)
    return opened.recipe(training, method, views, frozen_prototypes(imagenet_adamw(training, clip=clip), training))
