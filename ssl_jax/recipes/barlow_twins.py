"""Barlow Twins: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs."""

from typing import Any

from ssl_jax.augment.views import byol_views
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Recipe, Training, on_emoji, on_photos, recipe
from ssl_jax.composition.training import SoloLearn
from ssl_jax.composition.views import solo_views
from ssl_jax.methods.barlow_twins import BarlowTwins
from ssl_jax.optimizers import lars, with_bias_rate


@recipe(BarlowTwins, off_diagonal_weight=5e-3)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = BarlowTwins(opened.encoder, opened.head(256, 256, 256), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


emoji = on_emoji(demo)
photos = on_photos(demo)


@recipe(BarlowTwins, off_diagonal_weight=5.1e-3)
def cifar(images: Images = CIFAR, training: SoloLearn = SoloLearn(1000, 256, 0.3, 1e-4), **options: Any) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/barlow.yaml): loss times 0.1. Published: 92.10 % linear."""
    opened = images.open()
    method = BarlowTwins(opened.encoder, opened.head(2048, 2048, 2048, last_bias=True), scale=0.1, **options)
    return opened.recipe(training, method, opened.views(solo_views), training.clipped_lars)


@recipe(BarlowTwins, off_diagonal_weight=5.1e-3)
def imagenet(
    images: Images = IMAGENET, training: Training = Training(1000, 2048, 0.2, 1e-6), *,
    bias_learning_rate: float = 0.0048, **options: Any,
) -> Recipe:  # fmt: skip
    """The authors' ImageNet command: three layers of 8192, BYOL's views. 73.5 % linear after 1000 epochs.

    The accuracy and all settings are those of README.md and main.py of facebookresearch/barlowtwins; the paper (Zbontar et
    al. 2021, table 1) has 73.2 % and a weight decay of 1.5e-6.

    Args:
      learning_rate: peak of the weights for a batch of 256, scaled linearly with the batch size; it ends at a thousandth.
      bias_learning_rate: the same for biases and norms, which LARS does not scale.
    """
    opened = images.open()
    method = BarlowTwins(opened.encoder, opened.head(8192, 8192, 8192), **options)
    weights = training.optimizer(lars, end=training.peak / 1000, rate_last=True)
    factor = bias_learning_rate / training.learning_rate
    views = opened.views(byol_views, resampling="cubic")
    return opened.recipe(training, method, views, lambda steps: with_bias_rate(weights(steps), factor=factor))
