"""Neighbouring frames as views for SimCLR: our demo on drawn clips, and SimCLR's ImageNet settings on real ones."""

from ssl_jax.augment.video import frame_views
from ssl_jax.augment.views import simclr_views
from ssl_jax.methods.frames import Frames
from ssl_jax.optimizers import lars
from ssl_jax.recipes import clips
from ssl_jax.recipes.clips import frame_view, middle_frame
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import Laptop, Training

DRAWN, KINETICS = clips.Frames("silent-clips", 24), clips.Frames("silent-clips", 224, 256, encoder="resnet50")


@recipe
def demo(
    frames: clips.Frames = DRAWN, training: Laptop = Laptop(), *, temperature: float = 0.2, reach: int = 3
) -> Recipe:
    """Minutes on a laptop: drawn moving shapes, evaluated on the middle frame; AdamW.

    Args:
      data: drawn "silent-clips", or other clips.
    """
    opened = frames.open_frames()
    method = Frames(opened.encoder, opened.head(256, 64), temperature=temperature)
    views = frame_views(opened.views(frame_view), reach=reach)
    return opened.recipe(training, method, views, training.adamw, prepare=middle_frame(opened.prepare))


@recipe
def kinetics(
    frames: clips.Frames = KINETICS,
    training: Training = Training(100, 4096, 0.3, 1e-6),
    *,
    temperature: float = 0.1,
    reach: int = 8,
) -> Recipe:
    """SimCLR's ImageNet command on frames of clips; not a published run.

    Args:
      epochs: passes over the training clips.
      learning_rate: peak for a batch of 256, scaled linearly with the batch size.
    """
    opened = frames.open_frames()
    method = Frames(opened.encoder, opened.head(2048, 128, last_norm=True), temperature=temperature)
    views, optimizer = frame_views(opened.views(simclr_views, views=1), reach=reach), training.optimizer(lars)
    return opened.recipe(training, method, views, optimizer, prepare=middle_frame(opened.prepare))
