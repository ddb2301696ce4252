"""AVID: our demo on drawn clips with sound, and the authors' Kinetics runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from jax import Array

from ssl_jax.augment.video import audio_video_evaluation, audio_video_views
from ssl_jax.augment.views import digit_views
from ssl_jax.composition import Laptop, Opened, Recipe, recipe
from ssl_jax.composition.clips import Clips
from ssl_jax.composition.training import Constant
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.avid import AVID
from ssl_jax.networks import Net, small_convnet
from ssl_jax.networks.audio_video import audio_convnet, r2plus1d_18, small_video_convnet
from ssl_jax.optimizers import adam

DRAWN, KINETICS = Clips("clips", 24), Clips("clips", 224, 256)
DEMO = Laptop(epochs=40, batch_size=128)


class Sounding(NamedTuple):
    """Open clips, the four networks of AVID and CMA by name, with the number of clips, and the views of one clip."""

    opened: Opened
    networks: dict[str, Any]
    augment: Callable[[Array, Any], Any]


@recipe(AVID, negatives=256, temperature=0.07)
def demo(clips: Clips = DRAWN, training: Laptop = DEMO, **options: Any) -> Recipe:
    """Minutes on a laptop: drawn moving shapes with sound; AdamW.

    Args:
      data: drawn "clips", or other data with sound.
    """
    opened, networks, augment = open_demo(clips)
    return opened.recipe(training, AVID(**networks, **options), augment, training.adamw)


@recipe(AVID, negatives=1024, temperature=0.07)
def kinetics(clips: Clips = KINETICS, training: Constant = Constant(300, 256, 2e-4, 1e-5), **options: Any) -> Recipe:
    """The authors' Kinetics runs: R(2+1)D-18 and a constant rate. Published: 86.9 % on UCF after fine-tuning.

    Half a second of video in 8 frames, two seconds of sound at 24 kHz. Every clip is jittered; Adam's decay is an L2 penalty
    on all parameters. Source: configs/main/avid/kinetics/Cross-N1024.yaml, datasets/preprocessing.py and utils/main_utils.py of
    facebookresearch/AVID-CMA.

    Args:
      epochs: passes over the training clips; the authors' 30 take 10 clips of each video.
    """
    opened, networks, augment = open_kinetics(clips)
    optimizer = training.optimizer(adam, decay_all=True)
    return opened.recipe(training, AVID(**networks, **options), augment, optimizer)


def open_demo(clips: Clips) -> Sounding:
    """Small grayscale clips, each rotated and zoomed as a whole; encoders of three layers."""
    opened = clips.open(small_video_convnet)
    audio = small_convnet(channels=1, widths=(16, 32, 64), dtype=opened.dtype)
    view = opened.views(digit_views, views=1, scale=(0.6, 1.0), degrees=20, translate=0.1, shear=10)
    augment = audio_video_views(view, window=128, hop=64, volume=(0.5, 1.5))
    opened = replace(opened, prepare=audio_video_evaluation(opened.prepare, window=128, hop=64))
    # Without the last norm the embeddings of all clips start with cosine similarities up to 0.9 and stay so for many epochs.
    return Sounding(opened, networks_of(opened, audio, 128, 64, last_norm=True), augment)


def open_kinetics(clips: Clips) -> Sounding:
    """The views, encoders and heads of the authors' code: a spectrum of 257 frequencies every 10 ms."""
    opened = clips.open(r2plus1d_18)
    audio = audio_convnet(dtype=opened.dtype)
    view = opened.views(crop_views, jitter=(0.4, 0.4, 0.4, 0.2), jitter_probability=1.0)
    augment = audio_video_views(view, window=512, hop=240)
    opened = replace(opened, prepare=audio_video_evaluation(opened.prepare, window=512, hop=240))
    return Sounding(opened, networks_of(opened, audio, 512, 512, 128, norm=False, last_bias=True), augment)


def networks_of(opened: Opened, audio: Net, *widths: int, **options: Any) -> dict[str, Any]:
    """The encoders, and a head with these widths on each of them."""
    return {
        "video": opened.encoder,
        "audio": audio,
        "video_head": opened.head(*widths, **options),
        "audio_head": opened.head(*widths, inputs=audio.width, **options),
        "clips": len(opened.data.train),
    }
