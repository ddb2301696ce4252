"""MoCo v3: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs with a ResNet."""

from ssl_jax.augment.views import byol_views
from ssl_jax.methods.moco_v3 import MoCoV3
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import clipped_lars, lars, scaled_cosine
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
    momentum: float = 0.99,
    temperature: float = 0.2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW.

    Args:
      momentum: of the teacher at first; it rises to 1 by a cosine.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(
        inputs=here.encoder.width, widths=(256, 64), last_norm=True, last_norm_affine=False, dtype=here.dtype
    )
    predictor = projection_head(inputs=64, widths=(256, 64), last_norm=True, last_norm_affine=False, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=MoCoV3(here.encoder, head, steps, momentum=momentum, predictor=predictor, temperature=temperature),
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
    weight_decay: float = 1e-6,
    momentum: float = 0.99,
    temperature: float = 0.2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/mocov3.yaml of vturrisi/solo-learn). 93.10 % linear there.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch; LARS clipped at it.
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
    head = projection_head(
        inputs=here.encoder.width, widths=(4096, 256), last_norm=True, last_norm_affine=False, dtype=here.dtype
    )
    predictor = projection_head(inputs=256, widths=(4096, 256), dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=MoCoV3(here.encoder, head, steps, momentum=momentum, predictor=predictor, temperature=temperature),
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
    epochs: float = 100,
    batch_size: int = 4096,
    learning_rate: float = 0.6,
    weight_decay: float = 1e-6,
    momentum: float = 0.99,
    temperature: float = 1.0,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet command of 100 epochs with a ResNet-50: LARS, temperature 1. 68.9 % linear there.

    Numbers of CONFIG.md, main_moco.py and moco/builder.py of facebookresearch/moco-v3, which also has a rate of 0.3 for 300
    epochs, and for 1000 a weight decay of 1.5e-6 and a momentum of 0.996, too. A ResNet's predictor has no last norm.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      momentum: of the teacher at first; it rises to 1 by a cosine.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(
        inputs=here.encoder.width, widths=(4096, 256), last_norm=True, last_norm_affine=False, dtype=here.dtype
    )
    predictor = projection_head(inputs=256, widths=(4096, 256), dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=MoCoV3(here.encoder, head, steps, momentum=momentum, predictor=predictor, temperature=temperature),
        augment=byol_views(size=image_size, scale=(0.2, 1.0), mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: lars(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps),
            weight_decay=weight_decay,
            rate_last=True,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
