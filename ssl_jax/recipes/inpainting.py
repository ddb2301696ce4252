"""Inpainting: our demo, and the paper's task on ImageNet."""

from ssl_jax.augment.masking import with_a_hole
from ssl_jax.augment.views import photo_views
from ssl_jax.methods.inpainting import Inpainting
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import adam
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
    hole: int = 10,
    holes: int = 4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, holes anywhere, half of the image together; the whole image is told, the holes count.

    Args:
      hole: side of a square that is to be told, in pixels.
      holes: how many, anywhere; they may overlap.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    pixels = image_size**2 * len(here.mean)
    head = projection_head(inputs=here.encoder.width, widths=(512, pixels), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=Inpainting(here.encoder, head),
        augment=with_a_hole(demo_views(here, image_size=image_size, views=1), hole=hole, anywhere=holes),
        prepare=here.prepare,
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def imagenet(
    *,
    data: str = "imagenet2012",
    image_size: int = 128,
    stored_size: int = 146,
    encoder: str = "resnet50",
    epochs: float = 100,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    weight_decay: float = 0.0,
    hole: int = 64,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The paper's task and optimizer: the middle 64 x 64 of 128 x 128 pixels, Adam with beta 0.5 and a constant rate.

    Without the adversarial loss, which theirs weighs by 0.001. The encoder, the number of epochs and the crops are ours, of
    0.3 to 1 of the image; theirs are 128 pixels of images whose shorter side has 350. The squared error counts alike in the
    whole hole, where theirs counts ten times within 4 pixels of its rim. Source: train.lua and README.md of
    pathak22/context-encoder.

    Args:
      learning_rate: from the first step to the last: ten times that of the discriminator, 2e-4.
      hole: side of the square in the middle that is to be told, in pixels.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    pixels = hole**2 * len(here.mean)
    head = projection_head(inputs=here.encoder.width, widths=(4000, pixels), last_bias=True, dtype=here.dtype)
    view = photo_views(
        size=image_size, scale=(0.3, 1.0), jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0, blur=0.0, views=1,
        mean=here.mean, std=here.std,
    )  # fmt: skip
    return Recipe(
        data=here.data,
        method=Inpainting(here.encoder, head),
        augment=with_a_hole(view, hole=hole),
        prepare=here.prepare,
        optimizer=lambda steps: adam(lambda step: learning_rate, weight_decay=weight_decay, first_decay=0.5),
        batch_size=batch_size,
        epochs=epochs,
    )
