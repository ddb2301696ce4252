"""Two crops of a tracked object at two times as views for SimCLR: our demo on drawn clips, and on real ones."""

from collections.abc import Callable
from typing import Any

from jax import Array

from ssl_jax.augment.video import follow, sight, track_views
from ssl_jax.augment.views import evaluation_view, simclr_views
from ssl_jax.composition import Laptop, Opened, Recipe, Training, recipe
from ssl_jax.composition.clips import Frames, frame_view, middle_frame
from ssl_jax.methods.tracks import Tracks
from ssl_jax.optimizers import lars

DRAWN, KINETICS = Frames("silent-clips", 20, 24), Frames("silent-clips", 224, 512, encoder="resnet50")


def followed(opened: Opened, *, size: int) -> Callable[[Any], Array]:
    """The evaluation view of a clip: its middle frame, cropped to the window of this side that follows the moving object."""
    middle = middle_frame(evaluation_view(size=size, mean=opened.mean, std=opened.std))
    return lambda clip: middle(follow(sight(clip), size=size))


@recipe(Tracks, temperature=0.2)
def demo(frames: Frames = DRAWN, training: Laptop = Laptop(), *, reach: int = 3, **options: Any) -> Recipe:
    """Minutes on a laptop: drawn moving shapes, tracked and evaluated on the middle frame; AdamW.

    Args:
      data: drawn "silent-clips", or other clips.
      image_size: side in pixels of the window that follows the object, and of the views.
      stored_size: side of the frames in which the window moves, in pixels.
    """
    opened = frames.open_frames()
    method = Tracks(opened.encoder, opened.head(256, 64), **options)
    views = track_views(opened.views(frame_view), size=frames.side, reach=reach)
    return opened.recipe(training, method, views, training.adamw, prepare=followed(opened, size=frames.side))


@recipe(Tracks, temperature=0.1)
def kinetics(
    frames: Frames = KINETICS, training: Training = Training(100, 4096, 0.3, 1e-6), *, reach: int = 8, **options: Any
) -> Recipe:
    """Windows of 224 pixels on frames of 512, with SimCLR's ImageNet command; not a published run.

    Args:
      image_size: side in pixels of the window that follows the object, and of the views.
      stored_size: side of the frames in which the window moves, in pixels.
      epochs: passes over the training clips.
    """
    opened = frames.open_frames()
    method = Tracks(opened.encoder, opened.head(2048, 128, last_norm=True), **options)
    views = track_views(opened.views(simclr_views, views=1), size=frames.side, reach=reach)
    return opened.recipe(training, method, views, training.optimizer(lars), prepare=followed(opened, size=frames.side))
