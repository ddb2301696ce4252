"""DCL: our demo, and the paper's scales."""

from ssl_jax.augment.views import simclr_views
from ssl_jax.methods.dcl import DCL
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import scaled_cosine, sgd
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
    """SimCLR's demo with the decoupled loss."""
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=DCL(here.encoder, head, temperature=temperature),
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
    epochs: float = 200,
    batch_size: int = 256,
    learning_rate: float = 0.03,
    weight_decay: float = 1e-4,
    temperature: float = 0.07,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The paper's CIFAR-10 runs (Yeh et al. 2021, section 4): SGD, batch 256, temperature 0.07, head of width 128.

    Args:
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
    """
    here = scale(
        data=data,
        image_size=image_size,
        encoder=encoder,
        statistics=CIFAR_STATISTICS,
        precision=precision,
        strict=strict,
    )
    head = projection_head(inputs=here.encoder.width, widths=(here.encoder.width, 128), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=DCL(here.encoder, head, temperature=temperature),
        augment=simclr_views(size=image_size, strength=0.5, blur=False, mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, warmup_epochs=0),
            weight_decay=weight_decay,
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
    epochs: float = 200,
    batch_size: int = 256,
    learning_rate: float = 0.03,
    weight_decay: float = 1e-4,
    temperature: float = 0.1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The paper's ImageNet runs (Yeh et al. 2021, section 4): SGD, batch 256, 200 epochs.

    Args:
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(inputs=here.encoder.width, widths=(here.encoder.width, 128), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=DCL(here.encoder, head, temperature=temperature),
        augment=simclr_views(size=image_size, mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, warmup_epochs=0),
            weight_decay=weight_decay,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
