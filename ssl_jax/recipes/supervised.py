"""Supervised training: our demo, and the usual CIFAR-10 recipe."""

from ssl_jax.composition import CIFAR, DIGITS, Images, Laptop, Recipe, Training, on_photos, recipe
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.supervised import Supervised
from ssl_jax.optimizers import sgd


@recipe
def demo(images: Images = DIGITS, training: Laptop = Laptop()) -> Recipe:
    """The labels of all training images, SimCLR's views: an upper bound."""
    opened = images.open_labelled(method="supervised")
    method = Supervised(opened.encoder, opened.linear(len(opened.data.train.classes)))
    return opened.recipe(training, method, opened.views(views=1), training.adamw)


photos = on_photos(demo)


@recipe
def cifar(images: Images = CIFAR, training: Training = Training(200, 128, 0.2, 5e-4, warmup_epochs=0)) -> Recipe:
    """SGD, one cosine, crops of at least 0.2 of the area and flips."""
    opened = images.open_labelled(method="supervised")
    method = Supervised(opened.encoder, opened.linear(len(opened.data.train.classes)))
    return opened.recipe(training, method, opened.views(crop_views, scale=(0.2, 1.0)), training.optimizer(sgd))
