"""SimSiam: our demo, the paper's CIFAR-10 appendix, and the authors' ImageNet runs."""

from ssl_jax.augment.views import photo_views
from ssl_jax.methods.simsiam import SimSiam
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import scaled_cosine, sgd, with_other
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
    """Minutes on a laptop, AdamW."""
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(
        inputs=here.encoder.width, widths=(256, 256), last_norm=True, last_norm_affine=False, dtype=here.dtype
    )
    predictor = projection_head(inputs=256, widths=(64, 256), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SimSiam(here.encoder, head, predictor),
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
    epochs: float = 800,
    batch_size: int = 512,
    learning_rate: float = 0.03,
    weight_decay: float = 5e-4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The paper's CIFAR-10 runs (Chen and He 2020, appendix D): two layers of 2048, SGD. 91.8 % linear there.

    Views are those of the ImageNet runs without blur.

    Args:
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      weight_decay: on all parameters, biases and norms included.
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
        inputs=here.encoder.width, widths=(2048, 2048), last_norm=True, last_norm_affine=False, dtype=here.dtype
    )
    predictor = projection_head(inputs=2048, widths=(512, 2048), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SimSiam(here.encoder, head, predictor),
        augment=photo_views(
            size=image_size, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), blur=0.0, mean=here.mean, std=here.std
        ),
        prepare=here.prepare,
        optimizer=lambda steps: with_other(
            sgd(
                scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, warmup_epochs=0),
                weight_decay=weight_decay,
                decay_all=True,
            ),
            sgd(lambda step: learning_rate * batch_size / 256, weight_decay=weight_decay, decay_all=True),
            network="predictor",
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
    batch_size: int = 512,
    learning_rate: float = 0.05,
    weight_decay: float = 1e-4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' ImageNet runs of 100 epochs: three layers of 2048, a bottleneck of 512, the predictor's rate constant.

    68.1 % linear there (README.md, main_simsiam.py with --fix-pred-lr, and simsiam/builder.py of facebookresearch/simsiam).

    Args:
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      weight_decay: on all parameters, biases and norms included.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    head = projection_head(
        inputs=here.encoder.width, widths=(2048, 2048, 2048), last_norm=True, last_norm_affine=False, dtype=here.dtype
    )
    predictor = projection_head(inputs=2048, widths=(512, 2048), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SimSiam(here.encoder, head, predictor),
        augment=photo_views(
            size=image_size, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), mean=here.mean, std=here.std
        ),
        prepare=here.prepare,
        optimizer=lambda steps: with_other(
            sgd(
                scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, warmup_epochs=0),
                weight_decay=weight_decay,
                decay_all=True,
            ),
            sgd(lambda step: learning_rate * batch_size / 256, weight_decay=weight_decay, decay_all=True),
            network="predictor",
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
