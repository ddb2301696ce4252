"""Relative position: our demo on small tiles, and the paper's task on ImageNet."""

from ssl_jax.augment.pretext import Color, grid_views, without_shortcuts
from ssl_jax.augment.views import photo_views
from ssl_jax.methods.relative_position import RelativePosition
from ssl_jax.networks import projection_head
from ssl_jax.optimizers import sgd, staircase
from ssl_jax.recipes.jigsaw import demo_tiles, seen_as_tiles
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, demo_optimizer, scale


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
    tile_size: int = 12,
    gap: int = 1,
    jitter: int = 1,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW, tiles of 12 pixels, on drawn emblems whose signs have their places, as jigsaw's.

    Args:
      data: drawn "emblems", or other images of parts whose arrangement means something.
      tile_size: side of a tile in pixels.
      gap: pixels between tiles.
      jitter: pixels by which a tile may lie off its place.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = projection_head(inputs=here.encoder.width, widths=(64,), last_norm=True, last_bias=True, dtype=here.dtype)
    classifier = projection_head(inputs=2 * head.width, widths=(256, 8), last_bias=True, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=RelativePosition(here.encoder, head, classifier=classifier),
        augment=demo_tiles(here, image_size=image_size, tile_size=tile_size, gap=gap, jitter=jitter),
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
    color: Color = "drop",
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The paper's task at half its resolution (tiles of 48 pixels, gaps of 24, jitter of 3), with VISSL's jigsaw schedule.

    train.py of cdoersch/deepcontext has tiles of 96 pixels, gaps of 48 and jitter of 7, an AlexNet, and a constant rate of
    1e-5 without momentum or decay for a loss that is summed over all pairs of neighbours; it also blurs a third of the tiles
    by resizing, which is left out. ResNet-50 and its schedule are what later comparisons took.

    Args:
      learning_rate: for 256 images a step, scaled linearly with the batch, after 5 epochs of warm-up from a
        quarter of it; divided by 10 at 30, 60, 90 and 100 of 105
        epochs, in proportion for another number of epochs.
      color: what is done about chromatic aberration: channels dropped, as the paper trains, or colours projected.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict,
        view_size=48,
    )  # fmt: skip
    width = here.encoder.width
    head = projection_head(inputs=width, widths=(1000,), last_norm=True, last_bias=True, dtype=here.dtype)
    view = photo_views(
        size=255, scale=(1.0, 1.0), jitter=(0.0, 0.0, 0.0, 0.0), grey=0.0, blur=0.0, views=1,
        mean=here.mean, std=here.std,
    )  # fmt: skip
    peak = learning_rate * batch_size / 256
    return Recipe(
        data=here.data,
        method=RelativePosition(
            here.encoder,
            head,
            classifier=projection_head(inputs=2 * head.width, widths=(1000, 8), last_bias=True, dtype=here.dtype),
        ),
        augment=grid_views(view, size=48, gap=24, jitter=3, finish=without_shortcuts(color=color)),
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            staircase(peak, steps=steps, drops=(30, 60, 90, 100), of=105, warmup=5, start=peak / 4),
            weight_decay=weight_decay,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
