"""Losses between video and audio: each modality identifies the example of the other.

B: clips of this shard; P: positives of a clip; K: negatives; L: clips of the data set; D: size of an embedding. Memory
entries, positives and negatives are rows of two banks, one per modality, and constants. Negatives are `[K, D]`, shared by the
batch, or `[B, K, D]`; never the clip itself (`bank.others`).

Each loss is a composition of one estimator, called as `estimator(query, positive, negatives)` on `[B, D]`, `[B, D]` and
the negatives, which returns the mean over the whole batch. The default, `info_nce`, is a softmax over the positive and
the negatives; for the paper's noise-contrastive estimation pass `nce`. Temperature, partition constant and axis name are
bound by `functools.partial`.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.losses.negatives import info_nce
from ssl_jax.ops.checks import check_arrays, check_choice, check_count, check_function, check_one_shape
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import unit_length

Estimator = Callable[[Array, Array, Array], Array]
Agreement = Literal["both", "either", "video", "audio"]

# How the similarities of two clips in video and in audio become one.
AGREEMENTS: dict[Agreement, Callable[[Array, Array], Array]] = {
    "both": jnp.minimum,
    "either": jnp.maximum,
    "video": lambda video, audio: video,
    "audio": lambda video, audio: audio,
}


@on_explicit_axes
def avid(
    video: Array,
    audio: Array,
    video_memory: Array,
    audio_memory: Array,
    video_negatives: Array,
    audio_negatives: Array,
    *,
    estimator: Estimator = info_nce,
) -> Array:
    """Cross-modal instance discrimination of AVID: video is the query for the audio of its clip, and audio for the video.

    Within one modality nothing is compared, which the paper found better than comparing both ways.

    Args:
      video, audio: embeddings of the clips, `[B, D]`.
      video_memory, audio_memory: bank entries of the same clips, `[B, D]`.
      video_negatives, audio_negatives: bank entries of other clips, 1024 in the paper.
      estimator: `(query, positive, negatives) -> scalar`: `info_nce`, or `nce` with its options bound by `functools.partial`.

    Returns:
      Mean of the two directions, a scalar.

    Raises:
      ValueError: an argument is not an array of real indices; otherwise as the estimator.

    Example:
      >>> clips, others = jnp.eye(8)[:2], jnp.eye(8)[2:]
      >>> print(f"{avid(clips, clips, clips, clips, others, others):.5f}, chance level {np.log(6 + 1):.3f}")
      0.00000, chance level 1.946

    Source: Morgado et al. 2021, https://arxiv.org/abs/2004.12943, equation 2.
    """
    check_function("avid", estimator=estimator)
    check_one_shape("avid", "[B, D]", video=video, audio=audio, video_memory=video_memory, audio_memory=audio_memory)
    _check_negatives("avid", video, video_negatives=video_negatives, audio_negatives=audio_negatives)
    video_to_audio = estimator(video, lax.stop_gradient(audio_memory), lax.stop_gradient(audio_negatives))
    audio_to_video = estimator(audio, lax.stop_gradient(video_memory), lax.stop_gradient(video_negatives))
    return (video_to_audio + audio_to_video) / 2


@on_explicit_axes
def cma(
    video: Array,
    audio: Array,
    video_positives: Array,
    audio_positives: Array,
    video_negatives: Array,
    audio_negatives: Array,
    *,
    estimator: Estimator = info_nce,
) -> Array:
    """Positive discrimination within each modality: the part that cross-modal agreement adds to `avid`.

    Each clip is a query for clips that are similar to it in both modalities (`agreeing_clips`), in video and in audio
    separately. The whole objective is `avid(...) + cma(...)`, started from a model trained with `avid`.

    Args:
      video, audio: embeddings of the clips, `[B, D]`.
      video_positives, audio_positives: bank entries of the P positives of each clip, `[B, P, D]`.
      video_negatives, audio_negatives: bank entries of other clips that are not positives.
      estimator: as in `avid`.

    Returns:
      Mean over the positives and the two modalities, a scalar.

    Raises:
      ValueError: the positives are not `[B, P, D]` with at least one.

    Example:
      >>> clips, others = jnp.eye(8)[:2], jnp.eye(8)[2:]
      >>> print(f"{cma(clips, clips, clips[:, None], clips[:, None], others, others):.5f}, chance level {np.log(6 + 1):.3f}")
      0.00000, chance level 1.946

    Source: Morgado et al. 2021, https://arxiv.org/abs/2004.12943, equation 7.
    """
    check_function("cma", estimator=estimator)
    check_one_shape("cma", "[B, D]", video=video, audio=audio)
    check_one_shape("cma", "[B, P, D]", video_positives=video_positives, audio_positives=audio_positives)
    if video_positives.shape[::2] != video.shape:
        raise ValueError(
            f"cma: needs video [B, D] and video_positives, audio_positives [B, P, D], got {video.shape} and "
            f"{video_positives.shape}"
        )
    _check_negatives("cma", video, video_negatives=video_negatives, audio_negatives=audio_negatives)
    by_sight = _mean_over_positives(estimator, video, video_positives, video_negatives)
    by_sound = _mean_over_positives(estimator, audio, audio_positives, audio_negatives)
    return (by_sight + by_sound) / 2


def _mean_over_positives(estimator: Estimator, query: Array, positives: Array, negatives: Array) -> Array:
    positives, negatives = lax.stop_gradient(positives), lax.stop_gradient(negatives)
    return jax.vmap(lambda positive: estimator(query, positive, negatives), in_axes=1)(positives).mean()


def _check_negatives(function: str, clips: Array, **arrays: Array) -> None:
    check_arrays(function, **arrays)
    for name, array in arrays.items():
        fits = array.ndim in (2, 3) and array.shape[-1] == clips.shape[1] and array.shape[:-2] in ((), clips.shape[:1])
        if not fits or array.size == 0:
            shapes = f"{array.shape} for clips {clips.shape}"
            raise ValueError(f"{function}: {name} must be [K, D] or [B, K, D], not empty, got {shapes}")


@on_explicit_axes
def correspondence(own: Array, other: Array, *, axis_name: str | None = None) -> Array:
    """Binary cross-entropy of audio-visual correspondence: does the sound belong to the picture? In nats.

    Chance level, where all log-odds are 0, is log 2.

    Args:
      own: log-odds `[B]` that a frame and the sound of its clip belong together, as they do.
      other: log-odds `[B]`, or `[B, K]`, of a frame and the sounds of other clips.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean of the mean over right pairs and that over wrong ones, a scalar.

    Raises:
      ValueError: the arguments are not real arrays `[B]` and `[B]` or `[B, K]`, or are empty.

    Example:
      >>> print(f"{correspondence(jnp.array([2.0, 1.0]), jnp.array([-2.0, 0.0])):.3f}, chance level {np.log(2):.3f}")
      0.315, chance level 0.693

    Source: Arandjelovic and Zisserman 2017, https://arxiv.org/abs/1705.08168, section 2.
    """
    check_arrays("correspondence", own=own, other=other)
    if own.ndim != 1 or other.shape[:1] != own.shape or other.ndim > 2 or not other.size:
        raise ValueError(
            f"correspondence: needs own [B] and other [B] or [B, K], not empty, got {own.shape} and {other.shape}"
        )
    right, wrong = jax.nn.softplus(-own.astype(jnp.float32)), jax.nn.softplus(other.astype(jnp.float32))
    return mean_over_shards((right.mean() + wrong.mean()) / 2, axis_name)


@on_explicit_axes
def agreeing_clips(
    video: Array, audio: Array, *, count: int = 32, agreement: Agreement = "both", block_size: int = 1024
) -> Array:
    """For each clip the `count` others with the largest minimum of the two modalities' similarities, best first.

    Computed on the banks of a model trained with `avid`, in blocks: memory is O(block L).

    Args:
      video, audio: banks of the whole data set, `[L, D]`.
      count: positives of each clip; below L.
      agreement: both, the smaller similarity; or, for comparison, either, the larger one (the authors' union), video or audio,
        that of one modality.
      block_size: clips compared with all others at once.

    Returns:
      `[L, count]` int32.

    Raises:
      ValueError: the banks do not have one shape, or hold no `count` other clips; or an unknown agreement.

    Example:
      >>> angles = jnp.array([0.0, 0.1, 2.0, 2.1])
      >>> bank = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
      >>> print(agreeing_clips(bank, bank, count=1).ravel())
      [1 0 3 2]

    Source: Morgado et al. 2021, https://arxiv.org/abs/2004.12943, equation 4.
    """
    check_one_shape("agreeing_clips", "[L, D]", video=video, audio=audio)
    check_count("agreeing_clips", count=count, block_size=block_size)
    if count >= len(video):
        raise ValueError(f"agreeing_clips: count must be from 1 to {len(video) - 1}, the other clips, got {count}")
    check_choice("agreeing_clips", AGREEMENTS, agreement=agreement)
    combine = AGREEMENTS[agreement]
    video, audio = unit_length(video), unit_length(audio)
    indices = jnp.arange(len(video), dtype=jnp.int32)

    def neighbours(clip):
        sight = jnp.dot(video, video[clip], precision="highest")
        sound = jnp.dot(audio, audio[clip], precision="highest")
        similarity = jnp.where(indices == clip, -jnp.inf, combine(sight, sound))
        return lax.top_k(similarity, count)[1].astype(jnp.int32)

    return lax.map(neighbours, indices, batch_size=min(block_size, len(video)))
