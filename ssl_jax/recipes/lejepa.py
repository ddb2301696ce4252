"""LeJEPA: our demo, and the paper's ImageNet setting."""

from dataclasses import replace
from functools import partial
from typing import Any

from ssl_jax.augment.views import multi_crop, photo_views
from ssl_jax.composition import DIGITS, IMAGENET, Crops, Images, Laptop, Recipe, Training, on_photos, recipe
from ssl_jax.methods.lejepa import LeJEPA
from ssl_jax.optimizers import adamw

VIT_BASE = replace(IMAGENET, encoder="vit_base/16")


@recipe(LeJEPA, weight=0.05, directions=256)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = LeJEPA(opened.encoder, opened.head(256, 64, last_bias=True), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(LeJEPA, weight=0.05, directions=1024)
def imagenet(
    images: Images = VIT_BASE,
    training: Training = Training(100, 512, 5e-4, 5e-2),
    crops: Crops = Crops(),
    **options: Any,
) -> Recipe:
    """The authors' settings for ViTs: 2 x 224 and 6 x 98 pixels, AdamW, one weight. No accuracy is stated for this ViT.

    "GOTO hyperparameters" in README.md of rbalestr-lab/lejepa. Small crops have 96 pixels, since patches of 16 do not divide
    98. The batch, the epochs of the warm-up and the head are not stated in it: the head is that of MINIMAL.md except for its
    width.

    Args:
      learning_rate: peak at any batch size; the schedule ends at a thousandth.
    """
    opened = images.open()
    method = LeJEPA(opened.encoder, opened.head(2048, 2048, 64, last_bias=True), **options)
    view = partial(photo_views, jitter=(0.4, 0.4, 0.2, 0.1), solarize=0.2)
    small = opened.views(view, size=crops.small_size, scale=(0.05, 0.3), views=crops.small_views)
    views = multi_crop(opened.views(view, scale=(0.3, 1.0)), small)
    peak = training.learning_rate
    return opened.recipe(training, method, views, training.optimizer(adamw, peak=peak, end=peak / 1000))
