"""Jigsaw: our demo on small tiles, and VISSL's ImageNet run."""

from collections.abc import Callable
from dataclasses import dataclass

from jax import Array

from ssl_jax.augment.permutations import PIECES, permutations
from ssl_jax.augment.pretext import Color, grid_views, jigsaw_views, standardize_tile, without_shortcuts
from ssl_jax.augment.views import ViewMaker
from ssl_jax.composition import IMAGENET, Images, Laptop, Opened, Recipe, recipe
from ssl_jax.composition.training import VISSL, Staircase
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.jigsaw import Jigsaw
from ssl_jax.optimizers import sgd

EMBLEMS = Images("emblems", 42, "small")


@dataclass(frozen=True)
class Tiles:
    """Options of the nine tiles of small images.

    Attributes:
      tile_size: side of a tile in pixels.
      gap: distance between tiles in pixels.
      jitter: largest random offset of a tile in pixels.
    """

    tile_size: int = 12
    gap: int = 1
    jitter: int = 1

    def of_crops(self, opened: Opened) -> ViewMaker:
        """Tiles of a crop: a rotation would leave black corners, which reveal the position; a flip swaps left and right."""
        view = opened.views(crop_views, scale=(0.8, 1.0), flip=False)
        return grid_views(view, size=self.tile_size, gap=self.gap, jitter=self.jitter, finish=without_shortcuts())


def seen_as_tiles(prepare: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The evaluation view, standardised by its own statistics as each tile is: batch norms expect that."""
    return lambda image: standardize_tile(prepare(image))


@recipe
def demo(
    images: Images = EMBLEMS, training: Laptop = Laptop(epochs=16), tiles: Tiles = Tiles(), *, orders: int = 64
) -> Recipe:
    """Minutes on a laptop, AdamW, tiles of 12 pixels, on drawn emblems whose signs have fixed positions.

    Most tiles of a digit are empty, and strokes at edges reveal the order: the task teaches nothing about digits.

    Args:
      data: drawn "emblems", or other images of parts whose arrangement means something.
    """
    opened = images.open_squares(method="jigsaw")
    head = opened.head(64, last_norm=True, last_bias=True)
    classifier = opened.head(256, orders, inputs=PIECES * head.width, last_bias=True)
    views = jigsaw_views(tiles.of_crops(opened), permutations(orders))
    method = Jigsaw(opened.encoder, head, classifier=classifier)
    return opened.recipe(training, method, views, training.adamw, prepare=seen_as_tiles(opened.prepare))


@recipe
def imagenet(
    images: Images = IMAGENET, training: Staircase = VISSL, *, orders: int = 2000, color: Color = "keep"
) -> Recipe:
    """VISSL's ImageNet run: tiles of 64 pixels at random in cells of 85, two thirds of the images grayscale, 2,000 orders.

    Images are standardised, not tiles one by one. Published: 46.73 % linear. Source:
    configs/config/pretrain/jigsaw/jigsaw_8gpu_resnet.yaml and MODEL_ZOO.md of facebookresearch/vissl.

    Args:
      learning_rate: rate for a batch of 256, scaled linearly with the batch size, after 5 epochs of warm-up from a quarter of
        it; divided by 10 at 30, 60, 90 and 100 of 105 epochs, in proportion for another number of epochs.
      color: further measure against chromatic aberration, beside the grayscale images.
    """
    opened = images.open_squares(method="jigsaw", view_size=64)
    head = opened.head(1000, last_norm=True, last_bias=True)
    method = Jigsaw(opened.encoder, head, classifier=opened.linear(orders, inputs=PIECES * head.width))
    view = opened.views(crop_views, size=255, scale=(1.0, 1.0), grayscale=0.66)
    grid = grid_views(view, size=64, gap=21, jitter=10, finish=without_shortcuts(color=color, standardize=False))
    optimizer = training.optimizer(sgd, warmup=5, start=training.peak / 4)
    return opened.recipe(training, method, jigsaw_views(grid, permutations(orders)), optimizer)
