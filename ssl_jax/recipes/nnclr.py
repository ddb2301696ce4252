"""NNCLR: our demo, solo-learn's CIFAR-10, and the paper's ImageNet runs."""

from ssl_jax.augment.views import simclr_views
from ssl_jax.methods.nnclr import NNCLR
from ssl_jax.optimizers import lars
from ssl_jax.recipes.images import CIFAR, DIGITS, IMAGENET, Images
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import Laptop, SoloLearn, Training
from ssl_jax.recipes.views import demo_views, solo_views


@recipe
def demo(
    images: Images = DIGITS, training: Laptop = Laptop(), *, queue_length: int = 1024, temperature: float = 0.2
) -> Recipe:
    """Minutes on a laptop, AdamW.

    Args:
      queue_length: number of embeddings in which nearest neighbours are searched; a multiple of the batch size.
    """
    opened = images.open()
    head, predictor = opened.head(256, 64, last_norm=True), opened.head(256, 64, inputs=64, last_bias=True)
    method = NNCLR(opened.encoder, head, predictor=predictor, queue_length=queue_length, temperature=temperature)
    return opened.recipe(training, method, opened.views(demo_views), training.adamw)


@recipe
def cifar(
    images: Images = CIFAR,
    training: SoloLearn = SoloLearn(1000, 256, 0.4, 1e-5),
    *,
    queue_length: int = 65536,
    temperature: float = 0.2,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/nnclr.yaml of vturrisi/solo-learn). Published: 91.88 % linear.

    Args:
      queue_length: number of embeddings in which nearest neighbours are searched; a multiple of the batch size.
    """
    opened = images.open()
    head = opened.head(2048, 2048, 256, last_norm=True, last_bias=True)
    predictor = opened.head(4096, 256, inputs=256, last_bias=True)
    method = NNCLR(opened.encoder, head, predictor=predictor, queue_length=queue_length, temperature=temperature)
    return opened.recipe(training, method, opened.views(solo_views), training.clipped_lars)


@recipe
def imagenet(
    images: Images = IMAGENET,
    training: Training = Training(1000, 4096, 0.3, 1e-6),
    *,
    queue_length: int = 98304,
    temperature: float = 0.1,
) -> Recipe:
    """The paper's ImageNet runs: three layers of 2048, 2048 and 256, predictor of 4096.

    Published: 75.4 % linear after 1000 epochs.

    Args:
      queue_length: number of embeddings in which nearest neighbours are searched; a multiple of the batch size.
    """
    opened = images.open()
    head = opened.head(2048, 2048, 256, last_norm=True)
    predictor = opened.head(4096, 256, inputs=256, last_bias=True)
    method = NNCLR(opened.encoder, head, predictor=predictor, queue_length=queue_length, temperature=temperature)
    views = opened.views(simclr_views, resampling="cubic", antialias=False)
    return opened.recipe(training, method, views, training.optimizer(lars))
