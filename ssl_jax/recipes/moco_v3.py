"""MoCo v3: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs with a ResNet."""

from typing import Any

from ssl_jax.augment.views import byol_views
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, Training, on_photos, recipe
from ssl_jax.composition.training import Run, SoloLearn
from ssl_jax.composition.views import solo_views
from ssl_jax.methods.moco_v3 import MoCoV3
from ssl_jax.optimizers import lars

NORMED = {"last_norm": True, "last_norm_affine": False}


def make_method(
    opened: Opened, training: Run, hidden: int, width: int, *, last: dict[str, bool], **options: Any
) -> MoCoV3:
    """A head and a predictor of two layers each; `last` are options of the predictor's last layer."""
    head, predictor = opened.head(hidden, width, **NORMED), opened.head(hidden, width, inputs=width, **last)
    return MoCoV3(opened.encoder, head, training.steps(opened.data), predictor=predictor, **options)


@recipe(MoCoV3, momentum=0.99, temperature=0.2)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = make_method(opened, training, 256, 64, last=NORMED, **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(MoCoV3, momentum=0.99, temperature=0.2)
def cifar(images: Images = CIFAR, training: SoloLearn = SoloLearn(1000, 256, 0.3, 1e-6), **options: Any) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/mocov3.yaml of vturrisi/solo-learn). Published: 93.10 % linear."""
    opened = images.open()
    method = make_method(opened, training, 4096, 256, last={}, **options)
    return opened.recipe(training, method, opened.views(solo_views), training.clipped_lars)


@recipe(MoCoV3, momentum=0.99, temperature=1.0)
def imagenet(images: Images = IMAGENET, training: Training = Training(100, 4096, 0.6, 1e-6), **options: Any) -> Recipe:
    """The authors' ImageNet command of 100 epochs with a ResNet-50: LARS, temperature 1. Published: 68.9 % linear.

    Values of CONFIG.md, main_moco.py and moco/builder.py of facebookresearch/moco-v3, which also has a rate of 0.3 for 300
    epochs, and for 1000 a weight decay of 1.5e-6 and a momentum of 0.996. A ResNet's predictor has no last norm.
    """
    opened = images.open()
    method = make_method(opened, training, 4096, 256, last={}, **options)
    views = opened.views(byol_views, scale=(0.2, 1.0))
    return opened.recipe(training, method, views, training.optimizer(lars, rate_last=True))
