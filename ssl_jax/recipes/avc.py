"""Audio-visual correspondence: our demo on drawn clips with sound, and the settings of L3-Net and AVOL-Net for real ones."""

from functools import partial
from typing import Any

from ssl_jax.augment.clip_tasks import frame_and_sound_evaluation, frame_and_sound_views
from ssl_jax.augment.views import digit_views
from ssl_jax.composition import Laptop, Opened, Recipe, recipe
from ssl_jax.composition.clips import Clips
from ssl_jax.composition.training import Constant
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.avc import AVC, Fusion
from ssl_jax.networks import Net, small_convnet
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.networks.audio_video import audio_convnet
from ssl_jax.optimizers import adam

DRAWN, KINETICS = Clips("clips", 24), Clips("clips", 224, 256)


def make_method(opened: Opened, audio: Net, *, fusion: Fusion, **options: Any) -> AVC:
    """A linear layer of 128 outputs on each encoder; on each position of the last map of frames for fusion map."""
    last = list(opened.encoder.layers.values())[-2 if fusion == "map" else -1]
    options |= {"video_head": opened.linear(128, inputs=last), "audio_head": opened.linear(128, inputs=audio.width)}
    return AVC(video=opened.encoder, audio=audio, fusion=fusion, **options)


@recipe(AVC, fusion="concatenate", negatives=1)
def demo(clips: Clips = DRAWN, training: Laptop = Laptop(20, 128), **options: Any) -> Recipe:
    """Minutes on a laptop: a frame of drawn shapes, and the sound; AdamW.

    A third of the wrong sounds fit the frame, since each outline has two of six timbres: who knows classes alone is correct on
    83.3 % of the pairs at best.

    Args:
      data: drawn "clips", or other data with sound.
    """
    # The last layer keeps a map of 6 x 6 positions.
    opened = clips.open(partial(small_convnet, strides=(2, 2, 1)))
    audio = small_convnet(channels=1, widths=(16, 32, 64), dtype=opened.dtype)
    view = opened.views(digit_views, views=1, scale=(0.6, 1.0), degrees=20, translate=0.1, shear=10)
    views = frame_and_sound_views(view, window=128, hop=64, volume=(0.5, 1.5))
    prepare = frame_and_sound_evaluation(opened.prepare, window=128, hop=64)
    return opened.recipe(training, make_method(opened, audio, **options), views, training.adamw, prepare=prepare)


@recipe(AVC, fusion="concatenate", negatives=1)
def kinetics(clips: Clips = KINETICS, training: Constant = Constant(150, 256, 1e-4, 1e-5), **options: Any) -> Recipe:
    """The settings of "Look, Listen and Learn", with a ResNet-18 for frames and AVID's encoder of sound.

    Published: 78 % of the pairs of Flickr-SoundNet. Theirs are VGG-like networks and one second of sound at 48 kHz. Source:
    sections 2.1 and 2.2 of the paper.

    Args:
      epochs: passes over the training clips; the authors' 60 million pairs are 150 for each of 400,000 videos.
    """

    def make(channels: int, **options: Any) -> Net:
        return make_encoder("resnet18", image_shape=(clips.side, clips.side, channels), **options)

    opened = clips.open(make)
    view = opened.views(crop_views, scale=(0.7, 1.0), jitter=(0.4, 0.0, 0.4, 0.0), jitter_probability=1.0)
    views = frame_and_sound_views(view, window=512, hop=240)
    prepare = frame_and_sound_evaluation(opened.prepare, window=512, hop=240)
    method = make_method(opened, audio_convnet(dtype=opened.dtype), **options)
    return opened.recipe(training, method, views, training.optimizer(adam, decay_all=True), prepare=prepare)
