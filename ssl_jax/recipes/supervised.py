"""Supervised training: our demo, and the usual CIFAR-10 recipe."""

from ssl_jax.augment.views import photo_views
from ssl_jax.methods.supervised import Supervised
from ssl_jax.networks import linear_head
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
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The labels of all training images, SimCLR's views: an upper bound."""
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = linear_head(inputs=here.encoder.width, outputs=len(here.data.train.classes), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=Supervised(here.encoder, head),
        augment=demo_views(here, image_size=image_size, views=1),
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
    batch_size: int = 128,
    learning_rate: float = 0.2,
    weight_decay: float = 5e-4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """SGD, one cosine, crops of at least 0.2 of the area and flips.

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
    head = linear_head(inputs=here.encoder.width, outputs=len(here.data.train.classes), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=Supervised(here.encoder, head),
        augment=photo_views(
            size=image_size,
            scale=(0.2, 1.0),
            jitter=(0.0, 0.0, 0.0, 0.0),
            grey=0.0,
            blur=0.0,
            views=1,
            mean=here.mean,
            std=here.std,
        ),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, warmup_epochs=0),
            weight_decay=weight_decay,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
