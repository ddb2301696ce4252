"""SwAV: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs."""

from ssl_jax.augment.views import multi_crop, photo_views
from ssl_jax.methods.swav import SwAV
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import clipped_lars, frozen_at_first, larc, scaled_cosine
from ssl_jax.recipes.recipe import Recipe, count_steps, recipe
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
    prototypes: int = 64,
    temperature: float = 0.1,
    epsilon: float = 0.03,
    small_size: int = 20,
    small_views: int = 2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, two large and two small crops.

    Args:
      prototypes: how many.
      epsilon: of Sinkhorn's rounds; with 0.05 two seeds of three never leave the uniform solution.
      small_size: side of the small crops.
      small_views: small crops of an image.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SwAV(here.encoder, head, prototypes=prototypes, temperature=temperature, epsilon=epsilon),
        augment=multi_crop(
            demo_views(here, image_size=image_size),
            demo_views(here, image_size=small_size, views=small_views, part=(0.15, 0.5)),
        ),
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
    learning_rate: float = 0.6,
    weight_decay: float = 1e-6,
    prototypes: int = 3000,
    temperature: float = 0.1,
    queue_length: int = 3840,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe: two crops, a queue from epoch 50, prototypes frozen for 2 epochs. 89.17 % linear there.

    Numbers of scripts/pretrain/cifar/swav.yaml and augmentations/symmetric.yaml of vturrisi/solo-learn.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch; LARS clipped at it.
      prototypes: how many.
      queue_length: embeddings of former batches that share in the partition; a multiple of the batch.
    """
    here = scale(
        data=data,
        image_size=image_size,
        encoder=encoder,
        statistics=CIFAR_STATISTICS,
        precision=precision,
        strict=strict,
    )
    head = projection_head(inputs=here.encoder.width, widths=(2048, 128), last_bias=True, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=SwAV(
            here.encoder,
            head,
            prototypes=prototypes,
            temperature=temperature,
            queue_length=queue_length,
            queue_start=round(steps * 50 / epochs),
        ),
        augment=solo_views(here, image_size=image_size, jitter=(0.8, 0.8, 0.8, 0.2), blur=0.5, solarize=(0.0, 0.0)),
        prepare=here.prepare,
        optimizer=lambda steps: frozen_at_first(
            clipped_lars(
                scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps),
                weight_decay=weight_decay,
            ),
            steps=round(steps * 2 / epochs),
            parameter="prototypes",
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
    batch_size: int = 4096,
    learning_rate: float = 0.3,
    weight_decay: float = 1e-6,
    prototypes: int = 3000,
    temperature: float = 0.1,
    small_size: int = 96,
    small_views: int = 6,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet command of 200 epochs: 2 x 224 and 6 x 96, prototypes frozen for one epoch. 73.9 % linear there.

    Numbers of scripts/swav_200ep_pretrain.sh, main_swav.py and src/multicropdataset.py of facebookresearch/swav; their 313
    steps of frozen prototypes are one epoch of batches of 4,096.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch; the warm-up starts at a sixteenth of the
        peak and the cosine ends at a thousandth: 0.3, 4.8 and 0.0048 at a batch of 4,096
        (scripts/swav_200ep_pretrain.sh of facebookresearch/swav).
      weight_decay: on all parameters, biases and norms included.
      prototypes: how many.
      small_size: side of the small crops.
      small_views: small crops of an image.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(inputs=here.encoder.width, widths=(2048, 128), last_bias=True, dtype=here.dtype)
    peak = learning_rate * batch_size / 256
    return Recipe(
        data=here.data,
        method=SwAV(here.encoder, head, prototypes=prototypes, temperature=temperature),
        augment=multi_crop(
            photo_views(size=image_size, scale=(0.14, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), mean=here.mean, std=here.std),
            photo_views(
                size=small_size,
                scale=(0.05, 0.14),
                jitter=(0.8, 0.8, 0.8, 0.2),
                views=small_views,
                blur_kernel="pillow",
                mean=here.mean,
                std=here.std,
            ),
        ),
        prepare=here.prepare,
        optimizer=lambda steps: frozen_at_first(
            larc(
                scaled_cosine(
                    learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, start=peak / 16, end=peak / 1000
                ),
                weight_decay=weight_decay,
            ),
            steps=round(steps / epochs),
            parameter="prototypes",
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
