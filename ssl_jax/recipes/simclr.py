"""SimCLR: our demo, the paper's CIFAR-10 appendix, the paper's ImageNet runs, and those of its second version."""

from collections.abc import Callable
from typing import Literal

from ssl_jax.augment.views import ViewMaker, simclr_views
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.optimizers import lars
from ssl_jax.recipes.images import CIFAR, DIGITS, EMOJI, IMAGENET, Images, Opened
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import EMOJI_RUN, Laptop, Training
from ssl_jax.recipes.views import demo_views, emoji_views


def make_method(opened: Opened, *, head_layers: int, temperature: float) -> SimCLR:
    """Hidden layers of the head are as wide as the encoder; the last layer has a norm, too."""
    hidden = (opened.encoder.width,) * (head_layers - 1)
    return SimCLR(opened.encoder, opened.head(*hidden, 128, last_norm=True), temperature=temperature, scale=2.0)


@recipe
def demo(images: Images = DIGITS, training: Laptop = Laptop(), *, temperature: float = 0.2) -> Recipe:
    """Minutes on a laptop: small grayscale images, rotated, sheared and zoomed instead of colour jitter; AdamW."""
    return _small(images.open(), training, demo_views, temperature=temperature)


@recipe
def emoji(images: Images = EMOJI, training: Laptop = EMOJI_RUN, *, temperature: float = 0.2) -> Recipe:
    """Minutes on a laptop, AdamW, on emoji in colour, which `ssl-jax data prepare emoji` prepares."""
    return _small(images.open(), training, emoji_views, temperature=temperature)


@recipe
def cifar(
    images: Images = CIFAR,
    training: Training = Training(1000, 512, 1.0, 1e-4),
    *,
    head_layers: int = 3,
    temperature: float = 0.5,
) -> Recipe:
    """The authors' CIFAR-10 command: jitter of strength 0.5, no blur, LARS. Published: about 91 % linear, ResNet-18.

    README.md, run.py and data_util.py of google-research/simclr. The paper (Chen et al. 2020, appendix B.9) has a ResNet-50,
    a head of two layers and a weight decay of 1e-6, and reaches 94.0 % with its best learning rate and temperature.
    """
    opened = images.open()
    method = make_method(opened, head_layers=head_layers, temperature=temperature)
    views = opened.views(simclr_views, strength=0.5, blur=False, resampling="cubic", antialias=False)
    return opened.recipe(training, method, views, training.optimizer(lars))


@recipe
def imagenet(
    images: Images = IMAGENET,
    training: Training = Training(100, 4096, 0.3, 1e-4),
    *,
    scaling: Literal["linear", "sqrt"] = "linear",
    head_layers: int = 3,
    temperature: float = 0.1,
) -> Recipe:
    """The authors' ImageNet command of 100 epochs: LARS, large batches, strong jitter, blur. Published: about 64.5 % linear.

    README.md and run.py of google-research/simclr. The paper (Chen et al. 2020, sections 2 and 6) has a head of two layers
    and a weight decay of 1e-6; its 69.3 % are reached after 1000 epochs.

    Args:
      learning_rate: peak for a batch of 256 with linear scaling; with sqrt, 0.075 * sqrt(batch_size) is usual.
      scaling: linear, learning_rate * batch_size / 256; or sqrt, learning_rate * sqrt(batch_size).
    """
    peak = training.peak if scaling == "linear" else training.learning_rate * training.batch_size**0.5
    return _at_scale(images, training, peak=peak, head_layers=head_layers, temperature=temperature)


@recipe
def imagenet_v2(
    images: Images = IMAGENET,
    training: Training = Training(800, 4096, 0.1, 1e-4, warmup_epochs=40),
    *,
    head_layers: int = 3,
    temperature: float = 0.1,
) -> Recipe:
    """SimCLR v2: a head of three layers, more epochs, more decay. Published: 71.7 % linear with ResNet-50.

    Args:
      learning_rate: factor of the square root of the batch size; the peak is 6.4 at 4096.
      warmup_epochs: epochs of linear warm-up; a twentieth of all in the paper.

    Source: Chen et al. 2020, https://arxiv.org/abs/2006.10029, section 3.
    """
    peak = training.learning_rate * training.batch_size**0.5
    return _at_scale(images, training, peak=peak, head_layers=head_layers, temperature=temperature)


def _small(opened: Opened, training: Laptop, view: Callable[..., ViewMaker], *, temperature: float) -> Recipe:
    """The common part of the recipes for minutes on a laptop, whose images and views differ."""
    method = SimCLR(opened.encoder, opened.head(256, 64), temperature=temperature)
    return opened.recipe(training, method, opened.views(view), training.adamw)


def _at_scale(images: Images, training: Training, *, peak: float, head_layers: int, temperature: float) -> Recipe:
    """The common part of both ImageNet recipes, whose learning rates are scaled differently."""
    opened = images.open()
    method = make_method(opened, head_layers=head_layers, temperature=temperature)
    views = opened.views(simclr_views, resampling="cubic", antialias=False)
    return opened.recipe(training, method, views, training.optimizer(lars, peak=peak))
