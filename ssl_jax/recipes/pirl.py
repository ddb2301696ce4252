"""PIRL: our demo, and VISSL's ImageNet run."""

from functools import partial
from typing import Any, Literal

from ssl_jax.augment.permutations import PIECES
from ssl_jax.augment.pretext import four_rotations, grid_views, one_of, pirl_views, shuffled, without_shortcuts
from ssl_jax.augment.views import ViewMaker, photo_views
from ssl_jax.composition import DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, Training, on_emoji, recipe
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.pirl import PIRL
from ssl_jax.optimizers import sgd
from ssl_jax.sizes import sides_of

Transformation = Literal["jigsaw", "rotation"]


def make_method(opened: Opened, *, transformation: Transformation, width: int, **options: Any) -> PIRL:
    """Linear heads: for the image, for each tile, and for all tiles together."""
    joined = opened.linear(width, inputs=(PIECES if transformation == "jigsaw" else 1) * width)
    options |= {"part_head": opened.linear(width), "joined_head": joined, "examples": len(opened.data.train)}
    return PIRL(opened.encoder, opened.linear(width), **options)


def imagenet_tiles(opened: Opened, tile: ViewMaker) -> ViewMaker:
    """Squares of 64 pixels at random in cells of 85 of a crop, each then augmented by `tile`."""
    plain = partial(crop_views, size=255, scale=(0.6, 1.0), flip=False)
    crop = plain(mean=(0.0,) * opened.channels, std=(1.0,) * opened.channels)
    return shuffled(grid_views(crop, size=64, gap=21, jitter=10, finish=lambda rng, image: tile(rng, image)[0]))


@recipe(PIRL, negatives=256, temperature=0.2, momentum=0.5, estimator="info_nce")
def demo(
    images: Images = DIGITS, training: Laptop = Laptop(epochs=40), *, transformation: Transformation = "jigsaw",
    **options: Any,
) -> Recipe:  # fmt: skip
    """Minutes on a laptop, AdamW.

    Args:
      transformation: nine tiles in random order, of 8 pixels of 28 or 9 of 32, or one of four rotations.
    """
    opened = images.open_squares(method="pirl")
    method = make_method(opened, transformation=transformation, width=64, **options)
    view, tile = opened.views(views=1), 2 * min(sides_of(opened.image_size)) // 7
    tiles = shuffled(grid_views(view, size=tile, gap=1, jitter=1, finish=without_shortcuts()))
    views = pirl_views(view, tiles if transformation == "jigsaw" else one_of(four_rotations(view)))
    return opened.recipe(training, method, views, training.adamw)


emoji = on_emoji(demo)


@recipe(PIRL, negatives=32000, temperature=0.07, momentum=0.5, estimator="nce")
def imagenet(
    images: Images = IMAGENET, training: Training = Training(800, 1024, 0.03, 1e-4, warmup_epochs=0), *,
    transformation: Transformation = "jigsaw", **options: Any,
) -> Recipe:  # fmt: skip
    """VISSL's ImageNet run: tiles of 64 pixels in cells of 85, each with its own jitter. Published: 64.29 % linear.

    Every image and tile is jittered, two in three have PIRL's photometric transforms. The rate falls at each step where
    VISSL's falls at each epoch. Source: configs/config/pretrain/pirl/pirl_jigsaw_4node_resnet50.yaml and MODEL_ZOO.md of
    facebookresearch/vissl; 63.6 % is the paper's own.

    Args:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size; the cosine ends at a thousandth of it.
      transformation: nine tiles in random order, or one of four rotations.
    """
    opened = images.open_squares(method="pirl")
    method = make_method(opened, transformation=transformation, width=128, **options)
    jitter = partial(photo_views, jitter=(0.4, 0.4, 0.4, 0.2), jitter_probability=1.0)
    view = partial(jitter, photometric=0.66, blur=0.0, views=1)
    whole, tile = opened.views(view), opened.views(view, size=64, scale=(1.0, 1.0))
    parts = imagenet_tiles(opened, tile) if transformation == "jigsaw" else one_of(four_rotations(whole))
    optimizer = training.optimizer(sgd, end=training.peak / 1000)
    return opened.recipe(training, method, pirl_views(whole, parts), optimizer)
