"""DCL: our demo, and the paper's CIFAR-10 and ImageNet runs."""

from typing import Any

from ssl_jax.augment.views import simclr_views
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Recipe, Training, on_photos, recipe
from ssl_jax.methods.dcl import DCL
from ssl_jax.optimizers import sgd

PAPER = Training(200, 256, 0.03, 1e-4, warmup_epochs=0)


@recipe(DCL, temperature=0.2)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """SimCLR's demo with the decoupled loss."""
    opened = images.open()
    method = DCL(opened.encoder, opened.head(256, 64), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(DCL, temperature=0.07)
def cifar(images: Images = CIFAR, training: Training = PAPER, **options: Any) -> Recipe:
    """The paper's CIFAR-10 runs (Yeh et al. 2021, section 4): SGD, batch 256, temperature 0.07, head of width 128."""
    opened = images.open()
    method = DCL(opened.encoder, opened.head(opened.encoder.width, 128), **options)
    views = opened.views(simclr_views, strength=0.5, blur=False)
    return opened.recipe(training, method, views, training.optimizer(sgd))


@recipe(DCL, temperature=0.1)
def imagenet(images: Images = IMAGENET, training: Training = PAPER, **options: Any) -> Recipe:
    """The paper's ImageNet runs (Yeh et al. 2021, section 4): SGD, batch 256, 200 epochs."""
    opened = images.open()
    method = DCL(opened.encoder, opened.head(opened.encoder.width, 128), **options)
    return opened.recipe(training, method, opened.views(simclr_views), training.optimizer(sgd))
