"""DINO: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs with a small vision transformer."""

from ssl_jax.augment.views import byol_views, multi_crop, photo_views
from ssl_jax.methods.dino import DINO
from ssl_jax.networks import prototype_head
from ssl_jax.optimizers import adamw, clipped_lars, cosine, frozen_at_first, scaled_cosine, with_clipping
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
    prototypes: int = 256,
    momentum: float = 0.99,
    small_size: int = 20,
    small_views: int = 2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, two large and two small crops.

    Args:
      prototypes: how many.
      momentum: of the teacher at first; it rises to 1 by a cosine.
      small_size: side of the small crops.
      small_views: small crops of an image.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = prototype_head(inputs=here.encoder.width, widths=(256, 64), outputs=prototypes, norm=True, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=DINO(here.encoder, head, steps, momentum=momentum),
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
    learning_rate: float = 0.3,
    weight_decay: float = 1e-6,
    prototypes: int = 4096,
    momentum: float = 0.9995,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe: two crops, 4096 outputs. 89.52 % linear there.

    Numbers of scripts/pretrain/cifar/dino.yaml and solo/methods/dino.py of vturrisi/solo-learn: no norms in the head, the
    teacher's temperature 0.07 from the start.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch; LARS clipped at it.
      prototypes: how many.
      momentum: of the teacher at first; it rises to 1 by a cosine.
    """
    here = scale(
        data=data,
        image_size=image_size,
        encoder=encoder,
        statistics=CIFAR_STATISTICS,
        precision=precision,
        strict=strict,
    )
    head = prototype_head(inputs=here.encoder.width, widths=(2048, 2048, 256), outputs=prototypes, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=DINO(here.encoder, head, steps, momentum=momentum, teacher_temperature=0.07, warmup_temperature=0.07),
        augment=solo_views(here, image_size=image_size),
        prepare=here.prepare,
        optimizer=lambda steps: frozen_at_first(
            clipped_lars(
                scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps),
                weight_decay=weight_decay,
            ),
            steps=round(steps / epochs),
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
    encoder: str = "vit_small/16",
    epochs: float = 100,
    batch_size: int = 512,
    learning_rate: float = 5e-4,
    weight_decay: float = 0.04,
    clip: float = 3.0,
    drop_path: float = 0.1,
    prototypes: int = 65536,
    momentum: float = 0.996,
    small_size: int = 96,
    small_views: int = 8,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ViT-S/16 command of 100 epochs: AdamW, 2 x 224 and 8 x 96. 74.0 % linear, 69.3 % k-NN there.

    README.md ("vanilla DINO training") and the defaults of main_dino.py of facebookresearch/dino, on 8 GPUs of 64 images.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      weight_decay: at first, on weights; it rises to 0.4 by a cosine.
      clip: largest norm of each parameter's gradient.
      drop_path: stochastic depth of the student's last block, if it is a ViT.
      prototypes: how many.
      momentum: of the teacher at first; it rises to 1 by a cosine.
      small_size: side of the small crops.
      small_views: small crops of an image.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict,
        network={"drop_path": drop_path} if encoder.startswith("vit") else None,
    )  # fmt: skip
    head = prototype_head(inputs=here.encoder.width, widths=(2048, 2048, 256), outputs=prototypes, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=DINO(
            here.encoder,
            head,
            steps,
            momentum=momentum,
        ),
        augment=multi_crop(
            byol_views(size=image_size, scale=(0.4, 1.0), resampling="cubic", mean=here.mean, std=here.std),
            photo_views(
                size=small_size,
                scale=(0.05, 0.4),
                views=small_views,
                blur_kernel="pillow",
                resampling="cubic",
                mean=here.mean,
                std=here.std,
            ),
        ),
        prepare=here.prepare,
        optimizer=lambda steps: frozen_at_first(
            with_clipping(
                adamw(
                    scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, end=1e-6),
                    weight_decay=cosine(weight_decay, 0.4, steps=steps),
                ),
                limit=clip,
            ),
            steps=round(steps / epochs),
            parameter="prototypes",
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
