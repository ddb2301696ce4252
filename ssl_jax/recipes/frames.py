"""Neighbouring frames as views for SimCLR: our demo on drawn clips, and SimCLR's ImageNet settings on real ones."""

from typing import Any

from ssl_jax.augment.video import frame_views
from ssl_jax.augment.views import simclr_views
from ssl_jax.composition import Laptop, Recipe, Training, clips, recipe
from ssl_jax.composition.clips import frame_view, middle_frame
from ssl_jax.methods.frames import Frames
from ssl_jax.optimizers import lars

DRAWN, KINETICS = clips.Frames("silent-clips", 24), clips.Frames("silent-clips", 224, 256, encoder="resnet50")


@recipe(Frames, temperature=0.2)
def demo(frames: clips.Frames = DRAWN, training: Laptop = Laptop(), *, reach: int = 3, **options: Any) -> Recipe:
    """Minutes on a laptop: drawn moving shapes, evaluated on the middle frame; AdamW.

    Args:
      data: drawn "silent-clips", or other clips.
    """
    opened = frames.open_frames()
    method, views = Frames(opened.encoder, opened.head(256, 64), **options), opened.views(frame_view)
    prepare = middle_frame(opened.prepare)
    return opened.recipe(training, method, frame_views(views, reach=reach), training.adamw, prepare=prepare)


@recipe(Frames, temperature=0.1)
def kinetics(
    frames: clips.Frames = KINETICS,
    training: Training = Training(100, 4096, 0.3, 1e-6),
    *,
    reach: int = 8,
    **options: Any,
) -> Recipe:
    """SimCLR's ImageNet command on frames of clips; not a published run.

    Args:
      epochs: passes over the training clips.
    """
    opened = frames.open_frames()
    method = Frames(opened.encoder, opened.head(2048, 128, last_norm=True), **options)
    views, optimizer = frame_views(opened.views(simclr_views, views=1), reach=reach), training.optimizer(lars)
    return opened.recipe(training, method, views, optimizer, prepare=middle_frame(opened.prepare))
