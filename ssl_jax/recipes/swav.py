"""SwAV: our demo, solo-learn's CIFAR-10, the authors' ImageNet runs, and SEER's on a billion images."""

from dataclasses import replace
from typing import Any

from ssl_jax.methods.swav import SwAV
from ssl_jax.optimizers import larc
from ssl_jax.recipes.images import CIFAR, DIGITS, EMOJI, IMAGENET, Images, Opened
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import EMOJI_RUN, Laptop, SoloLearn, Training, frozen_prototypes
from ssl_jax.recipes.views import demo_crops, demo_views, emoji_views, solo_views, swav_crops

SEER_IMAGES, SEER_STEPS = replace(IMAGENET, encoder="regnety_256gf"), 10**9 / 8192  # Steps of one pass over a billion.


@recipe
def demo(
    images: Images = DIGITS,
    training: Laptop = Laptop(),
    *,
    prototypes: int = 64,
    temperature: float = 0.1,
    epsilon: float = 0.03,
    small_size: int = 20,
    small_views: int = 2,
) -> Recipe:
    """Minutes on a laptop, AdamW, two large and two small crops.

    Args:
      epsilon: entropy regularisation of Sinkhorn-Knopp; at 0.05 two of three seeds stay at the uniform solution.
    """
    options = {"prototypes": prototypes, "temperature": temperature, "epsilon": epsilon}
    views = {"view": demo_views, "small_size": small_size, "small_views": small_views}
    return _small(images.open(), training, views, **options)


@recipe
def emoji(
    images: Images = EMOJI,
    training: Laptop = EMOJI_RUN,
    *,
    prototypes: int = 256,
    temperature: float = 0.1,
    epsilon: float = 0.03,
    small_size: int = 16,
    small_views: int = 2,
) -> Recipe:
    """Minutes on a laptop, AdamW, two large and two small crops, on emoji, which `ssl-jax data prepare emoji` prepares.

    Args:
      epsilon: entropy regularisation of Sinkhorn-Knopp.
    """
    options = {"prototypes": prototypes, "temperature": temperature, "epsilon": epsilon}
    views = {"view": emoji_views, "small_size": small_size, "small_views": small_views}
    return _small(images.open(), training, views, **options)


@recipe
def cifar(
    images: Images = CIFAR,
    training: SoloLearn = SoloLearn(1000, 256, 0.6, 1e-6),
    *,
    prototypes: int = 3000,
    temperature: float = 0.1,
    queue_length: int = 3840,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe: two crops, queue from epoch 50, prototypes frozen for 2 epochs. Published: 89.17 % linear.

    Values of scripts/pretrain/cifar/swav.yaml and augmentations/symmetric.yaml of vturrisi/solo-learn.

    Args:
      queue_length: number of embeddings of former batches in the assignment; a multiple of the batch size.
    """
    opened = images.open()
    head = opened.head(2048, 128, last_bias=True)
    method = SwAV(
        opened.encoder,
        head,
        prototypes=prototypes,
        temperature=temperature,
        queue_length=queue_length,
        queue_start=round(training.steps(opened.data) * 50 / training.epochs),
    )
    views = opened.views(solo_views, jitter=(0.8, 0.8, 0.8, 0.2), blur=0.5, solarize=(0.0, 0.0))
    return opened.recipe(training, method, views, frozen_prototypes(training.clipped_lars, training, epochs=2))


@recipe
def imagenet(
    images: Images = IMAGENET,
    training: Training = Training(200, 4096, 0.3, 1e-6),
    *,
    prototypes: int = 3000,
    temperature: float = 0.1,
    small_size: int = 96,
    small_views: int = 6,
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
    head = opened.head(2048, 128, last_bias=True)
    method = SwAV(opened.encoder, head, prototypes=prototypes, temperature=temperature)
    views = swav_crops(opened, scale=(0.14, 1.0), small_size=small_size, small_views=small_views)
    optimizer = training.optimizer(larc, start=training.peak / 16, end=training.peak / 1000)
    return opened.recipe(training, method, views, frozen_prototypes(optimizer, training))


@recipe
def seer(
    images: Images = SEER_IMAGES,
    training: Training = Training(1, 8192, 0.3, 1e-5, warmup_epochs=8000 / SEER_STEPS),
    *,
    prototypes: int = 16_000,
    temperature: float = 0.1,
    iterations: int = 10,
    small_size: int = 96,
    small_views: int = 4,
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
    head = opened.head(8192, 8192, 256, norm=False, last_bias=True)
    method = SwAV(opened.encoder, head, prototypes=prototypes, temperature=temperature, iterations=iterations)
    views = swav_crops(opened, scale=(0.14, 1.0), small_size=small_size, small_views=small_views)
    optimizer = training.optimizer(larc, start=training.learning_rate, end=training.peak / 1000)
    frozen = frozen_prototypes(optimizer, training, epochs=training.epochs * 313 / SEER_STEPS)
    return opened.recipe(training, method, views, frozen)


def _small(opened: Opened, training: Laptop, views: dict[str, Any], **options: Any) -> Recipe:
    """The common part of the recipes for minutes on a laptop; views: arguments of `demo_crops`."""
    method = SwAV(opened.encoder, opened.head(256, 64), **options)
    return opened.recipe(training, method, demo_crops(opened, **views), training.adamw)
