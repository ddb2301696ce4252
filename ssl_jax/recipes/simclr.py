"""SimCLR: our demo, the paper's CIFAR-10 appendix, the paper's ImageNet runs, and those of its second version."""

from typing import Any, Literal

from ssl_jax.augment.views import simclr_views
from ssl_jax.composition import (
    CIFAR,
    DIGITS,
    IMAGENET,
    Images,
    Laptop,
    Opened,
    Recipe,
    Training,
    on_emoji,
    on_photos,
    recipe,
)
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.optimizers import lars


def make_method(opened: Opened, *, head_layers: int, temperature: float) -> SimCLR:
    """Hidden layers of the head are as wide as the encoder; the last layer has a norm, too."""
    hidden = (opened.encoder.width,) * (head_layers - 1)
    return SimCLR(opened.encoder, opened.head(*hidden, 128, last_norm=True), temperature=temperature, scale=2.0)


@recipe(SimCLR, temperature=0.2)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop: small grayscale images, rotated, sheared and zoomed instead of colour jitter; AdamW."""
    opened = images.open()
    method = SimCLR(opened.encoder, opened.head(256, 64), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


emoji = on_emoji(demo)
photos = on_photos(demo)


@recipe(SimCLR, temperature=0.5)
def cifar(
    images: Images = CIFAR, training: Training = Training(1000, 512, 1.0, 1e-4), *, head_layers: int = 3, **options: Any
) -> Recipe:
    """The authors' CIFAR-10 command: jitter of strength 0.5, no blur, LARS. Published: about 91 % linear, ResNet-18.

    README.md, run.py and data_util.py of google-research/simclr. The paper (Chen et al. 2020, appendix B.9) has a ResNet-50,
    a head of two layers and a weight decay of 1e-6, and reaches 94.0 % with its best learning rate and temperature.
    """
    opened = images.open()
    method = make_method(opened, head_layers=head_layers, **options)
    views = opened.views(simclr_views, strength=0.5, blur=False, resampling="cubic", antialias=False)
    return opened.recipe(training, method, views, training.optimizer(lars))


@recipe(SimCLR, temperature=0.1)
def imagenet(
    images: Images = IMAGENET, training: Training = Training(100, 4096, 0.3, 1e-4), *,
    scaling: Literal["linear", "sqrt"] = "linear", head_layers: int = 3, **options: Any,
) -> Recipe:  # fmt: skip
    """The authors' ImageNet command of 100 epochs: LARS, large batches, strong jitter, blur. Published: about 64.5 % linear.

    README.md and run.py of google-research/simclr. The paper (Chen et al. 2020, sections 2 and 6) has a head of two layers
    and a weight decay of 1e-6; its 69.3 % are reached after 1000 epochs.

    Args:
      learning_rate: peak for a batch of 256 with linear scaling; with sqrt, 0.075 * sqrt(batch_size) is usual.
      scaling: linear, learning_rate * batch_size / 256; or sqrt, learning_rate * sqrt(batch_size).
    """
    peak = training.peak if scaling == "linear" else training.learning_rate * training.batch_size**0.5
    return _at_scale(images, training, peak=peak, head_layers=head_layers, **options)


@recipe(SimCLR, temperature=0.1)
def imagenet_v2(
    images: Images = IMAGENET, training: Training = Training(800, 4096, 0.1, 1e-4, warmup_epochs=40), *,
    head_layers: int = 3, **options: Any,
) -> Recipe:  # fmt: skip
    """SimCLR v2: a head of three layers, more epochs, more decay. Published: 71.7 % linear with ResNet-50.

    Args:
      learning_rate: factor of the square root of the batch size; the peak is 6.4 at 4096.
      warmup_epochs: epochs of linear warm-up; a twentieth of all in the paper.

    Source: Chen et al. 2020, https://arxiv.org/abs/2006.10029, section 3.
    """
    peak = training.learning_rate * training.batch_size**0.5
    return _at_scale(images, training, peak=peak, head_layers=head_layers, **options)


def _at_scale(images: Images, training: Training, *, peak: float, **options: Any) -> Recipe:
    """The common part of both ImageNet recipes, whose learning rates are scaled differently."""
    opened = images.open()
    views = opened.views(simclr_views, resampling="cubic", antialias=False)
    return opened.recipe(training, make_method(opened, **options), views, training.optimizer(lars, peak=peak))
