"""Clips, with sound or without: the options of every recipe on clips, and the views of clips in evaluation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from jax import Array

from ssl_jax.augment.video import sight
from ssl_jax.augment.views import digit_views, evaluation_view
from ssl_jax.composition.images import IMAGENET_STATISTICS, Precision, Statistics, compute_dtype, crop_fraction
from ssl_jax.composition.opened import Opened
from ssl_jax.data import open_data
from ssl_jax.errors import UsageError
from ssl_jax.networks import Net
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.sizes import ImageSize, side_of_square

CLIP_STATISTICS: Statistics = (0.34,), (0.23,)  # Of the drawn clips, which are grayscale.


@dataclass(frozen=True)
class Clips:
    """Options of recipes on clips with sound.

    Attributes:
      data: clips with sound, such as the drawn "clips".
      image_size: side of the views in pixels, which are squares; frames of other sizes are resized.
      stored_size: shorter side to which frames are resized on the host; image_size by default.
      precision: type of activations; auto is bfloat16 on accelerators, float32 on CPU.
      strict: refuse unreadable clips instead of skipping them.
    """

    data: str
    image_size: ImageSize
    stored_size: int | None = None
    precision: Precision = "auto"
    strict: bool = False

    @property
    def side(self) -> int:
        """The side of the views in pixels; a `UsageError` where `image_size` is no square."""
        return side_of_square("clips", self.image_size)

    def open(self, make: Callable[..., Net], *, sound: bool = True) -> Opened:
        """Opens the clips, with `make(channels=, dtype=)` as the encoder of their frames.

        Raises:
          UsageError: the data hold images, or clips without sound where it is needed; or `image_size` is no square.
        """
        side, dtype = self.side, compute_dtype(self.precision)
        size = self.stored_size or side
        clips = open_data(self.data, image_size=size, strict=self.strict)
        moving = len(clips.train.image_shape) == 4
        if sound and not (moving and "audio" in clips.train[0]):
            raise UsageError(f"data: {clips.name} holds no clips with sound: choose clips, or other data with sound.")
        if not moving:
            raise UsageError(f"data: {clips.name} holds no clips but still images: choose silent-clips.")
        mean, std = CLIP_STATISTICS if clips.train.image_shape[-1] == 1 else IMAGENET_STATISTICS
        prepare = evaluation_view(size=side, crop_fraction=crop_fraction(side, self.stored_size), mean=mean, std=std)
        return Opened(clips, make(channels=len(mean), dtype=dtype), side, mean, std, prepare, dtype)


@dataclass(frozen=True)
class Frames(Clips):
    """Options of recipes on frames of clips.

    Attributes:
      data: clips, such as the drawn "silent-clips".
      encoder: encoder of single frames; `ssl-jax list` has the names.
    """

    encoder: str = "small"

    def open_frames(self) -> Opened:
        """`open` with the encoder of one frame; sound is not needed."""

        def make(channels: int, **options: Any) -> Net:
            return make_encoder(self.encoder, image_shape=(self.side, self.side, channels), **options)

        return self.open(make, sound=False)


# One view of a frame: small shifts and changes of brightness. Rotation, position and size vary from frame to frame.
frame_view = partial(
    digit_views, views=1, scale=(0.6, 1.0), degrees=0, translate=0.1, shear=0, brightness=0.6, contrast=0.6
)


def middle_frame(prepare: Callable[[Array], Array]) -> Callable[[Any], Array]:
    """The evaluation view of a clip: that of its middle frame."""

    def view(clip: Any) -> Array:
        video = sight(clip)
        return prepare(video[len(video) // 2])

    return view
