"""I-JEPA: our demo on a small ViT, and the authors' ImageNet run."""

from ssl_jax.augment.masking import block_masking
from ssl_jax.augment.views import photo_views
from ssl_jax.methods.ijepa import IJEPA
from ssl_jax.networks.predictor import predictor
from ssl_jax.optimizers import adamw, cosine, warmup_cosine
from ssl_jax.recipes.recipe import Recipe, count_steps, recipe
from ssl_jax.recipes.scales import Precision, demo_optimizer, demo_views, patch_side, patches_only, scale


@recipe
def demo(
    *,
    data: str = "digits",
    image_size: int = 28,
    encoder: str = "vit_micro/7",
    epochs: float = 96,
    batch_size: int = 256,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-2,
    momentum: float = 0.97,
    blocks: int = 4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, patches of 7 pixels, of which 2 in 5 are seen, a predictor of two blocks.

    Args:
      encoder: a ViT, see `ssl-jax list`.
      momentum: of the target encoder at first; it rises to 1 linearly.
      blocks: of patches, to be predicted.
    """
    network = patches_only(encoder, method="ijepa") | {"positions": "learned"}
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict, network=network)
    grid, width = image_size // patch_side(encoder, image_size), here.encoder.width
    view = demo_views(here, image_size=image_size, views=1, part=(0.8, 1.0))
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=IJEPA(
            encoder=here.encoder,
            predictor=predictor(inputs=width, outputs=width, grid=grid, dim=64, depth=2, heads=4, dtype=here.dtype),
            steps=steps,
            momentum=momentum,
        ),
        augment=block_masking(view, grid=grid, blocks=blocks, block=(0.15, 0.25), seen=0.4),
        prepare=here.prepare,
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def imagenet(
    *,
    data: str = "imagenet2012",
    image_size: int = 224,
    stored_size: int = 256,
    encoder: str = "vit_base/16",
    epochs: float = 600,
    batch_size: int = 2048,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.04,
    momentum: float = 0.996,
    blocks: int = 4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' settings, with a ViT-B/16: crops only, four blocks, a predictor of 6 blocks. 72.9 % linear there.

    The figure, its 600 epochs and the predictor's depth are those of the paper (Assran et al. 2023, table 1 and appendix A);
    all else is configs/in1k_vith14_ep300.yaml of facebookresearch/ijepa, which is a ViT-H/14's.

    Args:
      encoder: a ViT, see `ssl-jax list`.
      epochs: passes over the training images; warm-up takes 40 of them.
      learning_rate: peak; the warm-up starts at a fifth of it.
      weight_decay: at first, on weights; it rises to 0.4 by a cosine.
      momentum: of the target encoder at first; it rises to 1 linearly.
      blocks: of patches, to be predicted.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict,
        network=patches_only(encoder, method="ijepa"),
    )  # fmt: skip
    grid, width = image_size // patch_side(encoder, image_size), here.encoder.width
    view = photo_views(
        size=image_size, scale=(0.3, 1.0), jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0, blur=0.0, flip=False, views=1,
        mean=here.mean, std=here.std,
    )  # fmt: skip
    return Recipe(
        data=here.data,
        method=IJEPA(
            encoder=here.encoder,
            predictor=predictor(inputs=width, outputs=width, grid=grid, dim=384, depth=6, heads=12, dtype=here.dtype),
            steps=count_steps(here.data, epochs=epochs, batch_size=batch_size),
            momentum=momentum,
        ),
        augment=block_masking(view, grid=grid, blocks=blocks),
        prepare=here.prepare,
        optimizer=lambda steps: adamw(
            warmup_cosine(
                learning_rate, steps=steps, warmup=round(steps * 40 / epochs), start=learning_rate / 5, end=1e-6
            ),
            weight_decay=cosine(weight_decay, 0.4, steps=steps),
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
