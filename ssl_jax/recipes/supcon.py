"""Supervised contrastive learning: our demo, and the paper's scales."""

from ssl_jax.augment.views import photo_views
from ssl_jax.methods.supcon import SupCon
from ssl_jax.networks import projection_head
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
    temperature: float = 0.1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """SimCLR's demo with labels: an upper bound."""
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(256, 64), dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=SupCon(here.encoder, head, temperature=temperature),
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
    batch_size: int = 1024,
    learning_rate: float = 0.125,
    weight_decay: float = 1e-4,
    temperature: float = 0.1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' CIFAR-10 command: SGD, batch 1024, learning rate 0.5. 96.0 % linear with a ResNet-50 there.

    README.md, main_supcon.py and util.py of HobbitLong/SupContrast. Ours is a ResNet-18, images are standardised by the
    deviation of all pixels (theirs is the mean of the images' deviations), and the cosine begins where the warm-up ends;
    theirs begins at once and is joined 0.02 % below the peak.

    Args:
      epochs: passes over the training images; warm-up takes 10 of them, from a fiftieth of the peak.
      learning_rate: peak for 256 images a step, scaled linearly with the batch; it ends at a thousandth.
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
        inputs=here.encoder.width, widths=(here.encoder.width, 128), norm=False, last_bias=True, dtype=here.dtype
    )
    peak = learning_rate * batch_size / 256
    return Recipe(
        data=here.data,
        method=SupCon(here.encoder, head, temperature=temperature, scale=temperature / 0.07),
        augment=photo_views(
            size=image_size, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), blur=0.0, mean=here.mean, std=here.std
        ),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            scaled_cosine(
                learning_rate,
                batch_size=batch_size,
                epochs=epochs,
                steps=steps,
                start=peak / 50,
                end=peak / 1000,
            ),
            weight_decay=weight_decay,
            decay_all=True,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
