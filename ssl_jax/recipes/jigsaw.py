"""Jigsaw: our demo on small tiles, and VISSL's ImageNet run."""

from collections.abc import Callable

from jax import Array

from ssl_jax.augment.permutations import PIECES, permutations
from ssl_jax.augment.pretext import Color, grid_views, jigsaw_views, standardize_tile, without_shortcuts
from ssl_jax.augment.views import Views, photo_views
from ssl_jax.methods.jigsaw import Jigsaw
from ssl_jax.networks import linear_head, projection_head
from ssl_jax.optimizers import sgd, staircase
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, Scale, demo_optimizer, scale


def demo_tiles(scale: Scale, *, image_size: int, tile_size: int, gap: int, jitter: int) -> Views:
    """Tiles of a crop: a turn would leave black corners, which tell the place, and a flip exchanges left and right."""
    view = photo_views(
        size=image_size, scale=(0.8, 1.0), jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0, blur=0.0, flip=False, views=1,
        mean=scale.mean, std=scale.std,
    )  # fmt: skip
    return grid_views(view, size=tile_size, gap=gap, jitter=jitter, finish=without_shortcuts())


def seen_as_tiles(prepare: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The view of evaluation, standardised alone as each tile is: batch norms expect that."""
    return lambda image: standardize_tile(prepare(image))


@recipe
def demo(
    *,
    data: str = "emblems",
    image_size: int = 42,
    encoder: str = "small",
    epochs: float = 16,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    orders: int = 64,
    tile_size: int = 12,
    gap: int = 1,
    jitter: int = 1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, tiles of 12 pixels, on drawn emblems whose signs have their places.

    Most tiles of a digit are empty, and strokes at edges give the order away: it teaches nothing about digits.

    Args:
      data: drawn "emblems", or other images of parts whose arrangement means something.
      orders: permutations of the tiles, as far apart as possible.
      tile_size: side of a tile in pixels.
      gap: pixels between tiles.
      jitter: pixels by which a tile may lie off its place.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(64,), last_norm=True, last_bias=True, dtype=here.dtype)
    classifier = projection_head(inputs=PIECES * head.width, widths=(256, orders), last_bias=True, dtype=here.dtype)
    grid = demo_tiles(here, image_size=image_size, tile_size=tile_size, gap=gap, jitter=jitter)
    return Recipe(
        data=here.data,
        method=Jigsaw(here.encoder, head, classifier=classifier),
        augment=jigsaw_views(grid, permutations(orders)),
        prepare=seen_as_tiles(here.prepare),
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
    epochs: float = 105,
    batch_size: int = 256,
    learning_rate: float = 0.1,
    weight_decay: float = 1e-4,
    orders: int = 2000,
    color: Color = "keep",
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """VISSL's ImageNet run: tiles of 64 pixels somewhere in cells of 85, two thirds of the images grey, 2,000 orders.

    Images are standardised, not tiles one by one. 46.73 % linear there. Source:
    configs/config/pretrain/jigsaw/jigsaw_8gpu_resnet.yaml and MODEL_ZOO.md of facebookresearch/vissl.

    Args:
      learning_rate: for 256 images a step, scaled linearly with the batch, after 5 epochs of warm-up from a
        quarter of it; divided by 10 at 30, 60, 90 and 100 of 105
        epochs, in proportion for another number of epochs.
      orders: permutations of the tiles, as far apart as possible.
      color: what else is done about chromatic aberration; the grey images are against it.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict,
        view_size=64,
    )  # fmt: skip
    head = projection_head(inputs=here.encoder.width, widths=(1000,), last_norm=True, last_bias=True, dtype=here.dtype)
    view = photo_views(
        size=255, scale=(1.0, 1.0), jitter=(0.0, 0.0, 0.0, 0.0), grey=0.66, blur=0.0, views=1,
        mean=here.mean, std=here.std,
    )  # fmt: skip
    grid = grid_views(view, size=64, gap=21, jitter=10, finish=without_shortcuts(color=color, standardize=False))
    peak = learning_rate * batch_size / 256
    return Recipe(
        data=here.data,
        method=Jigsaw(
            here.encoder,
            head,
            classifier=linear_head(inputs=PIECES * head.width, outputs=orders, dtype=here.dtype),
        ),
        augment=jigsaw_views(grid, permutations(orders)),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            staircase(peak, steps=steps, drops=(30, 60, 90, 100), of=105, warmup=5, start=peak / 4),
            weight_decay=weight_decay,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
