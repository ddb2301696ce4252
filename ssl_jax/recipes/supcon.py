"""Supervised contrastive learning: our demo, and the authors' CIFAR-10 run."""

from typing import Any

from ssl_jax.augment.views import photo_views
from ssl_jax.composition import CIFAR, DIGITS, Images, Laptop, Recipe, Training, on_photos, recipe
from ssl_jax.methods.supcon import SupCon
from ssl_jax.optimizers import sgd


@recipe(SupCon, temperature=0.1)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """SimCLR's demo with labels: an upper bound."""
    opened = images.open_labelled(method="supcon")
    method = SupCon(opened.encoder, opened.head(256, 64), **options)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(SupCon, temperature=0.1)
def cifar(images: Images = CIFAR, training: Training = Training(1000, 1024, 0.125, 1e-4), **options: Any) -> Recipe:
    """The authors' CIFAR-10 command: SGD, batch 1024, learning rate 0.5. Published: 96.0 % linear, ResNet-50.

    README.md, main_supcon.py and util.py of HobbitLong/SupContrast. Ours is a ResNet-18, images are standardised by the
    deviation of all pixels (theirs is the mean of the images' deviations), and the cosine begins where the warm-up ends;
    theirs begins at step 0, so that it is 0.02 % below the peak at the end of the warm-up.

    Args:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size; it ends at a thousandth.
      weight_decay: decay of all parameters, biases and norms included.
      warmup_epochs: epochs of linear warm-up, from a fiftieth of the peak.
    """
    opened = images.open_labelled(method="supcon")
    head = opened.head(opened.encoder.width, 128, norm=False, last_bias=True)
    views = opened.views(photo_views, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), blur=0.0)
    optimizer = training.optimizer(sgd, start=training.peak / 50, end=training.peak / 1000, decay_all=True)
    method = SupCon(opened.encoder, head, scale=options["temperature"] / 0.07, **options)
    return opened.recipe(training, method, views, optimizer)
