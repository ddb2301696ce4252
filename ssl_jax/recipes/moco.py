"""MoCo: our demo of v2, solo-learn's CIFAR-10, and the authors' ImageNet runs of v2 and v1."""

from dataclasses import replace
from typing import Any

from ssl_jax.augment.views import photo_views
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, Training, on_photos, recipe
from ssl_jax.composition.training import Run, Staircase
from ssl_jax.composition.views import solo_views
from ssl_jax.methods.moco import MoCo
from ssl_jax.networks import Net
from ssl_jax.optimizers import sgd

ON_EIGHT = replace(IMAGENET, norm_groups=8)  # The authors' GPUs, each with statistics of its own.


def make_method(opened: Opened, training: Run, head: Net, *, momentum: float, **options: Any) -> MoCo:
    """MoCo for the steps of this run; its momentum is constant unless the options have a final one.

    The teacher's batch is shuffled between the groups of batch statistics, where the encoder has any.
    """
    groups = opened.norm_groups if opened.encoder.norm_kind == "batch" else 1
    options = {"final_momentum": momentum, "norm_groups": groups} | options
    return MoCo(opened.encoder, head, training.steps(opened.data), momentum=momentum, **options)


@recipe(MoCo, queue_length=2048, momentum=0.99, temperature=0.2)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = make_method(opened, training, opened.head(256, 64, norm=False, last_bias=True), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(MoCo, queue_length=32768, momentum=0.99, temperature=0.2)
def cifar(images: Images = CIFAR, training: Training = Training(1000, 256, 0.3, 1e-4), **options: Any) -> Recipe:
    """solo-learn's CIFAR-10 recipe of MoCo v2+: symmetric, SGD, momentum rising to 0.999. Published: 92.94 % linear.

    Values of scripts/pretrain/cifar/mocov2plus.yaml, augmentations/symmetric_weak.yaml and solo/methods/mocov2plus.py.

    Args:
      weight_decay: decay of all parameters, biases and norms included.
    """
    opened = images.open()
    head = opened.head(2048, 256, norm=False, last_bias=True)
    method = make_method(opened, training, head, final_momentum=0.999, symmetric=True, **options)
    views = opened.views(solo_views, jitter=(0.4, 0.4, 0.4, 0.1), blur=0.5, solarize=(0.0, 0.0))
    return opened.recipe(training, method, views, training.optimizer(sgd, decay_all=True))


@recipe(MoCo, queue_length=65536, momentum=0.999, temperature=0.2)
def imagenet(
    images: Images = ON_EIGHT, training: Training = Training(200, 256, 0.03, 1e-4, warmup_epochs=0), **options: Any
) -> Recipe:
    """The authors' ImageNet runs of MoCo v2, 200 epochs: head of two layers without norms, blur, cosine.

    Published: 67.5 % linear, the mean of five runs; 71.1 % after 800 (README.md and main_moco.py of facebookresearch/moco).

    Args:
      weight_decay: decay of all parameters, biases and norms included.
    """
    opened = images.open()
    head = opened.head(2048, 128, norm=False, last_bias=True)
    method = make_method(opened, training, head, **options)
    views = opened.views(photo_views, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1))
    return opened.recipe(training, method, views, training.optimizer(sgd, decay_all=True))


@recipe(MoCo, queue_length=65536, momentum=0.999, temperature=0.07)
def imagenet_v1(
    images: Images = ON_EIGHT, training: Staircase = Staircase(200, 256, 0.03, 1e-4, drops=(120, 160), of=200),
    **options: Any,
) -> Recipe:  # fmt: skip
    """The authors' ImageNet runs of MoCo v1: a linear head, no blur, the rate divided by 10 twice. Published: 60.6 % linear.

    Values of main_moco.py of facebookresearch/moco, whose README has a mean of 60.8 % over five runs. It converts images to
    grayscale before the jitter; ours, after it.

    Args:
      learning_rate: rate for a batch of 256, scaled linearly with the batch size; divided by 10 after 120 and 160 of 200
        epochs.
      weight_decay: decay of all parameters, biases and norms included.
    """
    opened = images.open()
    method = make_method(opened, training, opened.linear(128), **options)
    views = opened.views(photo_views, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0, blur=0.0)
    return opened.recipe(training, method, views, training.optimizer(sgd, decay_all=True))
