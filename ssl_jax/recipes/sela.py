"""SeLa: our demo, and the runs that SwAV's paper compares with."""

from ssl_jax.methods.sela import SeLa
from ssl_jax.optimizers import larc
from ssl_jax.recipes.deepcluster import each_epoch
from ssl_jax.recipes.images import DIGITS, IMAGENET, Images
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import Laptop, Training
from ssl_jax.recipes.views import demo_views, swav_crops


@recipe
def demo(
    images: Images = DIGITS,
    training: Laptop = Laptop(),
    *,
    clusters: int = 64,
    heads: int = 3,
    temperature: float = 0.1,
) -> Recipe:
    """Minutes on a laptop, AdamW, new labels in each epoch.

    Args:
      clusters: number of pseudo-labels of each head.
      heads: number of simultaneous labellings, each of a different view.
    """
    opened = images.open()
    head, epoch = opened.head(256, 64), each_epoch(opened, training)
    method = SeLa(opened.encoder, head, clusters=clusters, heads=heads, temperature=temperature, **epoch)
    return opened.recipe(training, method, opened.views(demo_views), training.adamw)


@recipe
def imagenet(
    images: Images = IMAGENET,
    training: Training = Training(400, 4096, 0.3, 1e-6),
    *,
    clusters: int = 3000,
    heads: int = 3,
    temperature: float = 0.1,
    large_size: int = 160,
    small_size: int = 96,
    small_views: int = 4,
) -> Recipe:
    """SeLa-v2, as SwAV's authors ran it: their crops, head and schedule. Published: 71.8 % linear after 400 epochs.

    The authors published the weights, but neither a script nor code: crops are those of README.md of facebookresearch/swav,
    the schedule and the optimizer those of its scripts/deepclusterv2_400ep_pretrain.sh.

    Args:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size; the warm-up starts at a sixteenth of the
        peak and the cosine ends at a thousandth.
      clusters: number of pseudo-labels of each head.
      heads: number of simultaneous labellings, each of a different view.
      large_size: side of the large crops in pixels.
    """
    opened = images.open()
    head, epoch = opened.head(2048, 128, last_bias=True), each_epoch(opened, training)
    method = SeLa(opened.encoder, head, clusters=clusters, heads=heads, temperature=temperature, **epoch)
    sizes = {"large_size": large_size, "small_size": small_size, "small_views": small_views}
    optimizer = training.optimizer(larc, start=training.peak / 16, end=training.peak / 1000)
    return opened.recipe(training, method, swav_crops(opened, scale=(0.08, 1.0), **sizes), optimizer)
