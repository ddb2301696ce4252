"""Multi-crop: two large crops of an image and some small ones, as an option group of the recipes that train on them."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from jax import Array

from ssl_jax.augment.views import joined, multi_crop, photo_views
from ssl_jax.composition.opened import Opened
from ssl_jax.errors import UsageError

MultiCrop = Callable[[Array, Array], dict[str, Array]]


@dataclass(frozen=True)
class Crops:
    """Options of multi-crop.

    Attributes:
      small_size: side of the small crops in pixels.
      small_views: number of small crops of each image.
    """

    small_size: int = 96
    small_views: int = 6

    def like(self, opened: Opened) -> MultiCrop:
        """Large and small crops by the views that suit the images, for minutes on a laptop.

        Raises:
          UsageError: the images are smaller than the small crops.
        """
        if (side := min(opened.data.train.image_shape[:2])) < self.small_size:
            raise UsageError(
                f"small_size: got {self.small_size}, expected at most {side}, the side of the images: lower --small-size, or "
                "raise --image-size."
            )
        small = opened.views(size=self.small_size, views=self.small_views, scale=(0.15, 0.5))
        return multi_crop(opened.views(), small)

    def swav(self, opened: Opened, *, scale: tuple[float, float], large_size: int | None = None) -> MultiCrop:
        """The crops of SwAV's authors; large ones have `scale` of the area and the side `image_size` by default.

        Source: src/multicropdataset.py of facebookresearch/swav.
        """
        view = functools.partial(photo_views, jitter=(0.8, 0.8, 0.8, 0.2))
        small = opened.views(
            view, size=self.small_size, scale=(0.05, 0.14), views=self.small_views, blur_kernel="pillow"
        )
        return multi_crop(opened.views(view, size=large_size, scale=scale), small)

    def dino(
        self,
        opened: Opened,
        *,
        large: tuple[float, float] = (0.4, 1.0),
        small: tuple[float, float] = (0.05, 0.4),
        blur: tuple[float, float] = (1.0, 0.1),
    ) -> MultiCrop:
        """Two large crops, of which the second is solarised at times, and some small ones, as DINO, iBOT and DINOv2 train.

        large, small: ranges of the part of the area in a crop; by default those of DINO's small vision transformers.
        blur: probabilities of the first and of the second large crop.

        Source: DataAugmentationDINO in main_dino.py of facebookresearch/dino.
        """
        view = functools.partial(photo_views, scale=large, resampling="cubic", views=1)
        details = functools.partial(photo_views, scale=small, blur_kernel="pillow", resampling="cubic")
        return multi_crop(
            joined(opened.views(view, blur=blur[0]), opened.views(view, blur=blur[1], solarize=0.2)),
            opened.views(details, size=self.small_size, views=self.small_views),
        )
