"""NNCLR: our demo, solo-learn's CIFAR-10, and the paper's ImageNet runs."""

from typing import Any

from ssl_jax.augment.views import simclr_views
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Recipe, Training, on_photos, recipe
from ssl_jax.composition.training import SoloLearn
from ssl_jax.composition.views import solo_views
from ssl_jax.methods.nnclr import NNCLR
from ssl_jax.optimizers import lars


@recipe(NNCLR, queue_length=1024, temperature=0.2)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    head, predictor = opened.head(256, 64, last_norm=True), opened.head(256, 64, inputs=64, last_bias=True)
    method = NNCLR(opened.encoder, head, predictor=predictor, **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(NNCLR, queue_length=65536, temperature=0.2)
def cifar(images: Images = CIFAR, training: SoloLearn = SoloLearn(1000, 256, 0.4, 1e-5), **options: Any) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/nnclr.yaml of vturrisi/solo-learn). Published: 91.88 % linear."""
    opened = images.open()
    head = opened.head(2048, 2048, 256, last_norm=True, last_bias=True)
    method = NNCLR(opened.encoder, head, predictor=opened.head(4096, 256, inputs=256, last_bias=True), **options)
    return opened.recipe(training, method, opened.views(solo_views), training.clipped_lars)


@recipe(NNCLR, queue_length=98304, temperature=0.1)
def imagenet(images: Images = IMAGENET, training: Training = Training(1000, 4096, 0.3, 1e-6), **options: Any) -> Recipe:
    """The paper's ImageNet runs: three layers of 2048, 2048 and 256, predictor of 4096. 75.4 % linear after 1000 epochs."""
    opened = images.open()
    head = opened.head(2048, 2048, 256, last_norm=True)
    method = NNCLR(opened.encoder, head, predictor=opened.head(4096, 256, inputs=256, last_bias=True), **options)
    views = opened.views(simclr_views, resampling="cubic", antialias=False)
    return opened.recipe(training, method, views, training.optimizer(lars))
