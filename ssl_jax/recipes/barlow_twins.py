"""Barlow Twins: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs."""

from collections.abc import Callable

from ssl_jax.augment.views import ViewMaker, byol_views
from ssl_jax.methods.barlow_twins import BarlowTwins
from ssl_jax.optimizers import lars, with_bias_rate
from ssl_jax.recipes.images import CIFAR, DIGITS, EMOJI, IMAGENET, Images, Opened
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import EMOJI_RUN, Laptop, SoloLearn, Training
from ssl_jax.recipes.views import demo_views, emoji_views, solo_views


@recipe
def demo(images: Images = DIGITS, training: Laptop = Laptop(), *, off_diagonal_weight: float = 5e-3) -> Recipe:
    """Minutes on a laptop, AdamW."""
    return _small(images.open(), training, demo_views, off_diagonal_weight=off_diagonal_weight)


@recipe
def emoji(images: Images = EMOJI, training: Laptop = EMOJI_RUN, *, off_diagonal_weight: float = 5e-3) -> Recipe:
    """Minutes on a laptop, AdamW, on emoji in colour, which `ssl-jax data prepare emoji` prepares."""
    return _small(images.open(), training, emoji_views, off_diagonal_weight=off_diagonal_weight)


@recipe
def cifar(
    images: Images = CIFAR,
    training: SoloLearn = SoloLearn(1000, 256, 0.3, 1e-4),
    *,
    off_diagonal_weight: float = 5.1e-3,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/barlow.yaml): loss times 0.1. Published: 92.10 % linear."""
    opened = images.open()
    head = opened.head(2048, 2048, 2048, last_bias=True)
    method = BarlowTwins(opened.encoder, head, off_diagonal_weight=off_diagonal_weight, scale=0.1)
    return opened.recipe(training, method, opened.views(solo_views), training.clipped_lars)


@recipe
def imagenet(
    images: Images = IMAGENET,
    training: Training = Training(1000, 2048, 0.2, 1e-6),
    *,
    bias_learning_rate: float = 0.0048,
    off_diagonal_weight: float = 5.1e-3,
) -> Recipe:
    """The authors' ImageNet command: three layers of 8192, BYOL's views. 73.5 % linear after 1000 epochs.

    The accuracy and all settings are those of README.md and main.py of facebookresearch/barlowtwins; the paper (Zbontar et
    al. 2021, table 1) has 73.2 % and a weight decay of 1.5e-6.

    Args:
      learning_rate: peak of the weights for a batch of 256, scaled linearly with the batch size; it ends at a thousandth.
      bias_learning_rate: the same for biases and norms, which LARS does not scale.
    """
    opened = images.open()
    method = BarlowTwins(opened.encoder, opened.head(8192, 8192, 8192), off_diagonal_weight=off_diagonal_weight)
    weights = training.optimizer(lars, end=training.peak / 1000, rate_last=True)
    factor = bias_learning_rate / training.learning_rate
    views = opened.views(byol_views, resampling="cubic")
    return opened.recipe(training, method, views, lambda steps: with_bias_rate(weights(steps), factor=factor))


def _small(opened: Opened, training: Laptop, view: Callable[..., ViewMaker], *, off_diagonal_weight: float) -> Recipe:
    """The common part of the recipes for minutes on a laptop, whose images and views differ."""
    method = BarlowTwins(opened.encoder, opened.head(256, 256, 256), off_diagonal_weight=off_diagonal_weight)
    return opened.recipe(training, method, opened.views(view), training.adamw)
