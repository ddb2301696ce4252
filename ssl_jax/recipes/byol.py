"""BYOL: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs."""

from typing import Any

from ssl_jax.augment.views import byol_views
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, Training, on_photos, recipe
from ssl_jax.composition.training import Run, SoloLearn
from ssl_jax.composition.views import solo_views
from ssl_jax.methods.byol import BYOL
from ssl_jax.optimizers import lars


def make_method(opened: Opened, training: Run, hidden: int, width: int, *, momentum: float, **options: Any) -> BYOL:
    """A head and a predictor of two layers each."""
    head, predictor = opened.head(hidden, width, **options), opened.head(hidden, width, inputs=width, **options)
    return BYOL(opened.encoder, head, training.steps(opened.data), momentum=momentum, predictor=predictor)


@recipe(BYOL, momentum=0.99)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    return opened.recipe(training, make_method(opened, training, 256, 64, **options), opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(BYOL, momentum=0.99)
def cifar(images: Images = CIFAR, training: SoloLearn = SoloLearn(1000, 256, 1.0, 1e-5), **options: Any) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/byol.yaml of vturrisi/solo-learn). Published: 92.58 % linear."""
    opened = images.open()
    method = make_method(opened, training, 4096, 256, last_bias=True, **options)
    return opened.recipe(training, method, opened.views(solo_views), training.clipped_lars)


@recipe(BYOL, momentum=0.99)
def imagenet(images: Images = IMAGENET, training: Training = Training(300, 4096, 0.3, 1e-6), **options: Any) -> Recipe:
    """The authors' ImageNet runs of 300 epochs: 72.5 % linear; 74.3 % after 1000 with other presets.

    Presets of byol/configs/byol.py of google-deepmind/deepmind-research: rate 0.45 for 100 epochs, 0.3 for 300 and 0.2 for
    1000; weight decay 1.5e-6 and momentum 0.996 for 1000. Last layers have no bias, in the head or in the predictor
    (byol/utils/networks.py); crops are cubic, without antialiasing, as TensorFlow makes them (byol/utils/dataset.py).
    """
    opened = images.open()
    method = make_method(opened, training, 4096, 256, **options)
    views = opened.views(byol_views, resampling="cubic", antialias=False)
    return opened.recipe(training, method, views, training.optimizer(lars, rate_last=True))
