"""MoCo v3: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs with a ResNet."""

from ssl_jax.augment.views import byol_views
from ssl_jax.methods.moco_v3 import MoCoV3
from ssl_jax.optimizers import lars
from ssl_jax.recipes.images import CIFAR, DIGITS, IMAGENET, Images, Opened
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import Laptop, Run, SoloLearn, Training
from ssl_jax.recipes.views import demo_views, solo_views

NORMED = {"last_norm": True, "last_norm_affine": False}


def make_method(
    opened: Opened,
    training: Run,
    hidden: int,
    width: int,
    *,
    last: dict[str, bool],
    momentum: float,
    temperature: float,
) -> MoCoV3:
    """A head and a predictor of two layers each; `last` are options of the predictor's last layer."""
    head, predictor = opened.head(hidden, width, **NORMED), opened.head(hidden, width, inputs=width, **last)
    steps = training.steps(opened.data)
    return MoCoV3(opened.encoder, head, steps, momentum=momentum, predictor=predictor, temperature=temperature)


@recipe
def demo(
    images: Images = DIGITS, training: Laptop = Laptop(), *, momentum: float = 0.99, temperature: float = 0.2
) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = make_method(opened, training, 256, 64, last=NORMED, momentum=momentum, temperature=temperature)
    return opened.recipe(training, method, opened.views(demo_views), training.adamw)


@recipe
def cifar(
    images: Images = CIFAR,
    training: SoloLearn = SoloLearn(1000, 256, 0.3, 1e-6),
    *,
    momentum: float = 0.99,
    temperature: float = 0.2,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/mocov3.yaml of vturrisi/solo-learn). Published: 93.10 % linear."""
    opened = images.open()
    method = make_method(opened, training, 4096, 256, last={}, momentum=momentum, temperature=temperature)
    return opened.recipe(training, method, opened.views(solo_views), training.clipped_lars)


@recipe
def imagenet(
    images: Images = IMAGENET,
    training: Training = Training(100, 4096, 0.6, 1e-6),
    *,
    momentum: float = 0.99,
    temperature: float = 1.0,
) -> Recipe:
    """The authors' ImageNet command of 100 epochs with a ResNet-50: LARS, temperature 1. Published: 68.9 % linear.

    Values of CONFIG.md, main_moco.py and moco/builder.py of facebookresearch/moco-v3, which also has a rate of 0.3 for 300
    epochs, and for 1000 a weight decay of 1.5e-6 and a momentum of 0.996. A ResNet's predictor has no last norm.
    """
    opened = images.open()
    method = make_method(opened, training, 4096, 256, last={}, momentum=momentum, temperature=temperature)
    views = opened.views(byol_views, scale=(0.2, 1.0))
    return opened.recipe(training, method, views, training.optimizer(lars, rate_last=True))
