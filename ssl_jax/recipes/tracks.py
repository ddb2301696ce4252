"""The moving object at two times as views, by SimCLR: our demo on drawn clips, and on real ones."""

from collections.abc import Callable
from typing import Any

from jax import Array

from ssl_jax.augment.video import follow, sight, track_views
from ssl_jax.augment.views import evaluation_view, simclr_views
from ssl_jax.methods.tracks import Tracks
from ssl_jax.optimizers import lars, scaled_cosine
from ssl_jax.recipes.avid import statistics_of
from ssl_jax.recipes.frames import demo_view, middle_frame, networks, open_videos
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, demo_optimizer


@recipe
def demo(
    *,
    data: str = "silent-clips",
    image_size: int = 20,
    stored_size: int = 24,
    encoder: str = "small",
    epochs: float = 50,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    temperature: float = 0.2,
    reach: int = 3,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop: drawn shapes that move, followed and judged by the middle frame; AdamW.

    Args:
      data: drawn "silent-clips", or other clips.
      image_size: side in pixels of the window that follows the object, and of the views.
      stored_size: side of the frames that the window moves in.
      reach: frames from one view to the other, at most.
    """
    clips = open_videos(data, image_size=stored_size, strict=strict)
    statistics = statistics_of(clips)
    net, head = networks(encoder, side=image_size, statistics=statistics, widths=(256, 64), precision=precision)
    view = demo_view(size=image_size, statistics=statistics)
    return Recipe(
        data=clips,
        method=Tracks(net, head, temperature=temperature),
        augment=track_views(view, size=image_size, reach=reach),
        prepare=followed(evaluation_view(size=image_size, mean=statistics[0], std=statistics[1]), size=image_size),
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def kinetics(
    *,
    data: str = "silent-clips",
    image_size: int = 224,
    stored_size: int = 512,
    encoder: str = "resnet50",
    epochs: float = 100,
    batch_size: int = 4096,
    learning_rate: float = 0.3,
    weight_decay: float = 1e-6,
    temperature: float = 0.1,
    reach: int = 8,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Windows of 224 pixels on frames of 512, with SimCLR's ImageNet command; nobody's published run.

    Args:
      data: clips; drawn "silent-clips" stand in for Kinetics.
      image_size: side in pixels of the window that follows the object, and of the views.
      stored_size: side of the frames that the window moves in.
      epochs: passes over the training clips; warm-up takes 10 of them.
      learning_rate: peak for 256 clips a step, scaled linearly with the batch.
      reach: frames from one view to the other, at most.
    """
    clips = open_videos(data, image_size=stored_size, strict=strict)
    statistics = statistics_of(clips)
    mean, std = statistics
    net, head = networks(
        encoder, side=image_size, statistics=statistics, widths=(2048, 128), last_norm=True, precision=precision
    )
    view = simclr_views(size=image_size, views=1, mean=mean, std=std)
    return Recipe(
        data=clips,
        method=Tracks(net, head, temperature=temperature),
        augment=track_views(view, size=image_size, reach=reach),
        prepare=followed(evaluation_view(size=image_size, mean=mean, std=std), size=image_size),
        optimizer=lambda steps: lars(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )


def followed(prepare: Callable[[Array], Array], *, size: int) -> Callable[[Any], Array]:
    """The view of evaluation of a clip: its middle frame in the window that follows what moves."""
    middle = middle_frame(prepare)
    return lambda clip: middle(follow(sight(clip), size=size))
