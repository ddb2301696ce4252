"""Frames near in time as views, by SimCLR: our demo on drawn clips, and SimCLR's ImageNet settings on real ones."""

from collections.abc import Callable
from typing import Any

from jax import Array

from ssl_jax.augment.video import frame_views, sight
from ssl_jax.augment.views import Views, digit_views, evaluation_view, simclr_views
from ssl_jax.data import Data, open_data
from ssl_jax.errors import UsageError
from ssl_jax.methods.frames import Frames
from ssl_jax.networks import Net, projection_head
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.optimizers import lars, scaled_cosine
from ssl_jax.recipes.avid import statistics_of
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, Statistics, compute_dtype, demo_optimizer


@recipe
def demo(
    *,
    data: str = "silent-clips",
    image_size: int = 24,
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
    """Minutes on a laptop: drawn shapes that move, judged by the middle frame; AdamW.

    Args:
      data: drawn "silent-clips", or other clips.
      reach: frames from one view to the other, at most.
    """
    clips = open_videos(data, image_size=image_size, strict=strict)
    statistics = statistics_of(clips)
    net, head = networks(encoder, side=image_size, statistics=statistics, widths=(256, 64), precision=precision)
    return Recipe(
        data=clips,
        method=Frames(net, head, temperature=temperature),
        augment=frame_views(demo_view(size=image_size, statistics=statistics), reach=reach),
        prepare=middle_frame(evaluation_view(size=image_size, mean=statistics[0], std=statistics[1])),
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def kinetics(
    *,
    data: str = "silent-clips",
    image_size: int = 224,
    stored_size: int = 256,
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
    """SimCLR's ImageNet command on frames of clips; nobody's published run.

    Args:
      data: clips; drawn "silent-clips" stand in for Kinetics.
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
    prepare = evaluation_view(size=image_size, crop_fraction=image_size / stored_size, mean=mean, std=std)
    return Recipe(
        data=clips,
        method=Frames(net, head, temperature=temperature),
        augment=frame_views(view, reach=reach),
        prepare=middle_frame(prepare),
        optimizer=lambda steps: lars(
            scaled_cosine(learning_rate, batch_size=batch_size, epochs=epochs, steps=steps), weight_decay=weight_decay
        ),
        batch_size=batch_size,
        epochs=epochs,
    )


def open_videos(data: str, *, image_size: int, strict: bool) -> Data:
    """Data of clips, with sound or without, or a `UsageError`."""
    clips = open_data(data, image_size=image_size, strict=strict)
    if len(clips.train.image_shape) != 4:
        raise UsageError(f"data: {clips.name} holds no clips but still images: choose silent-clips.")
    return clips


def networks(
    encoder: str,
    *,
    side: int,
    statistics: Statistics,
    widths: tuple[int, ...],
    precision: Precision,
    last_norm: bool = False,
) -> tuple[Net, Net]:
    """The encoder of one frame of this side, and SimCLR's head on it."""
    dtype = compute_dtype(precision)
    net = make_encoder(encoder, image_shape=(side, side, len(statistics[0])), dtype=dtype)
    return net, projection_head(inputs=net.width, widths=widths, last_norm=last_norm, dtype=dtype)


def demo_view(*, size: int, statistics: Statistics) -> Views:
    """One view of a frame: moved and lit a little otherwise. Turns, places and sizes are left to time."""
    return digit_views(
        size=size, views=1, scale=(0.6, 1.0), degrees=0, translate=0.1, shear=0, brightness=0.6, contrast=0.6,
        mean=statistics[0], std=statistics[1],
    )  # fmt: skip


def middle_frame(prepare: Callable[[Array], Array]) -> Callable[[Any], Array]:
    """The view of evaluation of a clip: that of its middle frame."""

    def view(clip: Any) -> Array:
        video = sight(clip)
        return prepare(video[len(video) // 2])

    return view
