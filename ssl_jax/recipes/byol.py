"""BYOL: our demo, solo-learn's CIFAR-10, and the authors' ImageNet runs."""

from ssl_jax.augment.views import byol_views
from ssl_jax.methods.byol import BYOL
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
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW.

    Args:
      momentum: of the teacher at first; it rises to 1 by a cosine.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), dtype=here.dtype)
    predictor = projection_head(inputs=64, widths=(256, 64), dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=BYOL(here.encoder, head, steps, momentum=momentum, predictor=predictor),
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
    learning_rate: float = 1.0,
    weight_decay: float = 1e-5,
    momentum: float = 0.99,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """solo-learn's CIFAR-10 recipe (scripts/pretrain/cifar/byol.yaml of vturrisi/solo-learn). 92.58 % linear there.

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
    head = projection_head(inputs=here.encoder.width, widths=(4096, 256), last_bias=True, dtype=here.dtype)
    predictor = projection_head(inputs=256, widths=(4096, 256), last_bias=True, dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=BYOL(here.encoder, head, steps, momentum=momentum, predictor=predictor),
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
    epochs: float = 300,
    batch_size: int = 4096,
    learning_rate: float = 0.3,
    weight_decay: float = 1e-6,
    momentum: float = 0.99,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet runs of 300 epochs: 72.5 % linear; 74.3 % after 1000 with other presets.

    Presets of byol/configs/byol.py of google-deepmind/deepmind-research: rate 0.45 for 100 epochs, 0.3 for 300 and 0.2 for
    1000; weight decay 1.5e-6 and momentum 0.996 for 1000. Last layers have no bias, in the head or in the predictor
    (byol/utils/networks.py); crops are cubic, without antialiasing, as TensorFlow makes them (byol/utils/dataset.py).

    Args:
      epochs: passes over the training images; warm-up takes 10 of them.
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      momentum: of the teacher at first; it rises to 1 by a cosine.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(inputs=here.encoder.width, widths=(4096, 256), dtype=here.dtype)
    predictor = projection_head(inputs=256, widths=(4096, 256), dtype=here.dtype)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=BYOL(here.encoder, head, steps, momentum=momentum, predictor=predictor),
        augment=byol_views(size=image_size, resampling="cubic", antialias=False, mean=here.mean, std=here.std),
        prepare=here.prepare,
        optimizer=lambda steps: lars(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps),
            weight_decay=weight_decay,
            rate_last=True,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
