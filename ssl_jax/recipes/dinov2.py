"""DINOv2: our demo on a small ViT with registers, and the authors' short run on ImageNet."""

import math
from dataclasses import replace
from typing import Any

from ssl_jax.augment.masked_crops import masked_crops
from ssl_jax.composition import (
    IMAGENET,
    VIT_ALBUM,
    VIT_PHOTOS,
    Crops,
    Images,
    Laptop,
    Recipe,
    Training,
    on_photos,
    recipe,
)
from ssl_jax.composition.training import frozen_prototypes
from ssl_jax.methods.dinov2 import DINOv2
from ssl_jax.optimizers import Optimizer, adamw, cosine, with_clipping, with_layer_decay
from ssl_jax.recipes.dino import make_head
from ssl_jax.recipes.ibot import MICRO, open_tokens

LARGE = replace(IMAGENET, encoder="vit_large/16")


@recipe(DINOv2, momentum=0.97, koleo_weight=0.01)
def demo(
    images: Images = MICRO, training: Laptop = Laptop(60, 256, 2e-3, 1e-2), crops: Crops = Crops(14, 2), *,
    prototypes: int = 256, registers: int = 2, **options: Any,
) -> Recipe:  # fmt: skip
    """Minutes on a laptop, AdamW, patches of 7 pixels, two large and two small crops, two heads, Sinkhorn's targets.

    Args:
      prototypes: outputs of each head.
    """
    opened = open_tokens(images, method="dinov2", registers=registers)
    head, patch_head = (make_head(opened, 256, 64, prototypes=prototypes, norm=True) for _ in range(2))
    options |= {"patch_head": patch_head, "teacher_temperature": 0.02, "warmup_temperature": 0.02}
    method = DINOv2(opened.encoder, head, training.steps(opened.data), **options)
    return opened.recipe(training, method, masked_crops(crops.like(opened), grid=opened.grid), training.adamw)


photos = on_photos(demo, images=VIT_PHOTOS, training=VIT_ALBUM, crops=Crops(48, 2))


@recipe(DINOv2, momentum=0.992, koleo_weight=0.1)
def imagenet(
    images: Images = LARGE, training: Training = Training(200, 2048, 4e-3, 0.04, warmup_epochs=20),
    crops: Crops = Crops(96, 8), *, clip: float = 3.0, drop_path: float = 0.3, prototypes: int = 65536,
    registers: int = 0, **options: Any,
) -> Recipe:  # fmt: skip
    """The authors' short run of a ViT-L/16, 2 x 224 and 8 x 96: one head, centring. 82.9 % linear, 81.6 % k-NN there.

    configs/train/vitl16_short.yaml of facebookresearch/dinov2 and the defaults of configs/ssl_default_config.yaml, on 32 GPUs
    of 64 images (README.md, "Fast setup"). Its epochs are of 1,250 steps, which are two passes over the images, the epochs
    here. The blur of its first view never happens and that of the second in 9 of 10 (GaussianBlur in data/transforms.py), and
    so it is here. Two heads, Sinkhorn's targets and registers are of its longer runs on other images.

    Args:
      learning_rate: peak for 1,024 images a step, scaled with the root of the batch.
      weight_decay: initial weight decay, on weights only; it rises to 0.4 along a cosine.
      clip: largest norm of the gradient of each network.
    """
    vit = {"registers": registers, "drop_path": drop_path, "layer_scale": 1e-5, "position_offset": 0.1}
    opened = open_tokens(images, method="dinov2", **vit)
    head, steps = make_head(opened, 2048, 2048, 256, prototypes=prototypes), training.steps(opened.data)
    options |= {"sinkhorn": False, "teacher_temperature": 0.07, "warmup": round(steps * 60 / training.epochs)}
    method = DINOv2(opened.encoder, head, steps, **options)
    large_and_small = crops.dino(opened, large=(0.32, 1.0), small=(0.05, 0.32), blur=(0.0, 0.9))
    peak = training.learning_rate * math.sqrt(training.batch_size / 1024)

    def optimizer(steps: int) -> Optimizer:
        schedule, decay = training.schedule(steps, peak=peak, end=1e-6), cosine(training.weight_decay, 0.4, steps=steps)
        whole = adamw(schedule, weight_decay=decay)
        slower = with_layer_decay(whole, network="encoder", decay=0.9, patches=0.2)
        return with_clipping(slower, limit=clip, together=True)

    views = masked_crops(large_and_small, grid=opened.grid)
    return opened.recipe(training, method, views, frozen_prototypes(optimizer, training, epochs=2))
