"""SimCLR at three scales: our demo, the paper's CIFAR-10 appendix, and the paper's ImageNet runs."""

from typing import Literal

from ssl_jax.augment.views import digit_views, evaluation_view, simclr_views
from ssl_jax.data import open_data
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.networks import projection_head
from ssl_jax.recipes.optimizers import adamw, lars, warmup_cosine
from ssl_jax.recipes.recipe import (
    CIFAR_STATISTICS,
    DIGIT_STATISTICS,
    IMAGENET_STATISTICS,
    Precision,
    Recipe,
    compute_dtype,
)


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
    """Minutes on a laptop: small grey images, turned, sheared and zoomed rather than recoloured.

    Args:
      data: embedded "digits", a tfds name such as cifar10, a folder of images, "synthetic".
      image_size: side of the images in pixels; images of other sizes are resized.
      encoder: see `ssl-jax list`.
      epochs: passes over the training images.
      batch_size: images a step, over all devices.
      learning_rate: peak of AdamW's, after a warm-up of 5 % and before a cosine to 0.
      weight_decay: on weights, not on biases and norms.
      temperature: divides cosine similarities in NT-Xent.
      precision: of activations; auto is bfloat16 on accelerators, float32 on CPU.
      strict: refuse unreadable images instead of skipping them.
    """
    arguments = dict(locals())
    images = open_data(data, image_size=image_size, strict=strict)
    mean, std = DIGIT_STATISTICS if images.train.image_shape[-1] == 1 else IMAGENET_STATISTICS
    network = make_encoder(encoder, image_shape=images.train.image_shape, dtype=compute_dtype(precision))
    head = projection_head(inputs=network.width, widths=(256, 64), dtype=compute_dtype(precision))
    return Recipe(
        name="simclr/demo",
        arguments=arguments,
        data=images,
        method=SimCLR(network, head, temperature=temperature),
        augment=digit_views(
            size=image_size, min_scale=0.4, degrees=20, translate=0.1, zoom=(0.82, 1.22), shear=15, mean=mean, std=std
        ),
        prepare=evaluation_view(size=image_size, mean=mean, std=std),
        optimizer=lambda steps: adamw(
            warmup_cosine(learning_rate, steps=steps, warmup=steps // 20), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )


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
      data: a tfds name, a folder of images, "digits", "synthetic".
      image_size: side of the images in pixels; images of other sizes are resized.
      encoder: see `ssl-jax list`.
      epochs: passes over the training images; warm-up takes 10 of them.
      batch_size: images a step, over all devices.
      learning_rate: peak of LARS's for 256 images a step, scaled linearly with the batch.
      weight_decay: on weights, not on biases and norms.
      temperature: divides cosine similarities in NT-Xent.
      precision: of activations; auto is bfloat16 on accelerators, float32 on CPU.
      strict: refuse unreadable images instead of skipping them.
    """
    arguments = dict(locals())
    images = open_data(data, image_size=image_size, strict=strict)
    network = make_encoder(encoder, image_shape=images.train.image_shape, dtype=compute_dtype(precision))
    head = projection_head(
        inputs=network.width, widths=(network.width, 128), last_norm=True, dtype=compute_dtype(precision)
    )
    mean, std = CIFAR_STATISTICS
    peak = learning_rate * batch_size / 256
    return Recipe(
        name="simclr/cifar",
        arguments=arguments,
        data=images,
        method=SimCLR(network, head, temperature=temperature),
        augment=simclr_views(size=image_size, strength=0.5, blur=False, mean=mean, std=std),
        prepare=evaluation_view(size=image_size, mean=mean, std=std),
        optimizer=lambda steps: lars(
            warmup_cosine(peak, steps=steps, warmup=round(steps * 10 / epochs)), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )


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
      data: a tfds name with tfds's split syntax, such as imagenet2012:train[:10%], or a folder of images.
      image_size: side of the views in pixels.
      stored_size: shorter side to which images are resized on the host; crops are drawn from their central square.
      encoder: see `ssl-jax list`.
      epochs: passes over the training images; warm-up takes 10 of them.
      batch_size: images a step, over all devices.
      learning_rate: peak of LARS's for 256 images a step with linear scaling; with sqrt, 0.075 * sqrt(batch_size) is usual.
      scaling: linear, learning_rate * batch_size / 256; or sqrt, learning_rate * sqrt(batch_size).
      weight_decay: on weights, not on biases and norms.
      temperature: divides cosine similarities in NT-Xent.
      precision: of activations; auto is bfloat16 on accelerators, float32 on CPU.
      strict: refuse unreadable images instead of skipping them.
    """
    arguments = dict(locals())
    images = open_data(data, image_size=stored_size, strict=strict)
    network = make_encoder(encoder, image_shape=(image_size, image_size, 3), dtype=compute_dtype(precision))
    head = projection_head(
        inputs=network.width, widths=(network.width, 128), last_norm=True, dtype=compute_dtype(precision)
    )
    mean, std = IMAGENET_STATISTICS
    peak = learning_rate * (batch_size / 256 if scaling == "linear" else batch_size**0.5)
    return Recipe(
        name="simclr/imagenet",
        arguments=arguments,
        data=images,
        method=SimCLR(network, head, temperature=temperature),
        augment=simclr_views(size=image_size, strength=1.0, mean=mean, std=std),
        prepare=evaluation_view(size=image_size, crop_fraction=image_size / stored_size, mean=mean, std=std),
        optimizer=lambda steps: lars(
            warmup_cosine(peak, steps=steps, warmup=round(steps * 10 / epochs)), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
