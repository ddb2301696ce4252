"""SwAV: our demo, solo-learn's CIFAR-10, the authors' ImageNet runs, and SEER's on a billion images."""

from dataclasses import replace
from typing import Any

from ssl_jax.composition import (
    CIFAR,
    DIGITS,
    IMAGENET,
    Crops,
    Images,
    Laptop,
    Recipe,
    Training,
    on_emoji,
    on_photos,
    recipe,
)
from ssl_jax.composition.training import SoloLearn, frozen_prototypes
from ssl_jax.composition.views import solo_views
from ssl_jax.methods.swav import SwAV
from ssl_jax.optimizers import larc

SEER_IMAGES, SEER_STEPS = replace(IMAGENET, encoder="regnety_256gf"), 10**9 / 8192  # Steps of one pass over a billion.
SEER_RUN = Training(1, 8192, 0.3, 1e-5, warmup_epochs=8000 / SEER_STEPS)


@recipe(SwAV, prototypes=64, temperature=0.1, epsilon=0.03)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), crops: Crops = Crops(20, 2), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW, two large and two small crops.

    Args:
      epsilon: entropy regularisation of Sinkhorn-Knopp; on digits, at 0.05 two of three seeds stay at the uniform solution.
    """
    opened = images.open()
    method = SwAV(opened.encoder, opened.head(256, 64), **options)
    return opened.recipe(training, method, crops.like(opened), training.adamw)


emoji = on_emoji(demo, prototypes=256, crops=Crops(16, 2))
photos = on_photos(demo, prototypes=256, crops=Crops(48, 2))


@recipe(SwAV, prototypes=3000, temperature=0.1, queue_length=3840)
def cifar(images: Images = CIFAR, training: SoloLearn = SoloLearn(1000, 256, 0.6, 1e-6), **options: Any) -> Recipe:
    """solo-learn's CIFAR-10 recipe: two crops, queue from epoch 50, prototypes frozen for 2 epochs. Published: 89.17 % linear.

    Values of scripts/pretrain/cifar/swav.yaml and augmentations/symmetric.yaml of vturrisi/solo-learn.
    """
    opened = images.open()
    start = round(training.steps(opened.data) * 50 / training.epochs)
    method = SwAV(opened.encoder, opened.head(2048, 128, last_bias=True), queue_start=start, **options)
    views = opened.views(solo_views, jitter=(0.8, 0.8, 0.8, 0.2), blur=0.5, solarize=(0.0, 0.0))
    return opened.recipe(training, method, views, frozen_prototypes(training.clipped_lars, training, epochs=2))


@recipe(SwAV, prototypes=3000, temperature=0.1)
def imagenet(
    images: Images = IMAGENET,
    training: Training = Training(200, 4096, 0.3, 1e-6),
    crops: Crops = Crops(),
    **options: Any,
) -> Recipe:
    """The authors' ImageNet command of 200 epochs: 2 x 224 and 6 x 96, prototypes frozen in epoch 1. Published: 73.9 % linear.

    Values of scripts/swav_200ep_pretrain.sh, main_swav.py and src/multicropdataset.py of facebookresearch/swav; their 313
    steps of frozen prototypes are one epoch of batches of 4,096.

    Args:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size; the warm-up starts at a sixteenth of the
        peak and the cosine ends at a thousandth: 0.3, 4.8 and 0.0048 at a batch of 4,096
        (scripts/swav_200ep_pretrain.sh of facebookresearch/swav).
      weight_decay: decay of all parameters, biases and norms included.
    """
    opened = images.open()
    method = SwAV(opened.encoder, opened.head(2048, 128, last_bias=True), **options)
    optimizer = training.optimizer(larc, start=training.peak / 16, end=training.peak / 1000)
    frozen = frozen_prototypes(optimizer, training)
    return opened.recipe(training, method, crops.swav(opened, scale=(0.14, 1.0)), frozen)


@recipe(SwAV, prototypes=16_000, temperature=0.1, iterations=10)
def seer(
    images: Images = SEER_IMAGES, training: Training = SEER_RUN, crops: Crops = Crops(96, 4), **options: Any
) -> Recipe:
    """SEER: one pass over a billion random images, RegNetY-256GF, on 512 GPUs. Published: 77.5 % linear on ImageNet.

    Their images are not public: give a folder or a tfds name as `data`, and as many epochs as show a billion images, 780 of
    ImageNet's, with 51 of warm-up. Prototypes are frozen in the first 313 of 122,070 steps.

    Values of projects/SEER/MODEL_DOCUMENTATION.md, configs/config/pretrain/swav/swav_8node_resnet.yaml,
    heads/d10444_d8192_d8192_d256_proto16k.yaml, models/regnet256Gf_1.yaml and transforms/multicrop_2x224_4x96.yaml of
    facebookresearch/vissl; Sinkhorn's iterations, the warm-up and the batch are in the name of the published checkpoint.

    Source: Goyal et al. 2021, https://arxiv.org/abs/2103.01988.

    Args:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size: 9.6 at 8,192; the warm-up starts at 0.3,
        and the cosine ends at a thousandth of the peak.
      weight_decay: decay of all parameters, biases and norms included.
      warmup_epochs: epochs of linear warm-up, 8,000 of 122,070 steps; raise it in proportion to epochs.
      iterations: iterations of Sinkhorn-Knopp.
    """
    opened = images.open()
    method = SwAV(opened.encoder, opened.head(8192, 8192, 256, norm=False, last_bias=True), **options)
    optimizer = training.optimizer(larc, start=training.learning_rate, end=training.peak / 1000)
    frozen = frozen_prototypes(optimizer, training, epochs=training.epochs * 313 / SEER_STEPS)
    return opened.recipe(training, method, crops.swav(opened, scale=(0.14, 1.0)), frozen)
