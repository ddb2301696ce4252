"""CPC: our demo on small patches, and the paper's task on ImageNet."""

from typing import Any

from ssl_jax.augment.views import photo_views
from ssl_jax.methods.cpc import CPC
from ssl_jax.networks import linear_head
from ssl_jax.networks.context import row_context
from ssl_jax.optimizers import adam
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, Scale, demo_optimizer, demo_views, scale

CROPPED = (256 / 300) ** 2  # Part of the image in a crop of the ImageNet run.


def method(
    here: Scale,
    *,
    patch_size: int,
    stride: int,
    width: int,
    context: int,
    depth: int,
    rows: int,
    temperature: float,
    sub_crop: int | None = None,
) -> CPC:
    """Linear embeddings of patches and linear predictions of them."""
    return CPC(
        here.encoder,
        linear_head(inputs=here.encoder.width, outputs=width, dtype=here.dtype),
        context=row_context(inputs=width, width=context, depth=depth, dtype=here.dtype),
        predictor=linear_head(inputs=context, outputs=rows * width, dtype=here.dtype),
        patch_size=patch_size,
        stride=stride,
        rows=rows,
        temperature=temperature,
        sub_crop=sub_crop,
    )


def by_layer(encoder: str) -> dict[str, Any]:
    """Layer norm in the encoder: batch norm makes patches depend on one another, and the task easier than it should be.

    Source: Hénaff et al. 2019, https://arxiv.org/abs/1905.09272, section 4.1.
    """
    return {} if encoder.startswith("vit") else {"norm": "layer"}


@recipe
def demo(
    *,
    data: str = "digits",
    image_size: int = 28,
    encoder: str = "small",
    epochs: float = 40,
    batch_size: int = 256,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-4,
    patch_size: int = 14,
    stride: int = 7,
    rows: int = 1,
    temperature: float = 1.0,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, 3 x 3 patches of 14 pixels that overlap by half.

    Args:
      patch_size: side of a patch in pixels.
      stride: pixels from patch to patch.
      rows: how many rows are predicted, from two below on.
    """
    here = scale(
        data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict, view_size=patch_size,
        network=by_layer(encoder),
    )  # fmt: skip
    return Recipe(
        data=here.data,
        method=method(
            here, patch_size=patch_size, stride=stride, width=64, context=128, depth=4, rows=rows,
            temperature=temperature,
        ),
        augment=demo_views(here, image_size=image_size, views=1, part=(0.7, 1.0)),
        prepare=here.prepare,
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )  # fmt: skip


@recipe
def imagenet(
    *,
    data: str = "imagenet2012",
    image_size: int = 256,
    stored_size: int = 300,
    encoder: str = "resnet50",
    epochs: float = 200,
    batch_size: int = 512,
    learning_rate: float = 2e-4,
    weight_decay: float = 0.0,
    patch_size: int = 64,
    stride: int = 32,
    rows: int = 5,
    temperature: float = 1.0,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The paper's task: 7 x 7 patches of 64 pixels that overlap by half, Adam. 48.7 % linear with its ResNet-101 v2 there.

    As in section 3.3 of the paper: crops of 256 of 300 pixels, flipped or not, all grey; of each patch a crop of 60 pixels
    somewhere in it, padded to 64; 32 x 16 images a step. The encoder here is a ResNet-50 whose last stage is read, the
    paper's a ResNet-101 v2 without norms up to its third. The paper names neither a schedule nor a number of epochs: the rate
    is constant, the epochs are ours.

    Args:
      patch_size: side of a patch in pixels.
      stride: pixels from patch to patch.
      rows: how many rows are predicted, from two below on.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict,
        view_size=patch_size, network=by_layer(encoder),
    )  # fmt: skip
    return Recipe(
        data=here.data,
        method=method(
            here, patch_size=patch_size, stride=stride, width=1024, context=1024, depth=6, rows=rows,
            temperature=temperature, sub_crop=60 * patch_size // 64,
        ),
        augment=photo_views(
            size=image_size, scale=(CROPPED, CROPPED), jitter=(0.0, 0.0, 0.0, 0.0), grey=1.0, blur=0.0, views=1,
            mean=here.mean, std=here.std,
        ),
        prepare=here.prepare,
        optimizer=lambda steps: adam(lambda step: learning_rate, weight_decay=weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )  # fmt: skip
