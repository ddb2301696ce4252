"""PIRL: our demo, and VISSL's ImageNet run."""

from typing import Any, Literal

from ssl_jax.augment.permutations import PIECES
from ssl_jax.augment.pretext import four_rotations, grid_views, one_of, pirl_views, shuffled, without_shortcuts
from ssl_jax.augment.views import Views, photo_views
from ssl_jax.methods.pirl import PIRL, Estimator
from ssl_jax.networks import linear_head
from ssl_jax.optimizers import scaled_cosine, sgd
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, Scale, demo_optimizer, demo_views, scale

Transformation = Literal["jigsaw", "rotation"]


def method(here: Scale, *, transformation: Transformation, width: int, **options: Any) -> PIRL:
    """Linear heads: of the image, of each part, and of all parts together."""
    inputs, parts = here.encoder.width, PIECES if transformation == "jigsaw" else 1
    return PIRL(
        here.encoder,
        linear_head(inputs=inputs, outputs=width, dtype=here.dtype),
        part_head=linear_head(inputs=inputs, outputs=width, dtype=here.dtype),
        joined_head=linear_head(inputs=parts * width, outputs=width, dtype=here.dtype),
        examples=len(here.data.train),
        **options,
    )


@recipe
def demo(
    *,
    data: str = "digits",
    image_size: int = 28,
    encoder: str = "small",
    epochs: float = 40,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    transformation: Transformation = "jigsaw",
    negatives: int = 256,
    temperature: float = 0.2,
    momentum: float = 0.5,
    estimator: Estimator = "info_nce",
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW.

    Args:
      transformation: nine tiles of 8 pixels in random order, or one of four rotations.
      negatives: memories of other images, for each.
      momentum: weight of what is remembered when a memory is written.
      estimator: of the contrastive loss; the paper's is nce.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    view = demo_views(here, image_size=image_size, views=1)
    tiles = shuffled(grid_views(view, size=8, gap=1, jitter=1, finish=without_shortcuts()))
    return Recipe(
        data=here.data,
        method=method(
            here,
            transformation=transformation,
            width=64,
            negatives=negatives,
            temperature=temperature,
            momentum=momentum,
            estimator=estimator,
        ),
        augment=pirl_views(view, tiles if transformation == "jigsaw" else one_of(four_rotations(view))),
        prepare=here.prepare,
        optimizer=demo_optimizer(learning_rate, weight_decay),
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
    epochs: float = 800,
    batch_size: int = 1024,
    learning_rate: float = 0.03,
    weight_decay: float = 1e-4,
    transformation: Transformation = "jigsaw",
    negatives: int = 32000,
    temperature: float = 0.07,
    momentum: float = 0.5,
    estimator: Estimator = "nce",
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """VISSL's ImageNet run: tiles of 64 pixels in cells of 85, each with a jitter of its own. 64.29 % linear there.

    Every image and tile is jittered, two in three have PIRL's photometric transforms. The rate falls at each step where
    VISSL's falls at each epoch. Source: configs/config/pretrain/pirl/pirl_jigsaw_4node_resnet50.yaml and MODEL_ZOO.md of
    facebookresearch/vissl; 63.6 % is the paper's own.

    Args:
      learning_rate: peak for 256 images a step, scaled linearly with the batch; the cosine ends at a thousandth of it.
      transformation: nine tiles in random order, or one of four rotations.
      negatives: memories of other images, for each.
      momentum: weight of what is remembered when a memory is written.
      estimator: of the contrastive loss; the paper's is nce.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )

    end = learning_rate * batch_size / 256 / 1000

    def view(size: int, part: tuple[float, float]) -> Views:
        return photo_views(
            size=size, scale=part, jitter=(0.4, 0.4, 0.4, 0.2), jitter_probability=1.0, photometric=0.66, blur=0.0,
            views=1, mean=here.mean, std=here.std,
        )  # fmt: skip

    whole, tile = view(image_size, (0.08, 1.0)), view(64, (1.0, 1.0))
    crop = photo_views(
        size=255, scale=(0.6, 1.0), jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0, blur=0.0, flip=False, views=1,
        mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
    )  # fmt: skip
    tiles = shuffled(grid_views(crop, size=64, gap=21, jitter=10, finish=lambda rng, image: tile(rng, image)[0]))
    return Recipe(
        data=here.data,
        method=method(
            here,
            transformation=transformation,
            width=128,
            negatives=negatives,
            temperature=temperature,
            momentum=momentum,
            estimator=estimator,
        ),
        augment=pirl_views(whole, tiles if transformation == "jigsaw" else one_of(four_rotations(whole))),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps, warmup_epochs=0, end=end),
            weight_decay=weight_decay,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
