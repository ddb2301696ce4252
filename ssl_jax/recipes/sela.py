"""SeLa: our demo, and the runs that SwAV's paper compares with."""

from typing import Any

from ssl_jax.composition import DIGITS, IMAGENET, Crops, Images, Laptop, Recipe, Training, on_photos, recipe
from ssl_jax.methods.sela import SeLa
from ssl_jax.optimizers import larc
from ssl_jax.recipes.deepcluster import each_epoch


@recipe(SeLa, clusters=64, heads=3, temperature=0.1)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW, new labels in each epoch."""
    opened = images.open()
    method = SeLa(opened.encoder, opened.head(256, 64), **each_epoch(opened, training), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(SeLa, clusters=3000, heads=3, temperature=0.1)
def imagenet(
    images: Images = IMAGENET, training: Training = Training(400, 4096, 0.3, 1e-6), crops: Crops = Crops(96, 4), *,
    large_size: int = 160, **options: Any,
) -> Recipe:  # fmt: skip
    """SeLa-v2, as SwAV's authors ran it: their crops, head and schedule. Published: 71.8 % linear after 400 epochs.

    The authors published the weights, but neither a script nor code: crops are those of README.md of facebookresearch/swav,
    the schedule and the optimizer those of its scripts/deepclusterv2_400ep_pretrain.sh.

    Args:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size; the warm-up starts at a sixteenth of the
        peak and the cosine ends at a thousandth.
      large_size: side of the large crops in pixels.
    """
    opened = images.open()
    head, epoch = opened.head(2048, 128, last_bias=True), each_epoch(opened, training)
    views = crops.swav(opened, scale=(0.08, 1.0), large_size=large_size)
    optimizer = training.optimizer(larc, start=training.peak / 16, end=training.peak / 1000)
    return opened.recipe(training, SeLa(opened.encoder, head, **epoch, **options), views, optimizer)
