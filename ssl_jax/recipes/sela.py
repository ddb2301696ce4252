"""SeLa: our demo, and the runs to which SwAV was compared."""

from math import ceil

from ssl_jax.augment.views import multi_crop, photo_views
from ssl_jax.methods.sela import SeLa
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import larc, scaled_cosine
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
    clusters: int = 64,
    heads: int = 3,
    temperature: float = 0.1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, labels anew in each epoch.

    Args:
      clusters: labels of each head.
      heads: labellings at a time, of different views.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), dtype=here.dtype)
    examples = len(here.data.train)
    return Recipe(
        data=here.data,
        method=SeLa(
            here.encoder,
            head,
            examples=examples,
            every=ceil(examples / batch_size),
            clusters=clusters,
            heads=heads,
            temperature=temperature,
        ),
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
    encoder: str = "resnet50",
    epochs: float = 400,
    batch_size: int = 4096,
    learning_rate: float = 0.3,
    weight_decay: float = 1e-6,
    clusters: int = 3000,
    heads: int = 3,
    temperature: float = 0.1,
    large_size: int = 160,
    small_size: int = 96,
    small_views: int = 4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """SeLa-v2, as SwAV's authors ran it: their crops, head and schedule. 71.8 % linear after 400 epochs there.

    The authors published the weights, but neither a script nor code: crops are those of README.md of facebookresearch/swav,
    the schedule and the optimizer those of its scripts/deepclusterv2_400ep_pretrain.sh.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch; the warm-up starts at a sixteenth of the
        peak and the cosine ends at a thousandth.
      clusters: labels of each head.
      heads: labellings at a time, of different views.
      large_size: side of the large crops.
      small_size: side of the small crops.
      small_views: small crops of an image.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(inputs=here.encoder.width, widths=(2048, 128), last_bias=True, dtype=here.dtype)
    examples = len(here.data.train)
    peak = learning_rate * batch_size / 256
    return Recipe(
        data=here.data,
        method=SeLa(
            here.encoder,
            head,
            examples=examples,
            every=ceil(examples / batch_size),
            clusters=clusters,
            heads=heads,
            temperature=temperature,
        ),
        augment=multi_crop(
            photo_views(size=large_size, scale=(0.08, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), mean=here.mean, std=here.std),
            photo_views(
                size=small_size, scale=(0.05, 0.14), jitter=(0.8, 0.8, 0.8, 0.2), views=small_views, blur_kernel="pillow",
                mean=here.mean, std=here.std,
            ),
        ),
        prepare=here.prepare,
        optimizer=lambda steps: larc(
            scaled_cosine(
                learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, start=peak / 16, end=peak / 1000
            ),
            weight_decay=weight_decay,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )  # fmt: skip
