"""Barlow Twins: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs."""

from ssl_jax.augment.views import byol_views
from ssl_jax.methods.barlow_twins import BarlowTwins
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import clipped_lars, lars, scaled_cosine, with_bias_rate
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import CIFAR_STATISTICS, Precision, demo_optimizer, demo_views, scale, solo_views


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
    off_diagonal_weight: float = 5e-3,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW.

    Args:
      off_diagonal_weight: of redundancy against agreement.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 256, 256), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=BarlowTwins(here.encoder, head, off_diagonal_weight=off_diagonal_weight),
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
    batch_size: int = 256,
    learning_rate: float = 0.3,
    weight_decay: float = 1e-4,
    off_diagonal_weight: float = 5.1e-3,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/barlow.yaml): loss times 0.1. 92.10 % linear there.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch; LARS clipped at it.
      off_diagonal_weight: of redundancy against agreement.
    """
    here = scale(
        data=data,
        image_size=image_size,
        encoder=encoder,
        statistics=CIFAR_STATISTICS,
        precision=precision,
        strict=strict,
    )
    head = projection_head(inputs=here.encoder.width, widths=(2048, 2048, 2048), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=BarlowTwins(here.encoder, head, off_diagonal_weight=off_diagonal_weight, scale=0.1),
        augment=solo_views(here, image_size=image_size),
        prepare=here.prepare,
        optimizer=lambda steps: clipped_lars(
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
    epochs: float = 1000,
    batch_size: int = 2048,
    learning_rate: float = 0.2,
    bias_learning_rate: float = 0.0048,
    weight_decay: float = 1e-6,
    off_diagonal_weight: float = 5.1e-3,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet command: three layers of 8192, BYOL's views. 73.5 % linear after 1000 epochs.

    The figure and all numbers are those of README.md and main.py of facebookresearch/barlowtwins; the paper (Zbontar et al.
    2021, table 1) has 73.2 % and a weight decay of 1.5e-6.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak of the weights for 256 images a step, scaled linearly with the batch; it ends at a thousandth.
      bias_learning_rate: the same for biases and norms, which LARS does not scale.
      off_diagonal_weight: of redundancy against agreement.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(inputs=here.encoder.width, widths=(8192, 8192, 8192), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=BarlowTwins(here.encoder, head, off_diagonal_weight=off_diagonal_weight),
        augment=byol_views(size=image_size, resampling="cubic", mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: with_bias_rate(
            lars(
                scaled_cosine(
                    learning_rate,
                    batch_size=batch_size,
                    epochs=epochs,
                    steps=steps,
                    end=learning_rate * batch_size / 256 / 1000,
                ),
                weight_decay=weight_decay,
                rate_last=True,
            ),
            factor=bias_learning_rate / learning_rate,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
