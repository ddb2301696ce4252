"""MoCo: our demo of v2, solo-learn's CIFAR-10, and the authors' ImageNet runs of v2 and v1."""

from typing import Any

from ssl_jax.augment.views import photo_views
from ssl_jax.methods.moco import MoCo
from ssl_jax.networks import linear_head, projection_head
from ssl_jax.optimizers import scaled_cosine, sgd, staircase
from ssl_jax.recipes.recipe import Recipe, count_steps, recipe
from ssl_jax.recipes.scales import CIFAR_STATISTICS, Precision, Scale, demo_optimizer, demo_views, scale, solo_views


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
    queue_length: int = 2048,
    momentum: float = 0.99,
    temperature: float = 0.2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW.

    Args:
      queue_length: keys that are remembered; a multiple of the batch.
      momentum: of the teacher.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), norm=False, last_bias=True, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=MoCo(
            here.encoder,
            head,
            steps,
            queue_length=queue_length,
            temperature=temperature,
            momentum=momentum,
            final_momentum=momentum,
            symmetric=False,
        ),
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
    queue_length: int = 32768,
    momentum: float = 0.99,
    temperature: float = 0.2,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe of MoCo v2+: symmetric, SGD, momentum rising to 0.999. 92.94 % linear there.

    Numbers of scripts/pretrain/cifar/mocov2plus.yaml, augmentations/symmetric_weak.yaml and solo/methods/mocov2plus.py.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      weight_decay: on all parameters, biases and norms included.
      queue_length: keys that are remembered; a multiple of the batch.
      momentum: of the teacher.
    """
    here = scale(
        data=data,
        image_size=image_size,
        encoder=encoder,
        statistics=CIFAR_STATISTICS,
        precision=precision,
        strict=strict,
    )
    head = projection_head(inputs=here.encoder.width, widths=(2048, 256), norm=False, last_bias=True, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=MoCo(
            here.encoder,
            head,
            steps,
            queue_length=queue_length,
            temperature=temperature,
            momentum=momentum,
            final_momentum=0.999,
            symmetric=True,
        ),
        augment=solo_views(here, image_size=image_size, jitter=(0.4, 0.4, 0.4, 0.1), blur=0.5, solarize=(0.0, 0.0)),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps),
            weight_decay=weight_decay,
            decay_all=True,
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
    queue_length: int = 65536,
    momentum: float = 0.999,
    temperature: float = 0.2,
    norm_groups: int = 8,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet runs of MoCo v2, 200 epochs: head of two layers without norms, blur, cosine.

    67.5 % linear there, the mean of five runs; 71.1 % after 800 (README.md and main_moco.py of facebookresearch/moco).

    Args:
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      weight_decay: on all parameters, biases and norms included.
      queue_length: keys that are remembered; a multiple of the batch.
      momentum: of the teacher.
      norm_groups: parts of the batch with statistics of their own in a ResNet, as on the authors' 8 GPUs; the teacher's
        parts are shuffled.
    """
    here = _at_scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, norm_groups=norm_groups,
        precision=precision, strict=strict,
    )  # fmt: skip
    head = projection_head(inputs=here.encoder.width, widths=(2048, 128), norm=False, last_bias=True, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=MoCo(
            here.encoder,
            head,
            steps,
            queue_length=queue_length,
            temperature=temperature,
            momentum=momentum,
            final_momentum=momentum,
            norm_groups=norm_groups if encoder.startswith("resnet") else 1,
        ),
        augment=photo_views(
            size=image_size, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), mean=here.mean, std=here.std
        ),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, warmup_epochs=0),
            weight_decay=weight_decay,
            decay_all=True,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def imagenet_v1(
    *,
    data: str = "imagenet2012",
    image_size: int = 224,
    stored_size: int = 256,
    encoder: str = "resnet50",
    epochs: float = 200,
    batch_size: int = 256,
    learning_rate: float = 0.03,
    weight_decay: float = 1e-4,
    queue_length: int = 65536,
    momentum: float = 0.999,
    temperature: float = 0.07,
    norm_groups: int = 8,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet runs of the first MoCo: a linear head, no blur, the rate divided by 10 twice. 60.6 % linear there.

    Numbers of main_moco.py of facebookresearch/moco, whose README has a mean of 60.8 % over five runs. Grey images are made
    before the jitter there, which leaves them grey but for their hue.

    Args:
      learning_rate: for 256 images a step, scaled linearly with the batch; divided by 10 after 120 and 160 of 200 epochs.
      weight_decay: on all parameters, biases and norms included.
      queue_length: keys that are remembered; a multiple of the batch.
      momentum: of the teacher.
      norm_groups: parts of the batch with statistics of their own in a ResNet, as on the authors' 8 GPUs; the teacher's
        parts are shuffled.
    """
    here = _at_scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, norm_groups=norm_groups,
        precision=precision, strict=strict,
    )  # fmt: skip
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=MoCo(
            here.encoder,
            linear_head(inputs=here.encoder.width, outputs=128, dtype=here.dtype),
            steps,
            queue_length=queue_length,
            temperature=temperature,
            momentum=momentum,
            final_momentum=momentum,
            norm_groups=norm_groups if encoder.startswith("resnet") else 1,
        ),
        augment=photo_views(
            size=image_size,
            scale=(0.2, 1.0),
            jitter=(0.4, 0.4, 0.4, 0.4),
            jitter_probability=1.0,
            blur=0.0,
            mean=here.mean,
            std=here.std,
        ),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            staircase(learning_rate * batch_size / 256, steps=steps, drops=(120, 160), of=200),
            weight_decay=weight_decay,
            decay_all=True,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )


def _at_scale(*, encoder: str, norm_groups: int, **common: Any) -> Scale:
    """ImageNet and an encoder whose batch norms, where it has any, see a part of the batch each."""
    network = {"groups": norm_groups} if encoder.startswith("resnet") else None
    return scale(encoder=encoder, network=network, **common)
