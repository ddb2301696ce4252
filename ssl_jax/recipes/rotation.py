"""RotNet: our demo, the authors' CIFAR-10 schedule, and VISSL's ImageNet run."""

from functools import partial

from ssl_jax.augment.pretext import four_rotations
from ssl_jax.augment.views import photo_views
from ssl_jax.methods.rotation import Rotation
from ssl_jax.networks import linear_head
from ssl_jax.optimizers import sgd, staircase
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import CIFAR_STATISTICS, Precision, demo_optimizer, demo_views, scale

crop_views = partial(photo_views, jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0, blur=0.0, views=1)


@recipe
def demo(
    *,
    data: str = "digits",
    image_size: int = 28,
    encoder: str = "small",
    epochs: float = 30,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW. A 0 or an 8 has no right way up, so the task is never solved."""
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    return Recipe(
        data=here.data,
        method=Rotation(here.encoder, linear_head(inputs=here.encoder.width, outputs=4, dtype=here.dtype)),
        augment=four_rotations(demo_views(here, image_size=image_size, views=1)),
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
    epochs: float = 200,
    batch_size: int = 128,
    learning_rate: float = 0.1,
    weight_decay: float = 5e-4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' CIFAR-10 schedule, Nesterov momentum, on a ResNet-18 where they had a network in network.

    Crops are of 0.8 to 1 of the image, where theirs are moved by 4 pixels over a border of black. Source:
    config/CIFAR10_RotNet_NIN4blocks.py and dataloader.py of gidariss/FeatureLearningRotNet.

    Args:
      batch_size: images a step; each is seen in four rotations.
      learning_rate: until the first drop; divided by 5 at 60, 120 and 160 of 200 epochs, in proportion for another number.
    """
    here = scale(
        data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict,
        statistics=CIFAR_STATISTICS,
    )  # fmt: skip
    view = crop_views(size=image_size, scale=(0.8, 1.0), mean=here.mean, std=here.std)
    return Recipe(
        data=here.data,
        method=Rotation(here.encoder, linear_head(inputs=here.encoder.width, outputs=4, dtype=here.dtype)),
        augment=four_rotations(view),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            staircase(learning_rate, steps=steps, drops=(60, 120, 160), of=200, factor=0.2),
            weight_decay=weight_decay,
            nesterov=True,
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
    epochs: float = 105,
    batch_size: int = 256,
    learning_rate: float = 0.1,
    weight_decay: float = 1e-4,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """VISSL's ImageNet run: ResNet-50, 105 epochs. 48.2 % linear there.

    Source: configs/config/pretrain/rotnet/rotnet_8gpu_resnet.yaml and MODEL_ZOO.md of facebookresearch/vissl.

    Args:
      batch_size: images a step; each is seen in four rotations, where VISSL draws one.
      learning_rate: for 256 images a step, scaled linearly with the batch; divided by 10 at 30, 60, 90 and 100 of 105
        epochs, in proportion for another number of epochs.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    view = crop_views(size=image_size, mean=here.mean, std=here.std)
    peak = learning_rate * batch_size / 256
    return Recipe(
        data=here.data,
        method=Rotation(here.encoder, linear_head(inputs=here.encoder.width, outputs=4, dtype=here.dtype)),
        augment=four_rotations(view),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            staircase(peak, steps=steps, drops=(30, 60, 90, 100), of=105), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
