"""LeJEPA: our demo, and the paper's ImageNet setting."""

from ssl_jax.augment.views import multi_crop, photo_views
from ssl_jax.methods.lejepa import LeJEPA
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import adamw, warmup_cosine
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, demo_optimizer, demo_views, scale


@recipe
def demo(
    *,
    data: str = "digits",
    image_size: int = 28,
    encoder: str = "small",
    epochs: float = 50,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    weight: float = 0.05,
    directions: int = 256,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW.

    Args:
      weight: of the Gaussian's term against the prediction's.
      directions: in which the embeddings' distribution is compared with the Gaussian's.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=LeJEPA(here.encoder, head, weight=weight, directions=directions),
        augment=demo_views(here, image_size=image_size),
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
    epochs: float = 100,
    batch_size: int = 512,
    learning_rate: float = 5e-4,
    weight_decay: float = 5e-2,
    weight: float = 0.05,
    directions: int = 1024,
    small_size: int = 96,
    small_views: int = 6,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' settings for ViTs: 2 x 224 and 6 x 98 pixels, AdamW, one weight. No figure is stated for this ViT.

    "GOTO hyperparameters" in README.md of rbalestr-lab/lejepa. Small crops have 96 pixels, since patches of 16 do not divide
    98. The batch, the epochs of the warm-up and the head are not stated there: the head is MINIMAL.md's but for its width.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      weight: of the Gaussian's term against the prediction's.
      directions: in which the embeddings' distribution is compared with the Gaussian's.
      small_size: side of the small crops.
      small_views: small crops of an image.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(inputs=here.encoder.width, widths=(2048, 2048, 64), last_bias=True, dtype=here.dtype)
    jitter = (0.4, 0.4, 0.2, 0.1)
    return Recipe(
        data=here.data,
        method=LeJEPA(here.encoder, head, weight=weight, directions=directions),
        augment=multi_crop(
            photo_views(size=image_size, scale=(0.3, 1.0), jitter=jitter, solarize=0.2, mean=here.mean, std=here.std),
            photo_views(
                size=small_size,
                scale=(0.05, 0.3),
                jitter=jitter,
                solarize=0.2,
                views=small_views,
                mean=here.mean,
                std=here.std,
            ),
        ),
        prepare=here.prepare,
        optimizer=lambda steps: adamw(
            warmup_cosine(learning_rate, steps=steps, warmup=round(steps * 10 / epochs), end=learning_rate / 1000),
            weight_decay=weight_decay,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
