"""SimCLR at three scales: our demo, the paper's CIFAR-10 appendix, and the paper's ImageNet runs."""

from typing import Literal

from ssl_jax.augment.views import simclr_views
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import projection_head
from ssl_jax.recipes.optimizers import lars, scaled_cosine, warmup_cosine
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import CIFAR_STATISTICS, Precision, demo_optimizer, demo_views, scale


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
    temperature: float = 0.2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop: small grey images, turned, sheared and zoomed rather than recoloured; AdamW."""
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SimCLR(here.encoder, head, temperature=temperature),
        augment=demo_views(here, image_size=image_size),
        prepare=here.prepare,
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def cifar(
    *,
    data: str = "cifar10",
    image_size: int = 32,
    encoder: str = "resnet18",
    epochs: float = 1000,
    batch_size: int = 512,
    learning_rate: float = 1.0,
    weight_decay: float = 1e-6,
    temperature: float = 0.5,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' CIFAR-10 command: jitter of strength 0.5, no blur, LARS. About 91 % linear there (google-research/simclr).

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
    """
    here = scale(
        data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict,
        statistics=CIFAR_STATISTICS,
    )  # fmt: skip
    width = here.encoder.width
    head = projection_head(inputs=width, widths=(width, 128), last_norm=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SimCLR(here.encoder, head, temperature=temperature),
        augment=simclr_views(size=image_size, strength=0.5, blur=False, mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: lars(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps), weight_decay=weight_decay
        ),
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
    epochs: float = 100,
    batch_size: int = 4096,
    learning_rate: float = 0.3,
    scaling: Literal["linear", "sqrt"] = "linear",
    weight_decay: float = 1e-6,
    temperature: float = 0.1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet command: LARS, large batches, strong jitter, blur. About 64.5 % linear there.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step with linear scaling; with sqrt, 0.075 * sqrt(batch_size) is usual.
      scaling: linear, learning_rate * batch_size / 256; or sqrt, learning_rate * sqrt(batch_size).
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    width, peak = here.encoder.width, learning_rate * (batch_size / 256 if scaling == "linear" else batch_size**0.5)
    head = projection_head(inputs=width, widths=(width, 128), last_norm=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SimCLR(here.encoder, head, temperature=temperature),
        augment=simclr_views(size=image_size, strength=1.0, mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: lars(
            warmup_cosine(peak, steps=steps, warmup=round(steps * 10 / epochs)), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
