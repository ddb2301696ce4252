"""NNCLR: our demo, solo-learn's CIFAR-10, and the paper's ImageNet runs."""

from ssl_jax.augment.views import simclr_views
from ssl_jax.methods.nnclr import NNCLR
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import clipped_lars, lars, scaled_cosine
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
    queue_length: int = 1024,
    temperature: float = 0.2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW.

    Args:
      queue_length: embeddings in which neighbours are looked for; a multiple of the batch.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), last_norm=True, dtype=here.dtype)
    predictor = projection_head(inputs=64, widths=(256, 64), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=NNCLR(here.encoder, head, predictor=predictor, queue_length=queue_length, temperature=temperature),
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
    learning_rate: float = 0.4,
    weight_decay: float = 1e-5,
    queue_length: int = 65536,
    temperature: float = 0.2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/nnclr.yaml of vturrisi/solo-learn). 91.88 % linear there.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch; LARS clipped at it.
      queue_length: embeddings in which neighbours are looked for; a multiple of the batch.
    """
    here = scale(
        data=data,
        image_size=image_size,
        encoder=encoder,
        statistics=CIFAR_STATISTICS,
        precision=precision,
        strict=strict,
    )
    head = projection_head(
        inputs=here.encoder.width, widths=(2048, 2048, 256), last_norm=True, last_bias=True, dtype=here.dtype
    )
    predictor = projection_head(inputs=256, widths=(4096, 256), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=NNCLR(here.encoder, head, predictor=predictor, queue_length=queue_length, temperature=temperature),
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
    batch_size: int = 4096,
    learning_rate: float = 0.3,
    weight_decay: float = 1e-6,
    queue_length: int = 98304,
    temperature: float = 0.1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The paper's ImageNet runs: three layers of 2048, 2048 and 256, predictor of 4096.

    75.4 % linear after 1000 epochs there.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      queue_length: embeddings in which neighbours are looked for; a multiple of the batch.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(inputs=here.encoder.width, widths=(2048, 2048, 256), last_norm=True, dtype=here.dtype)
    predictor = projection_head(inputs=256, widths=(4096, 256), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=NNCLR(here.encoder, head, predictor=predictor, queue_length=queue_length, temperature=temperature),
        augment=simclr_views(size=image_size, resampling="cubic", antialias=False, mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: lars(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
