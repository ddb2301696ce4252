"""Views that several recipes share, as arguments of `Opened.views`."""

import functools
from collections.abc import Callable, Sequence

from jax import Array

from ssl_jax.augment.views import ViewMaker, digit_views, joined, multi_crop, photo_views
from ssl_jax.recipes.images import Opened

# A crop and a flip without colour jitter.
crop_views = functools.partial(photo_views, jitter=(0.0, 0.0, 0.0, 0.0), grayscale=0.0, blur=0.0, views=1)

# Small grayscale images, rotated, sheared and zoomed instead of colour jitter; strengths tuned on the embedded digits.
demo_views = functools.partial(
    digit_views, scale=(0.4, 1.0), degrees=20, translate=0.1, zoom=(0.82, 1.22), shear=15, views=2
)

# Emoji: colour jitter and grayscale, since artists colour differently; flips, though they exchange a few pairs (arrows, clock
# times, left and right hands), whose two views show the same drawing all the same; no blur at 32 pixels.
emoji_views = functools.partial(photo_views, scale=(0.3, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), blur=0.0)


def solo_views(
    *,
    size: int,
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


def demo_crops(
    opened: Opened, *, small_size: int, small_views: int, view: Callable[..., ViewMaker] = demo_views
) -> Callable[[Array, Array], dict[str, Array]]:
    """Two large and some small crops of small images, grayscale ones when no `view` is given."""
    small = opened.views(view, size=small_size, views=small_views, scale=(0.15, 0.5))
    return multi_crop(opened.views(view), small)


def swav_crops(
    opened: Opened, *, scale: tuple[float, float], small_size: int, small_views: int, large_size: int | None = None
) -> Callable[[Array, Array], dict[str, Array]]:
    """The crops of SwAV's authors: two large ones, of `scale` of the area and side `image_size` by default, and small ones.

    Source: src/multicropdataset.py of facebookresearch/swav.
    """
    view = functools.partial(photo_views, jitter=(0.8, 0.8, 0.8, 0.2))
    return multi_crop(
        opened.views(view, size=large_size, scale=scale),
        opened.views(view, size=small_size, scale=(0.05, 0.14), views=small_views, blur_kernel="pillow"),
    )


def dino_crops(
    opened: Opened,
    *,
    small_size: int,
    small_views: int,
    large: tuple[float, float] = (0.4, 1.0),
    small: tuple[float, float] = (0.05, 0.4),
    blur: tuple[float, float] = (1.0, 0.1),
) -> Callable[[Array, Array], dict[str, Array]]:
    """Two large crops, of which the second is solarised at times, and some small ones, as DINO, iBOT and DINOv2 train.

    large, small: ranges of the part of the area in a crop; by default those of DINO's small vision transformers.
    blur: probabilities of the first and of the second large crop.

    Source: DataAugmentationDINO in main_dino.py of facebookresearch/dino.
    """
    view = functools.partial(photo_views, scale=large, resampling="cubic", views=1)
    details = functools.partial(photo_views, scale=small, views=small_views, blur_kernel="pillow", resampling="cubic")
    return multi_crop(
        joined(opened.views(view, blur=blur[0]), opened.views(view, blur=blur[1], solarize=0.2)),
        opened.views(details, size=small_size),
    )
