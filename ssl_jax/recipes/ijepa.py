"""I-JEPA: our demo on a small ViT, and the authors' ImageNet run."""

from dataclasses import replace
from typing import Any

from ssl_jax.augment.masking import block_masking
from ssl_jax.composition import DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, Training, recipe
from ssl_jax.composition.training import Run
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.ijepa import IJEPA
from ssl_jax.networks.masked_decoder import masked_decoder
from ssl_jax.optimizers import Optimizer, adamw, cosine

MICRO, BASE = replace(DIGITS, encoder="vit_micro/7"), replace(IMAGENET, encoder="vit_base/16")
LONG = Training(600, 2048, 1e-3, 0.04, warmup_epochs=40)


def make_method(opened: Opened, training: Run, *, momentum: float, **sizes: int) -> IJEPA:
    """A predictor with these sizes: dim, depth and heads of `masked_decoder`."""
    width, steps = opened.encoder.width, training.steps(opened.data)
    predictor = masked_decoder(inputs=width, outputs=width, grid=opened.grid, dtype=opened.dtype, **sizes)
    return IJEPA(encoder=opened.encoder, predictor=predictor, steps=steps, momentum=momentum)


@recipe(IJEPA, momentum=0.97)
def demo(
    images: Images = MICRO, training: Laptop = Laptop(96, 256, 2e-3, 1e-2), *, blocks: int = 4, **options: Any
) -> Recipe:
    """Minutes on a laptop, AdamW, patches of 7 pixels, 2 in 5 of them visible, a predictor of two blocks.

    Args:
      momentum: initial momentum of the target encoder's moving average; it rises to 1 linearly.
    """
    opened = images.open_patches(method="ijepa", positions="learned")
    method = make_method(opened, training, dim=64, depth=2, heads=4, **options)
    view = opened.views(views=1, scale=(0.8, 1.0))
    views = block_masking(view, grid=opened.grid, blocks=blocks, block=(0.15, 0.25), seen=0.4)
    return opened.recipe(training, method, views, training.adamw)


@recipe(IJEPA, momentum=0.996)
def imagenet(images: Images = BASE, training: Training = LONG, *, blocks: int = 4, **options: Any) -> Recipe:
    """The authors' settings, with a ViT-B/16: crops only, four targets, a predictor of 6 layers. Published: 72.9 % linear.

    The accuracy, the 600 epochs and the predictor's depth are those of the paper (Assran et al. 2023, table 1 and appendix A);
    all else is configs/in1k_vith14_ep300.yaml of facebookresearch/ijepa, which is a ViT-H/14's.

    Args:
      learning_rate: peak at any batch size; the warm-up starts at a fifth of it.
      weight_decay: initial weight decay, on weights only; it rises to 0.4 along a cosine.
      momentum: initial momentum of the target encoder's moving average; it rises to 1 linearly.
    """
    opened = images.open_patches(method="ijepa")
    method = make_method(opened, training, dim=384, depth=6, heads=12, **options)
    views = block_masking(opened.views(crop_views, scale=(0.3, 1.0), flip=False), grid=opened.grid, blocks=blocks)
    peak = training.learning_rate

    def optimizer(steps: int) -> Optimizer:
        schedule = training.schedule(steps, peak=peak, start=peak / 5, end=1e-6)
        return adamw(schedule, weight_decay=cosine(training.weight_decay, 0.4, steps=steps))

    return opened.recipe(training, method, views, optimizer)
