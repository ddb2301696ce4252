"""Views of pretext tasks on one clip: three frames, in order or not; a frame and the sound.

T: frames. Clips and views of frames are as in `ssl_jax.augment.video`.
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.augment.audio import audio_view, log_spectrogram
from ssl_jax.augment.chance import Range
from ssl_jax.augment.video import sight
from ssl_jax.augment.views import ViewMaker
from ssl_jax.errors import UsageError
from ssl_jax.settings import configured


@configured
def order_views(
    view: ViewMaker, *, in_order: float = 0.25, margin: int = 1, reach: int | None = None
) -> Callable[[Array, Any], dict[str, Array]]:
    """Three frames of a clip: in order, or with a middle frame from outside the interval of the other two.

    Both kinds have the same first and last frame, so that these alone reveal nothing. Half of the triples are shown backwards,
    which does not change their class. Intervals are drawn in proportion to their motion, the mean absolute difference of
    neighbouring frames: a triple in which nothing moves has no order.

    Args:
      view: makes the view of one frame; each frame has its own draws.
      in_order: share of the triples in order, 0.25 in the paper.
      margin: smallest distance, in frames, of the wrong middle frame from the interval.
      reach: largest distance of the first and the last frame; None for no limit.

    Returns:
      `(rng, clip) -> {"views": [3, size, size, C], "in_order": int32 0 or 1}`.

    Raises:
      UsageError: no clip `[T, H, W, C]`, or one in which no triple fits.

    Example:
      >>> clip = jax.random.randint(jax.random.key(0), (6, 8, 8, 1), 0, 256).astype(jnp.uint8)
      >>> views = order_views(lambda rng, frame: frame[None] / 255)(jax.random.key(1), clip)
      >>> print(views["views"].shape, views["in_order"].dtype)
      (3, 8, 8, 1) int32

    Source: Misra et al. 2016, https://arxiv.org/abs/1603.08561, section 3: intervals of at most 60 frames, a margin of 15,
    and motion by optical flow.
    """

    def augment(rng: Array, clip: Any) -> dict[str, Array]:
        video = sight(clip)
        table = jnp.asarray(triples(getattr(video, "shape", ()), margin=margin, reach=reach))
        draw_rng, label_rng, turn_rng, *rngs = jax.random.split(rng, 6)
        motion = jnp.abs(jnp.diff(video.astype(jnp.float32), axis=0)).mean(axis=(1, 2, 3))
        moved = jnp.concatenate([jnp.zeros(1), jnp.cumsum(motion)])  # up to each frame
        first, last = table[:, 0], table[:, 3]
        weight = (moved[last] - moved[first]) / (last - first).astype(jnp.float32) + 1e-6
        first, inside, outside, last = table[jax.random.categorical(draw_rng, jnp.log(weight))]
        label = jax.random.bernoulli(label_rng, in_order)
        times = jnp.stack([first, jnp.where(label, inside, outside), last])
        times = jnp.where(jax.random.bernoulli(turn_rng), times[::-1], times)
        seen = [view(key, video[time])[0] for key, time in zip(rngs, times, strict=True)]
        return {"views": jnp.stack(seen), "in_order": label.astype(jnp.int32)}

    return augment


def triples(shape: tuple[int, ...], *, margin: int = 1, reach: int | None = None) -> NDArray[np.int32]:
    """All choices of first, inner, outer and last frame of a clip of this shape, `[N, 4]`, as `order_views` draws them.

    Example:
      >>> print(triples((5, 8, 8, 1), reach=3)[:2])
      [[0 1 3 2]
       [0 1 4 2]]
    """
    frames = shape[0] if len(shape) == 4 else 0
    found = [
        (first, inside, outside, last)
        for first, inside, last in itertools.combinations(range(frames), 3)
        for outside in range(frames)
        if (outside <= first - margin or outside >= last + margin) and (reach is None or last - first <= reach)
    ]
    if margin < 1 or not found:
        raise UsageError(
            f"shuffle_and_learn: needs clips [T, H, W, C] of 3 frames and one outside them, got {shape}, {margin=} and "
            f"{reach=}: choose longer clips, such as silent-clips, a smaller margin of at least 1, or a larger reach."
        )
    return np.array(found, np.int32)


@configured
def frame_and_sound_views(
    view: ViewMaker, *, window: int, hop: int, volume: Range = (0.9, 1.1)
) -> Callable[[Array, Any], dict[str, Array]]:
    """A random frame of a clip, and its sound: `(rng, clip) -> {"views": [V, size, size, C], "audio": [F, S, 1]}`.

    Args:
      view: makes the view of the frame.
      window, hop, volume: as in `audio_view`.

    Example:
      >>> clip = {"image": jnp.zeros((4, 8, 8, 3), jnp.uint8), "audio": jnp.zeros(1600)}
      >>> views = frame_and_sound_views(lambda rng, frame: frame[None] / 255, window=256, hop=160)(jax.random.key(0), clip)
      >>> print(views["views"].shape, views["audio"].shape)
      (1, 8, 8, 3) (10, 129, 1)

    Source: Arandjelovic and Zisserman 2017, https://arxiv.org/abs/1705.08168, section 2.2.
    """
    hear = audio_view(window=window, hop=hop, volume=volume)

    def augment(rng: Array, clip: Any) -> dict[str, Array]:
        time_rng, video_rng, audio_rng = jax.random.split(rng, 3)
        video = clip["image"]
        frame = video[jax.random.randint(time_rng, (), 0, len(video))]
        return {"views": view(video_rng, frame), "audio": hear(audio_rng, clip["audio"])}

    return augment


def frame_and_sound_evaluation(
    prepare: Callable[[Array], Array], *, window: int, hop: int
) -> Callable[[Any], dict[str, Array]]:
    """The evaluation view, of the middle frame: `clip -> {"image": [size, size, C], "audio": [F, S, 1]}`.

    prepare: evaluation view of one frame.

    Example:
      >>> clip = {"image": jnp.zeros((4, 8, 8, 3), jnp.uint8), "audio": jnp.zeros(1600)}
      >>> view = frame_and_sound_evaluation(lambda frame: frame / 255, window=256, hop=160)(clip)
      >>> print(view["image"].shape, view["audio"].shape)
      (8, 8, 3) (10, 129, 1)
    """

    def view(clip: Any) -> dict[str, Array]:
        video = clip["image"]
        audio = log_spectrogram(clip["audio"], window=window, hop=hop)[..., None]
        return {"image": prepare(video[len(video) // 2]), "audio": audio}

    return view
