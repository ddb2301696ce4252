"""MAE: our demo on a small ViT, and the authors' ImageNet run."""

from dataclasses import replace

from ssl_jax.augment.masking import random_masking
from ssl_jax.composition import (
    DIGITS,
    IMAGENET,
    VIT_ALBUM,
    VIT_PHOTOS,
    Images,
    Laptop,
    Opened,
    Recipe,
    Training,
    on_photos,
    recipe,
)
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.mae import MAE
from ssl_jax.networks.masked_decoder import masked_decoder
from ssl_jax.optimizers import adamw

MICRO, BASE = replace(DIGITS, encoder="vit_micro"), replace(IMAGENET, encoder="vit_base/16")
LONG = Training(800, 4096, 1.5e-4, 0.05, warmup_epochs=40)


def make_method(opened: Opened, *, normalize_targets: bool, **sizes: int) -> MAE:
    """A decoder that predicts the pixels of masked patches; sizes: dim, depth and heads of `masked_decoder`."""
    net, side = opened.encoder, opened.patch_size
    pixels = side**2 * opened.channels
    decoder = masked_decoder(inputs=net.width, outputs=pixels, grid=opened.grid, dtype=opened.dtype, **sizes)
    return MAE(encoder=net, decoder=decoder, patch_size=side, normalize_targets=normalize_targets)


@recipe
def demo(
    images: Images = MICRO, training: Laptop = Laptop(100, 256, 2e-3, 1e-2), *, mask_ratio: float = 0.75
) -> Recipe:
    """Minutes on a laptop, AdamW, patches of 4 pixels, a decoder of two blocks."""
    opened = images.open_patches(method="mae")
    method = make_method(opened, dim=64, depth=2, heads=4, normalize_targets=False)
    views = random_masking(opened.views(views=1), grid=opened.grid, ratio=mask_ratio)
    return opened.recipe(training, method, views, training.adamw)


photos = on_photos(demo, images=VIT_PHOTOS, training=VIT_ALBUM)


@recipe
def imagenet(images: Images = BASE, training: Training = LONG, *, mask_ratio: float = 0.75) -> Recipe:
    """The authors' run with a ViT-B/16: crops and flips only, a decoder of 8 blocks.

    PRETRAIN.md, main_pretrain.py and models_mae.py of facebookresearch/mae: the ViT-L's command, which states 85.5 %
    fine-tuned, with the ViT-B's name. The 83.6 % of the ViT-B in README.md are those of the paper's 1600 epochs.
    """
    opened = images.open_patches(method="mae", pool="token")
    method = make_method(opened, dim=512, depth=8, heads=16, normalize_targets=True)
    view = opened.views(crop_views, scale=(0.2, 1.0), resampling="cubic")
    views = random_masking(view, grid=opened.grid, ratio=mask_ratio)
    return opened.recipe(training, method, views, training.optimizer(adamw, second_decay=0.95))
