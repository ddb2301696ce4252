"""DeepCluster-v2: our demo, and the ImageNet runs of SwAV's authors."""

from typing import Any

from ssl_jax.composition import DIGITS, IMAGENET, Crops, Images, Laptop, Opened, Recipe, Training, on_photos, recipe
from ssl_jax.composition.training import Run
from ssl_jax.data import steps_per_epoch
from ssl_jax.methods.deepcluster import DeepCluster
from ssl_jax.optimizers import larc


def each_epoch(opened: Opened, training: Run) -> dict[str, Any]:
    """Options of methods that cluster all training images again in each epoch; banks are shared out as a batch is."""
    examples, batch = len(opened.data.train), training.batch_size
    entries = -(-examples // batch) * batch
    return {"examples": examples, "entries": entries, "recluster_every": steps_per_epoch(examples, batch)}


@recipe(DeepCluster, clusters=64, heads=3, temperature=0.1)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW, new clusters in each epoch."""
    opened = images.open()
    method = DeepCluster(opened.encoder, opened.head(256, 64), **each_epoch(opened, training), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(DeepCluster, clusters=3000, heads=3, temperature=0.1)
def imagenet(
    images: Images = IMAGENET,
    training: Training = Training(800, 4096, 0.3, 1e-6),
    crops: Crops = Crops(),
    **options: Any,
) -> Recipe:
    """The runs of SwAV's authors: 2 x 224 and 6 x 96, three clusterings of 3,000. Published: 75.2 % linear after 800 epochs.

    Source: scripts/deepclusterv2_800ep_pretrain.sh, main_deepclusterv2.py and README.md of facebookresearch/swav.

    Args:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size; the warm-up starts at a sixteenth of the
        peak and the cosine ends at a thousandth.
    """
    opened = images.open()
    head, epoch = opened.head(2048, 128, last_bias=True), each_epoch(opened, training)
    method = DeepCluster(opened.encoder, head, **epoch, **options)
    optimizer = training.optimizer(larc, start=training.peak / 16, end=training.peak / 1000)
    return opened.recipe(training, method, crops.swav(opened, scale=(0.14, 1.0)), optimizer)
