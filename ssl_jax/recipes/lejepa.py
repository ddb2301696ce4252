"""LeJEPA: our demo, and the paper's ImageNet setting."""

from dataclasses import replace
from functools import partial

from ssl_jax.augment.views import multi_crop, photo_views
from ssl_jax.methods.lejepa import LeJEPA
from ssl_jax.optimizers import adamw
from ssl_jax.recipes.images import DIGITS, IMAGENET, Images
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import Laptop, Training
from ssl_jax.recipes.views import demo_views

VIT_BASE = replace(IMAGENET, encoder="vit_base/16")


@recipe
def demo(
    images: Images = DIGITS, training: Laptop = Laptop(), *, weight: float = 0.05, directions: int = 256
) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = LeJEPA(opened.encoder, opened.head(256, 64, last_bias=True), weight=weight, directions=directions)
    return opened.recipe(training, method, opened.views(demo_views), training.adamw)


@recipe
def imagenet(
    images: Images = VIT_BASE,
    training: Training = Training(100, 512, 5e-4, 5e-2),
    *,
    weight: float = 0.05,
    directions: int = 1024,
    small_size: int = 96,
    small_views: int = 6,
) -> Recipe:
    """The authors' settings for ViTs: 2 x 224 and 6 x 98 pixels, AdamW, one weight. No accuracy is stated for this ViT.

    "GOTO hyperparameters" in README.md of rbalestr-lab/lejepa. Small crops have 96 pixels, since patches of 16 do not divide
    98. The batch, the epochs of the warm-up and the head are not stated in it: the head is that of MINIMAL.md except for its
    width.

    Args:
      learning_rate: peak at any batch size; the schedule ends at a thousandth.
    """
    opened = images.open()
    head = opened.head(2048, 2048, 64, last_bias=True)
    view = partial(photo_views, jitter=(0.4, 0.4, 0.2, 0.1), solarize=0.2)
    views = multi_crop(
        opened.views(view, scale=(0.3, 1.0)),
        opened.views(view, size=small_size, scale=(0.05, 0.3), views=small_views),
    )
    peak = training.learning_rate
    method = LeJEPA(opened.encoder, head, weight=weight, directions=directions)
    return opened.recipe(training, method, views, training.optimizer(adamw, peak=peak, end=peak / 1000))
