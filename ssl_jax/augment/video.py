"""Views of one clip: the same view of every frame, two neighbouring frames, the moving object at two times.

T: frames. A clip is a video `[T, H, W, C]`, uint8 or float32 in [0, 1], or a dict with the video under "image" and other
arrays such as "audio". Views of frames come from `ssl_jax.augment.views`; nothing depends on the batch.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.audio import audio_view, log_spectrogram
from ssl_jax.augment.chance import Range
from ssl_jax.augment.geometry import crop_and_resize
from ssl_jax.augment.views import ViewMaker
from ssl_jax.errors import UsageError
from ssl_jax.settings import configured


def sight(clip: Any) -> Any:
    """The video of a clip with sound; any other value unchanged.

    Example:
      >>> print(sight({"image": jnp.zeros((4, 8, 8, 3)), "audio": jnp.zeros(1600)}).shape)
      (4, 8, 8, 3)
    """
    return clip["image"] if isinstance(clip, dict) else clip


@configured
def audio_video_views(
    view: ViewMaker, *, window: int, hop: int, volume: Range = (0.9, 1.1)
) -> Callable[[Array, Any], dict[str, Array]]:
    """The views of AVID and CMA of a clip with sound.

    Args:
      view: makes the view of one frame; all frames of a clip share its draws, so that only the object moves.
      window, hop, volume: as in `audio_view`.

    Returns:
      `(rng, clip) -> {"views": [V, T, size, size, C], "audio": [F, S, 1]}`.

    Example:
      >>> clip = {"image": jnp.zeros((4, 8, 8, 3), jnp.uint8), "audio": jnp.zeros(1600)}
      >>> views = audio_video_views(lambda rng, frame: frame[None] / 255, window=256, hop=160)(jax.random.key(0), clip)
      >>> print(views["views"].shape, views["audio"].shape)
      (1, 4, 8, 8, 3) (10, 129, 1)
    """
    hear = audio_view(window=window, hop=hop, volume=volume)

    def augment(rng: Array, clip: Any) -> dict[str, Array]:
        video_rng, audio_rng = jax.random.split(rng)
        seen = jax.vmap(view, in_axes=(None, 0), out_axes=1)(video_rng, clip["image"])
        return {"views": seen, "audio": hear(audio_rng, clip["audio"])}

    return augment


def audio_video_evaluation(
    prepare: Callable[[Array], Array], *, window: int, hop: int
) -> Callable[[Any], dict[str, Array]]:
    """The evaluation view: `clip -> {"image": [T, size, size, C], "audio": [F, S, 1]}`.

    prepare: evaluation view of one frame.

    Example:
      >>> clip = {"image": jnp.zeros((4, 8, 8, 3), jnp.uint8), "audio": jnp.zeros(1600)}
      >>> view = audio_video_evaluation(lambda frame: frame / 255, window=256, hop=160)(clip)
      >>> print(view["image"].shape, view["audio"].shape)
      (4, 8, 8, 3) (10, 129, 1)
    """

    def view(clip: Any) -> dict[str, Array]:
        audio = log_spectrogram(clip["audio"], window=window, hop=hop)[..., None]
        return {"image": jax.vmap(prepare)(clip["image"]), "audio": audio}

    return view


@configured
def frame_views(view: ViewMaker, *, reach: int) -> ViewMaker:
    """Two frames of a clip, at most `reach` frames distance and not the same, each as one `view`: `[2 V, size, size, C]`.

    The change over time replaces hand-made augmentations.

    Raises:
      UsageError: a clip of one frame, another array than a clip, or a reach below 1.

    Example:
      >>> views = frame_views(lambda rng, frame: frame[None] / 255, reach=2)
      >>> print(views(jax.random.key(0), jnp.zeros((6, 8, 8, 3), jnp.uint8)).shape)
      (2, 8, 8, 3)

    Source: Mobahi et al. 2009, "Deep learning from temporal coherence in video", https://doi.org/10.1145/1553374.1553469;
    Gordon et al. 2020, "Watching the World Go By", https://arxiv.org/abs/2003.07990.
    """

    def augment(rng: Array, clip: Any) -> Array:
        video = _checked("frames", sight(clip), reach=reach)
        times_rng, *rngs = jax.random.split(rng, 3)
        both = two_times(times_rng, frames=len(video), reach=reach)
        return jnp.concatenate([view(key, video[time]) for key, time in zip(rngs, both, strict=True)])

    return augment


@configured
def track_views(view: ViewMaker, *, size: int, reach: int) -> ViewMaker:
    """The moving object at two times, at most `reach` frames distance: `frame_views` of a window that follows it.

    The static background is then no longer the same in both views, so that they cannot agree on it.

    Args:
      view: makes the view of a window.
      size: side of the window in pixels; at most that of the frames.

    Raises:
      UsageError: as `frame_views`, or a window larger than the frames.

    Example:
      >>> views = track_views(lambda rng, frame: frame[None], size=6, reach=2)
      >>> print(views(jax.random.key(0), jnp.zeros((6, 8, 8, 3), jnp.uint8)).shape)
      (2, 6, 6, 3)

    Source: Wang and Gupta 2015, https://arxiv.org/abs/1505.00687: patches that a tracker connects are positives.
    """
    pair = frame_views(view, reach=reach)

    def augment(rng: Array, clip: Any) -> Array:
        return pair(rng, follow(_checked("tracks", sight(clip), reach=reach), size=size))

    return augment


def follow(video: Array, *, size: int) -> Array:
    """A window of side `size` that follows the moving object: `[T, H, W, C]` in, float32 in [0, 1] `[T, size, size, C]` out.

    Its centre is, in each frame, the mean position weighted by the fourth power of the difference from the pixel's median
    over time, so that noise has little weight; rounded to pixels and clipped to the frame.

    Example:
      >>> print(follow(jnp.zeros((6, 8, 8, 3), jnp.uint8), size=4).shape)
      (6, 4, 4, 3)
    """
    height, width = video.shape[1:3]
    if not 1 <= size <= min(height, width):
        raise UsageError(f"tracks: the window of {size} pixels must fit into frames of {height} x {width}.")
    video = video.astype(jnp.float32) / (255 if video.dtype == jnp.uint8 else 1)
    change = jnp.square(video - jnp.median(video, axis=0, keepdims=True)).sum(axis=-1)
    weight = jnp.square(change) + 1e-12  # gives the centre of the frame where nothing moves
    weight = weight / weight.sum(axis=(1, 2), keepdims=True)
    rows, columns = (jnp.arange(side, dtype=jnp.float32) + 0.5 for side in (height, width))
    middle = jnp.stack([(weight * rows[None, :, None]).sum((1, 2)), (weight * columns[None, None]).sum((1, 2))], axis=1)
    last = jnp.array([[height - size, width - size]], jnp.float32)
    corner = jnp.clip(jnp.round(middle - size / 2), 0, last)

    def window(frame: Array, corner: Array) -> Array:
        box = jnp.concatenate([corner, jnp.full(2, size, corner.dtype)])
        return crop_and_resize(frame, box, size=(size, size))

    return jax.vmap(window)(video, corner)


def two_times(rng: Array, *, frames: int, reach: int) -> Array:
    """Two different frames, `[2]` int32, at most `reach` distance; uniform over all such ordered pairs.

    Example:
      >>> first, second = two_times(jax.random.key(0), frames=6, reach=2)
      >>> print(1 <= abs(first - second) <= 2)
      True
    """
    first, second = jnp.meshgrid(jnp.arange(frames), jnp.arange(frames), indexing="ij")
    distance = jnp.abs(first - second).ravel()
    allowed = jnp.where((distance >= 1) & (distance <= reach), 0.0, -jnp.inf)
    picked = jax.random.categorical(rng, allowed)
    return jnp.stack([picked // frames, picked % frames]).astype(jnp.int32)


def _checked(name: str, video: Array, *, reach: int) -> Array:
    if video.ndim != 4 or len(video) < 2 or reach < 1:
        raise UsageError(
            f"{name}: needs clips [T, H, W, C] of 2 frames or more and a reach of at least 1, got {video.shape} and "
            f"{reach=}: choose data such as silent-clips."
        )
    return video
