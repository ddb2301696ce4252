"""NPID: our demo, and the authors' ImageNet run."""

from dataclasses import replace
from functools import partial
from typing import Any

from ssl_jax.augment.views import photo_views
from ssl_jax.composition import DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, recipe
from ssl_jax.composition.training import Staircase
from ssl_jax.methods.npid import NPID
from ssl_jax.optimizers import sgd

RESNET18, TWO_DROPS = replace(IMAGENET, encoder="resnet18"), Staircase(200, 256, 0.03, 1e-4, drops=(120, 160), of=200)


def make_method(opened: Opened, *, width: int, **options: Any) -> NPID:
    """A linear head, and an entry of the bank for each training image."""
    return NPID(opened.encoder, opened.linear(width), examples=len(opened.data.train), **options)


@recipe(NPID, negatives=256, temperature=0.2, momentum=0.5, estimator="info_nce")
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = make_method(opened, width=64, **options)
    return opened.recipe(training, method, opened.views(views=1), training.adamw)


@recipe(NPID, negatives=4096, temperature=0.07, momentum=0.5, estimator="nce")
def imagenet(images: Images = RESNET18, training: Staircase = TWO_DROPS, **options: Any) -> Recipe:
    """The authors' command for a ResNet-18: a linear head, SGD, the rate divided by 10 twice. 41.0 % k-NN there.

    README.md and main.py of zhirongw/lemniscate.pytorch; neighbours are those of the 128 numbers of the embedding, a ResNet-50
    has 46.8 %. The README's update has 65,536 negatives and `--estimator info_nce`. There, images become grayscale before
    the jitter.

    Args:
      learning_rate: for 256 images a step, scaled linearly with the batch; divided by 10 after 120 and 160 of 200 epochs.
      weight_decay: decay of all parameters, biases and norms included.
    """
    opened = images.open()
    method = make_method(opened, width=128, **options)
    view = partial(photo_views, jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0, blur=0.0, views=1)
    views = opened.views(view, scale=(0.2, 1.0))
    return opened.recipe(training, method, views, training.optimizer(sgd, decay_all=True))
