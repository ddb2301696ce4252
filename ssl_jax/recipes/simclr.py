"""SimCLR: our demo, the paper's CIFAR-10 appendix, the paper's ImageNet runs, and those of its second version."""

from typing import Literal

from ssl_jax.augment.views import simclr_views
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import lars, scaled_cosine, warmup_cosine
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
    weight_decay: float = 1e-4,
    head_layers: int = 3,
    temperature: float = 0.5,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' CIFAR-10 command: jitter of strength 0.5, no blur, LARS. About 91 % linear there with a ResNet-18.

    README.md, run.py and data_util.py of google-research/simclr. The paper (Chen et al. 2020, appendix B.9) has a ResNet-50,
    a head of two layers and a weight decay of 1e-6, and reaches 94.0 % with its best learning rate and temperature.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      head_layers: of the projection head, the last with 128 outputs.
    """
    here = scale(
        data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict,
        statistics=CIFAR_STATISTICS,
    )  # fmt: skip
    width = here.encoder.width
    head = projection_head(inputs=width, widths=(*(width,) * (head_layers - 1), 128), last_norm=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SimCLR(here.encoder, head, temperature=temperature, scale=2.0),
        augment=simclr_views(
            size=image_size, strength=0.5, blur=False, resampling="cubic", antialias=False, mean=here.mean, std=here.std
        ),
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
    weight_decay: float = 1e-4,
    warmup_epochs: float = 10,
    head_layers: int = 3,
    temperature: float = 0.1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet command of 100 epochs: LARS, large batches, strong jitter, blur. About 64.5 % linear there.

    README.md and run.py of google-research/simclr. The paper (Chen et al. 2020, sections 2 and 6) has a head of two layers
    and a weight decay of 1e-6; its 69.3 % are those of 1000 epochs.

    Args:
      learning_rate: peak for 256 images a step with linear scaling; with sqrt, 0.075 * sqrt(batch_size) is usual.
      scaling: linear, learning_rate * batch_size / 256; or sqrt, learning_rate * sqrt(batch_size).
      warmup_epochs: passes in which the rate rises.
      head_layers: of the projection head, the last with 128 outputs.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    width, peak = here.encoder.width, learning_rate * (batch_size / 256 if scaling == "linear" else batch_size**0.5)
    widths = (*(width,) * (head_layers - 1), 128)
    head = projection_head(inputs=width, widths=widths, last_norm=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SimCLR(here.encoder, head, temperature=temperature, scale=2.0),
        augment=simclr_views(size=image_size, resampling="cubic", antialias=False, mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: lars(
            warmup_cosine(peak, steps=steps, warmup=round(steps * warmup_epochs / epochs)), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def imagenet_v2(
    *,
    data: str = "imagenet2012",
    image_size: int = 224,
    stored_size: int = 256,
    encoder: str = "resnet50",
    epochs: float = 800,
    batch_size: int = 4096,
    learning_rate: float = 0.1,
    weight_decay: float = 1e-4,
    warmup_epochs: float = 40,
    head_layers: int = 3,
    temperature: float = 0.1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """SimCLR v2: a head of three layers, more epochs, more decay. 71.7 % linear there with ResNet-50.

    Args:
      learning_rate: the peak is this times the square root of the batch, 6.4 at 4096.
      warmup_epochs: passes in which the rate rises; a twentieth of all there.
      head_layers: of the projection head, the last with 128 outputs.

    Source: Chen et al. 2020, https://arxiv.org/abs/2006.10029, section 3.
    """
    return imagenet(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, epochs=epochs,
        batch_size=batch_size, learning_rate=learning_rate, scaling="sqrt", weight_decay=weight_decay,
        warmup_epochs=warmup_epochs, head_layers=head_layers, temperature=temperature, precision=precision, strict=strict,
    )  # fmt: skip
