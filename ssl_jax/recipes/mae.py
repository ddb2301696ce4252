"""MAE: our demo on a small ViT, and the authors' ImageNet run."""

from ssl_jax.augment.masking import random_masking
from ssl_jax.augment.views import photo_views
from ssl_jax.methods.mae import MAE
from ssl_jax.networks.predictor import predictor
from ssl_jax.optimizers import adamw, scaled_cosine
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, demo_optimizer, demo_views, patch_side, patches_only, scale


@recipe
def demo(
    *,
    data: str = "digits",
    image_size: int = 28,
    encoder: str = "vit_micro",
    epochs: float = 100,
    batch_size: int = 256,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-2,
    mask_ratio: float = 0.75,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, patches of 4 pixels, a decoder of two blocks.

    Args:
      encoder: a ViT, see `ssl-jax list`.
      mask_ratio: part of the patches that is hidden.
    """
    network = patches_only(encoder, method="mae")
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict, network=network)
    patch_size = patch_side(encoder, image_size)
    grid, channels = image_size // patch_size, len(here.mean)
    decoder = predictor(
        inputs=here.encoder.width,
        outputs=patch_size**2 * channels,
        grid=grid,
        dim=64,
        depth=2,
        heads=4,
        dtype=here.dtype,
    )
    return Recipe(
        data=here.data,
        method=MAE(encoder=here.encoder, decoder=decoder, patch_size=patch_size, normalize_targets=False),
        augment=random_masking(demo_views(here, image_size=image_size, views=1), grid=grid, ratio=mask_ratio),
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
    epochs: float = 800,
    batch_size: int = 4096,
    learning_rate: float = 1.5e-4,
    weight_decay: float = 0.05,
    mask_ratio: float = 0.75,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' run with a ViT-B/16: crops and flips only, a decoder of 8 blocks.

    PRETRAIN.md, main_pretrain.py and models_mae.py of facebookresearch/mae: the ViT-L's command, which states 85.5 %
    fine-tuned, with the ViT-B's name. The 83.6 % of the ViT-B in README.md are those of the paper's 1600 epochs.

    Args:
      encoder: a ViT, see `ssl-jax list`.
      epochs: passes over the training images; warm-up takes 40 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      mask_ratio: part of the patches that is hidden.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict,
        network=patches_only(encoder, method="mae", pool="token"),
    )  # fmt: skip
    patch_size = patch_side(encoder, image_size)
    grid, channels = image_size // patch_size, len(here.mean)
    decoder = predictor(
        inputs=here.encoder.width, outputs=patch_size**2 * channels, grid=grid, dim=512, depth=8, heads=16,
        dtype=here.dtype,
    )  # fmt: skip
    view = photo_views(
        size=image_size, scale=(0.2, 1.0), jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0, blur=0.0, views=1, resampling="cubic",
        mean=here.mean, std=here.std,
    )  # fmt: skip
    return Recipe(
        data=here.data,
        method=MAE(encoder=here.encoder, decoder=decoder, patch_size=patch_size),
        augment=random_masking(view, grid=grid, ratio=mask_ratio),
        prepare=here.prepare,
        optimizer=lambda steps: adamw(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, warmup_epochs=40),
            weight_decay=weight_decay,
            second_decay=0.95,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
