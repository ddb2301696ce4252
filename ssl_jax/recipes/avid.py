"""AVID: our demo on drawn clips that sound, and the authors' Kinetics runs."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax import Array

from ssl_jax.augment.video import audio_video_evaluation, audio_video_views
from ssl_jax.augment.views import digit_views, evaluation_view, photo_views
from ssl_jax.data import Data, open_data
from ssl_jax.errors import UsageError
from ssl_jax.methods.avid import AVID
from ssl_jax.networks import projection_head, small_convnet
from ssl_jax.networks.audio_video import audio_convnet, r2plus1d_18, small_video_convnet
from ssl_jax.optimizers import adam
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import IMAGENET_STATISTICS, Precision, Statistics, compute_dtype, demo_optimizer

CLIP_STATISTICS: Statistics = (0.34,), (0.23,)


class Clips(NamedTuple):
    """Clips with sound, the four networks of AVID and CMA by name, and what stands between."""

    data: Data
    networks: dict[str, Any]
    augment: Callable[[Array, Any], Any]
    prepare: Callable[[Any], Any]


@recipe
def demo(
    *,
    data: str = "clips",
    image_size: int = 24,
    epochs: float = 40,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    negatives: int = 256,
    temperature: float = 0.07,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop: drawn shapes that move and sound; AdamW.

    Args:
      data: drawn "clips", or other data with sound.
      negatives: memories of other clips, for each.
    """
    here = demo_clips(data=data, image_size=image_size, precision=precision, strict=strict)
    return Recipe(
        data=here.data,
        method=AVID(**here.networks, clips=len(here.data.train), negatives=negatives, temperature=temperature),
        augment=here.augment,
        prepare=here.prepare,
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def kinetics(
    *,
    data: str = "clips",
    image_size: int = 224,
    stored_size: int = 256,
    epochs: float = 300,
    batch_size: int = 256,
    learning_rate: float = 2e-4,
    weight_decay: float = 1e-5,
    negatives: int = 1024,
    temperature: float = 0.07,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' Kinetics runs: R(2+1)D-18 and a constant rate; 86.9 % on UCF after fine-tuning there.

    Half a second of video in 8 frames, two seconds of sound at 24 kHz. Every clip is jittered; Adam's decay is L2, of all
    parameters. Source: configs/main/avid/kinetics/Cross-N1024.yaml, datasets/preprocessing.py and utils/main_utils.py of
    facebookresearch/AVID-CMA.

    Args:
      data: data with sound; drawn "clips" stand in for Kinetics.
      epochs: passes over the training clips: 30 with 10 clips of each video there.
      learning_rate: from the first step to the last.
      negatives: memories of other clips, for each.
    """
    here = kinetics_clips(data=data, image_size=image_size, stored_size=stored_size, precision=precision, strict=strict)
    return Recipe(
        data=here.data,
        method=AVID(**here.networks, clips=len(here.data.train), negatives=negatives, temperature=temperature),
        augment=here.augment,
        prepare=here.prepare,
        optimizer=lambda steps: adam(lambda step: learning_rate, weight_decay=weight_decay, decay_all=True),
        batch_size=batch_size,
        epochs=epochs,
    )


def demo_clips(*, data: str, image_size: int, precision: Precision, strict: bool) -> Clips:
    """Small grey clips, turned and zoomed as a whole; encoders of three layers."""
    clips, dtype, sound = open_clips(data, image_size=image_size, strict=strict), compute_dtype(precision), (128, 64)
    mean, std = statistics_of(clips)
    video = small_video_convnet(channels=len(mean), dtype=dtype)
    audio = small_convnet(channels=1, widths=(16, 32, 64), dtype=dtype)
    # Without the last norm all clips began with one embedding, up to 0.9 alike, and stayed there for many epochs.
    heads = [projection_head(inputs=net.width, widths=(128, 64), last_norm=True, dtype=dtype) for net in (video, audio)]
    view = digit_views(
        size=image_size, views=1, scale=(0.6, 1.0), degrees=20, translate=0.1, shear=10, mean=mean, std=std
    )
    prepare = evaluation_view(size=image_size, mean=mean, std=std)
    return Clips(
        clips,
        {"video": video, "audio": audio, "video_head": heads[0], "audio_head": heads[1]},
        audio_video_views(view, window=sound[0], hop=sound[1], volume=(0.5, 1.5)),
        audio_video_evaluation(prepare, window=sound[0], hop=sound[1]),
    )


def kinetics_clips(*, data: str, image_size: int, stored_size: int, precision: Precision, strict: bool) -> Clips:
    """The views, encoders and heads of the authors' code: every 10 ms a spectrum of 257 frequencies."""
    clips, dtype, sound = open_clips(data, image_size=stored_size, strict=strict), compute_dtype(precision), (512, 240)
    mean, std = statistics_of(clips)
    video, audio = r2plus1d_18(channels=len(mean), dtype=dtype), audio_convnet(dtype=dtype)
    heads = [
        projection_head(inputs=net.width, widths=(512, 512, 128), norm=False, last_bias=True, dtype=dtype)
        for net in (video, audio)
    ]
    view = photo_views(
        size=image_size,
        views=1,
        jitter=(0.4, 0.4, 0.4, 0.2),
        jitter_probability=1.0,
        grey=0,
        blur=0,
        mean=mean,
        std=std,
    )
    prepare = evaluation_view(size=image_size, crop_fraction=image_size / stored_size, mean=mean, std=std)
    return Clips(
        clips,
        {"video": video, "audio": audio, "video_head": heads[0], "audio_head": heads[1]},
        audio_video_views(view, window=sound[0], hop=sound[1]),
        audio_video_evaluation(prepare, window=sound[0], hop=sound[1]),
    )


def open_clips(data: str, *, image_size: int, strict: bool) -> Data:
    """Data of clips with sound, or a `UsageError`."""
    clips = open_data(data, image_size=image_size, strict=strict)
    if len(clips.train.image_shape) != 4 or "audio" not in clips.train[0]:
        raise UsageError(f"data: {clips.name} holds no clips with sound: choose clips.")
    return clips


def statistics_of(clips: Data) -> Statistics:
    """By which pixels are standardised: those of the drawn clips for grey ones."""
    return CLIP_STATISTICS if clips.train.image_shape[-1] == 1 else IMAGENET_STATISTICS
