"""VICReg: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs."""

from typing import Any

from ssl_jax.augment.views import byol_views
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Recipe, Training, on_photos, recipe
from ssl_jax.composition.training import SoloLearn
from ssl_jax.composition.views import solo_views
from ssl_jax.methods.vicreg import VICReg
from ssl_jax.optimizers import lars


@recipe(VICReg, invariance=25.0, variance=25.0, covariance=1.0)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = VICReg(opened.encoder, opened.head(256, 256, 256), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(VICReg, invariance=25.0, variance=50.0, covariance=1.0)
def cifar(images: Images = CIFAR, training: SoloLearn = SoloLearn(1000, 256, 0.3, 1e-4), **options: Any) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/vicreg.yaml of vturrisi/solo-learn). Published: 92.07 % linear.

    Args:
      variance: weight of the variance term; solo-learn's 25 is our 50, since it adds the terms of the two branches.
    """
    opened = images.open()
    method = VICReg(opened.encoder, opened.head(2048, 2048, 2048, last_bias=True), **options)
    views = opened.views(solo_views, scale=(0.2, 1.0), solarize=(0.1, 0.1))
    return opened.recipe(training, method, views, training.clipped_lars)


@recipe(VICReg, invariance=25.0, variance=25.0, covariance=1.0)
def imagenet(images: Images = IMAGENET, training: Training = Training(1000, 2048, 0.2, 1e-6), **options: Any) -> Recipe:
    """The authors' ImageNet command of 1000 epochs: three layers of 8192, BYOL's views. Published: 73.2 % linear.

    Values of README.md, main_vicreg.py and augmentations.py of facebookresearch/vicreg.

    Args:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size; it ends at a thousandth.
    """
    opened = images.open()
    method = VICReg(opened.encoder, opened.head(8192, 8192, 8192), **options)
    optimizer = training.optimizer(lars, end=training.peak / 1000, rate_last=True)
    return opened.recipe(training, method, opened.views(byol_views, resampling="cubic"), optimizer)
