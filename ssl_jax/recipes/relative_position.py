"""Relative position: our demo on small tiles, and the paper's task on ImageNet."""

from ssl_jax.augment.pretext import Color, grid_views, without_shortcuts
from ssl_jax.composition import IMAGENET, Images, Laptop, Opened, Recipe, recipe
from ssl_jax.composition.training import VISSL, Staircase
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.relative_position import RelativePosition
from ssl_jax.optimizers import sgd
from ssl_jax.recipes.jigsaw import EMBLEMS, Tiles, seen_as_tiles


def make_method(opened: Opened, *, width: int, hidden: int) -> RelativePosition:
    """Embeddings of tiles, and a classifier of two of them with one hidden layer and 8 outputs."""
    head = opened.head(width, last_norm=True, last_bias=True)
    classifier = opened.head(hidden, 8, inputs=2 * head.width, last_bias=True)
    return RelativePosition(opened.encoder, head, classifier=classifier)


@recipe
def demo(images: Images = EMBLEMS, training: Laptop = Laptop(epochs=16), tiles: Tiles = Tiles()) -> Recipe:
    """Minutes on a laptop, AdamW, tiles of 12 pixels, on drawn emblems whose signs have fixed positions, as in jigsaw.

    Args:
      data: drawn "emblems", or other images of parts whose arrangement means something.
    """
    opened = images.open_squares(method="relative_position")
    method = make_method(opened, width=64, hidden=256)
    prepare = seen_as_tiles(opened.prepare)
    return opened.recipe(training, method, tiles.of_crops(opened), training.adamw, prepare=prepare)


@recipe
def imagenet(images: Images = IMAGENET, training: Staircase = VISSL, *, color: Color = "drop") -> Recipe:
    """The paper's task at half its resolution (tiles of 48 pixels, gaps of 24, jitter of 3), with VISSL's jigsaw schedule.

    train.py of cdoersch/deepcontext has tiles of 96 pixels, gaps of 48 and jitter of 7, an AlexNet, and a constant rate of
    1e-5 without momentum or decay for a loss that is summed over all pairs of neighbours; it also blurs a third of the tiles
    by resizing, which is left out. ResNet-50 and its schedule are those of later comparisons.

    Args:
      learning_rate: rate for a batch of 256, scaled linearly with the batch size, after 5 epochs of warm-up from a quarter of
        it; divided by 10 at 30, 60, 90 and 100 of 105 epochs, in proportion for another number of epochs.
      color: measure against chromatic aberration: drop channels, as in the paper, or project colours.
    """
    opened = images.open_squares(method="relative_position", view_size=48)
    method = make_method(opened, width=1000, hidden=1000)
    view = opened.views(crop_views, size=255, scale=(1.0, 1.0))
    views = grid_views(view, size=48, gap=24, jitter=3, finish=without_shortcuts(color=color))
    return opened.recipe(training, method, views, training.optimizer(sgd, warmup=5, start=training.peak / 4))
