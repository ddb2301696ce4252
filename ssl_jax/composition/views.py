"""Views of single images that several recipes share, as arguments of `Opened.views`."""

import functools
from collections.abc import Sequence

from ssl_jax.augment.views import ViewMaker, digit_views, joined, photo_views
from ssl_jax.sizes import ImageSize

# A crop and a flip without colour jitter.
crop_views = functools.partial(photo_views, jitter=(0.0, 0.0, 0.0, 0.0), grayscale=0.0, blur=0.0, views=1)

# Small grayscale images, rotated, sheared and zoomed instead of colour jitter; strengths tuned on the embedded digits.
demo_views = functools.partial(
    digit_views, scale=(0.4, 1.0), degrees=20, translate=0.1, zoom=(0.82, 1.22), shear=15, views=2
)

# Emoji: colour jitter and grayscale, since artists colour differently; flips, though they exchange a few pairs (arrows, clock
# times, left and right hands), whose two views show the same drawing all the same; no blur at 32 pixels.
emoji_views = functools.partial(photo_views, scale=(0.3, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), blur=0.0)

# Photographs, of which there are few: SimCLR's views with weaker jitter, and no crops of a few pixels.
album_views = functools.partial(photo_views, scale=(0.2, 1.0))


def solo_views(
    *,
    size: ImageSize,
    mean: Sequence[float],
    std: Sequence[float],
    scale: tuple[float, float] = (0.08, 1.0),
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1),
    blur: float = 0.0,
    solarize: tuple[float, float] = (0.0, 0.2),
) -> ViewMaker:
    """solo-learn's two CIFAR views, cropped with Pillow's cubic kernel; by default those of asymmetric.yaml.

    scale, jitter, blur: as in `photo_views`.
    solarize: probabilities of the first and of the second view.

    Source: scripts/pretrain/cifar/augmentations and solo/data/pretrain_dataloader.py of vturrisi/solo-learn.
    """
    view = functools.partial(
        photo_views, size=size, mean=mean, std=std, scale=scale, jitter=jitter, blur=blur,
        blur_kernel="pillow", resampling="cubic", views=1,
    )  # fmt: skip
    return joined(*(view(solarize=probability) for probability in solarize))
