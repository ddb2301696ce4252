"""DCL: our demo, and the paper's CIFAR-10 and ImageNet runs."""

from ssl_jax.augment.views import simclr_views
from ssl_jax.methods.dcl import DCL
from ssl_jax.optimizers import sgd
from ssl_jax.recipes.images import CIFAR, DIGITS, IMAGENET, Images
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import Laptop, Training
from ssl_jax.recipes.views import demo_views

PAPER = Training(200, 256, 0.03, 1e-4, warmup_epochs=0)


@recipe
def demo(images: Images = DIGITS, training: Laptop = Laptop(), *, temperature: float = 0.2) -> Recipe:
    """SimCLR's demo with the decoupled loss."""
    opened = images.open()
    method = DCL(opened.encoder, opened.head(256, 64), temperature=temperature)
    return opened.recipe(training, method, opened.views(demo_views), training.adamw)


@recipe
def cifar(images: Images = CIFAR, training: Training = PAPER, *, temperature: float = 0.07) -> Recipe:
    """The paper's CIFAR-10 runs (Yeh et al. 2021, section 4): SGD, batch 256, temperature 0.07, head of width 128."""
    opened = images.open()
    method = DCL(opened.encoder, opened.head(opened.encoder.width, 128), temperature=temperature)
    views = opened.views(simclr_views, strength=0.5, blur=False)
    return opened.recipe(training, method, views, training.optimizer(sgd))


@recipe
def imagenet(images: Images = IMAGENET, training: Training = PAPER, *, temperature: float = 0.1) -> Recipe:
    """The paper's ImageNet runs (Yeh et al. 2021, section 4): SGD, batch 256, 200 epochs."""
    opened = images.open()
    method = DCL(opened.encoder, opened.head(opened.encoder.width, 128), temperature=temperature)
    return opened.recipe(training, method, opened.views(simclr_views), training.optimizer(sgd))
