"""Views of one image: random ones for training, and the one for evaluation.

Every function of this file makes a function of ONE image `[H, W, C]`, uint8 or float32 in [0, 1]. The random ones are
`(rng, image) -> [V, size, size, C]` float32, with a key from `rng` for each view: views do not depend on
the batch, nor on its sharding. Values are standardised: `(image - mean) / std` by channel. A `size` may also be
`(height, width)`, and the views are `[V, height, width, C]`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.affine import affine, crop_matrix, sample_affine_matrix
from ssl_jax.augment.blur import pillow_kernel, random_gaussian_blur, simclr_kernel
from ssl_jax.augment.chance import Range
from ssl_jax.augment.color import random_color_jitter, random_grayscale, random_solarize
from ssl_jax.augment.columns import column_view
from ssl_jax.augment.geometry import Kernel, center_crop, random_flip, random_resized_crop, resize, sample_crop_box
from ssl_jax.augment.in_turn import ViewMaker
from ssl_jax.augment.photometric import random_photometric
from ssl_jax.augment.several import several, standardize, unit_range
from ssl_jax.errors import UsageError
from ssl_jax.settings import configured
from ssl_jax.sizes import ImageSize, sides_of

CACHED = 64  # Pixels. Views of this side and smaller ones are made of a whole batch at once, on a CPU too.
BlurKernel = Literal["tenth", "pillow"]
BLUR_KERNELS: dict[str, Callable[[int], int]] = {"tenth": simclr_kernel, "pillow": pillow_kernel}


@configured
def photo_views(
    *,
    size: ImageSize,
    mean: Sequence[float],
    std: Sequence[float],
    scale: Range = (0.08, 1.0),
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1),
    jitter_probability: float = 0.8,
    photometric: float = 0.0,
    grayscale: float = 0.2,
    blur: float = 0.5,
    blur_kernel: BlurKernel = "tenth",
    solarize: float = 0.0,
    flip: bool = True,
    resampling: Kernel = "linear",
    antialias: bool = True,
    views: int = 2,
) -> ViewMaker:
    """Views of photographs: random crop, flip, colour jitter, grayscale, blur, solarisation.

    Args:
      size: side of the views, or their height and width; at most that of the images.
      scale: range of the fraction of the image's area in a crop; its width/height over that of the views lies in [3/4, 4/3].
      jitter: strengths of brightness, contrast, saturation and hue, in random order. Without colour (C other than 3) it is
        brightness and contrast, and `grayscale` does nothing.
      jitter_probability, photometric, grayscale, blur, solarize: probabilities. `photometric` is that of PIRL's four
        transforms, `random_photometric`. Blur's sigma is in [0.1, 2].
      blur_kernel: size of the blur's kernel: "tenth" of the side, as SimCLR's and BYOL's code, or "pillow", wide enough for
        any sigma, as in code that blurs with Pillow. The two are equal from a side of 130 on.
      resampling, antialias: `kernel` and `antialias` of `crop_and_resize`. torchvision's RandomResizedCrop of a Pillow
        image is linear or cubic with antialiasing, TensorFlow's resizing is without. The overshoot of a cubic kernel is
        clipped to [0, 1], as in both.

    Returns:
      `(rng, image) -> [views, size, size, C]`; raises `UsageError` for an image that is too small, or whose channels
      are not those of `mean` and `std`.

    Example:
      >>> views = photo_views(size=32, mean=(0.5,) * 3, std=(0.25,) * 3)
      >>> print(jax.eval_shape(views, jax.random.key(0), jnp.zeros((48, 48, 3), jnp.uint8)).shape)
      (2, 32, 32, 3)
    """
    names = ("brightness", "contrast", "saturation", "hue")
    strengths: dict[str, Any] = dict(zip(names, jitter, strict=True))
    sides = sides_of(size)
    kernel_size = BLUR_KERNELS[blur_kernel](min(sides))

    def view(rng: Array, image: Array) -> Array:
        crop_rng, flip_rng, jitter_rng, grayscale_rng, blur_rng, solarize_rng = jax.random.split(rng, 6)
        image = random_resized_crop(
            crop_rng, image, size=sides, scale=scale, ratio=ratio_of(size), kernel=resampling, antialias=antialias
        )
        image = jnp.clip(image, 0, 1) if resampling == "cubic" else image
        image = random_flip(flip_rng, image) if flip else image
        image = random_color_jitter(jitter_rng, image, **strengths, probability=jitter_probability)
        if photometric:
            image = random_photometric(jax.random.fold_in(jitter_rng, 1), image, probability=photometric)
        image = random_grayscale(grayscale_rng, image, probability=grayscale) if grayscale else image
        if blur:
            image = random_gaussian_blur(blur_rng, image, kernel_size=kernel_size, probability=blur)
        return random_solarize(solarize_rng, image, probability=solarize) if solarize else image

    def alone(rng: Array, image: Array) -> Array:
        return column_view(
            rng, image, size=sides, scale=scale, ratio=ratio_of(size), strengths=strengths, grayscale=grayscale,
            jitter_probability=jitter_probability, blur=blur, kernel_size=kernel_size, solarize=solarize, flip=flip,
            resampling=resampling, antialias=antialias,
        )  # fmt: skip

    together_only = photometric or min(sides) <= CACHED
    return several("photo_views", view, None if together_only else alone, views=views, size=size, mean=mean, std=std)


def simclr_views(
    *,
    size: ImageSize,
    mean: Sequence[float],
    std: Sequence[float],
    strength: float = 1.0,
    min_scale: float = 0.08,
    blur: bool = True,
    flip: bool = True,
    resampling: Kernel = "linear",
    antialias: bool = True,
    views: int = 2,
) -> ViewMaker:
    """SimCLR's `photo_views`: jitter of strengths `strength * (0.8, 0.8, 0.8, 0.2)`. CIFAR's are `strength=0.5, blur=False`.

    The authors resize crops with `resampling="cubic", antialias=False`, in a function of TensorFlow 1 whose kernel has
    a = -0.75 and aligned corners; ours has a = -0.5 and aligned centres.

    Example:
      >>> views = simclr_views(size=32, mean=(0.5,) * 3, std=(0.25,) * 3)
      >>> print(jax.eval_shape(views, jax.random.key(0), jnp.zeros((48, 48, 3), jnp.uint8)).shape)
      (2, 32, 32, 3)

    Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, appendix A; for CIFAR appendix B.9; data_util.py of
    google-research/simclr.
    """
    return photo_views(
        size=size, mean=mean, std=std, scale=(min_scale, 1.0), flip=flip, views=views,
        jitter=(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength), blur=0.5 if blur else 0.0,
        resampling=resampling, antialias=antialias,
    )  # fmt: skip


def byol_views(
    *,
    size: ImageSize,
    mean: Sequence[float],
    std: Sequence[float],
    scale: Range = (0.08, 1.0),
    resampling: Kernel = "linear",
    antialias: bool = True,
) -> ViewMaker:
    """BYOL's two views, which differ: the first is always blurred, the second rarely, but sometimes solarised.

    Example:
      >>> views = byol_views(size=32, mean=(0.5,) * 3, std=(0.25,) * 3)
      >>> print(jax.eval_shape(views, jax.random.key(0), jnp.zeros((48, 48, 3), jnp.uint8)).shape)
      (2, 32, 32, 3)

    Source: Grill et al. 2020, https://arxiv.org/abs/2006.07733, appendix B, table 6.
    """
    view = functools.partial(
        photo_views, size=size, mean=mean, std=std, scale=scale, resampling=resampling, antialias=antialias, views=1
    )
    return joined(view(blur=1.0), view(blur=0.1, solarize=0.2))


@configured
def digit_views(
    *,
    size: ImageSize,
    mean: Sequence[float],
    std: Sequence[float],
    scale: Range = (0.5, 1.0),
    degrees: float = 15.0,
    translate: float = 0.05,
    zoom: Range = (0.9, 1.1),
    shear: float = 15.0,
    brightness: float = 0.4,
    contrast: float = 0.4,
    views: int = 2,
) -> ViewMaker:
    """Views for images of signs, whose class a flip would change: crop, rotation, shear, zoom, shift, brightness, contrast.

    Crop and affine map are one bilinear resampling; pixels outside the image are black.

    Args:
      size: side of the views, or their height and width; at most that of the images, and not much below it, since there is no
        antialiasing.
      scale: range of the fraction of the image's area in a crop.
      degrees, translate, shear: as in `sample_affine_matrix`; 0 leaves each out.
      zoom: range of the magnification, in addition to the crop's.
      brightness, contrast: as in `random_color_jitter`, always applied.

    Returns:
      As `photo_views`.

    Example:
      >>> views = digit_views(size=28, mean=(0.13,), std=(0.31,))
      >>> print(jax.eval_shape(views, jax.random.key(0), jnp.zeros((28, 28, 1), jnp.uint8)).shape)
      (2, 28, 28, 1)
    """

    def view(rng: Array, image: Array) -> Array:
        crop_rng, affine_rng, jitter_rng = jax.random.split(rng, 3)
        whole, sides = image.shape[:2], sides_of(size)
        box = sample_crop_box(crop_rng, image_size=whole, scale=scale, ratio=ratio_of(size))
        turn = sample_affine_matrix(
            affine_rng, size=sides, degrees=degrees, translate=translate, scale=zoom, shear=shear
        )
        image = affine(image, crop_matrix(turn, box, image_size=whole, size=sides), size=sides)
        return random_color_jitter(
            jitter_rng, image, brightness=brightness, contrast=contrast, saturation=0, hue=0, probability=1
        )

    return several("digit_views", view, views=views, size=size, mean=mean, std=std)


@configured
def joined(*makers: ViewMaker) -> ViewMaker:
    """The views of several makers, concatenated, each with its own key: `[V1 + V2 + ..., size, size, C]`.

    Example:
      >>> views = joined(lambda rng, image: image[None], lambda rng, image: jnp.stack([image, image]))
      >>> print(views(jax.random.key(0), jnp.zeros((8, 8, 3))).shape)
      (3, 8, 8, 3)
    """

    def augment(rng: Array, image: Array) -> Array:
        rngs = jax.random.split(rng, len(makers))
        return jnp.concatenate([make(key, image) for make, key in zip(makers, rngs, strict=True)])

    return augment


@configured
def multi_crop(large: ViewMaker, small: ViewMaker) -> Callable[[Array, Array], dict[str, Array]]:
    """Multi-crop of SwAV and DINO: "views" of most of the image, and "small_views", low-resolution crops of small parts.

    Example:
      >>> views = multi_crop(lambda rng, image: image[None], lambda rng, image: image[None, :4, :4])
      >>> print({name: crops.shape for name, crops in views(jax.random.key(0), jnp.zeros((8, 8, 3))).items()})
      {'views': (1, 8, 8, 3), 'small_views': (1, 4, 4, 3)}

    Source: Caron et al. 2020, https://arxiv.org/abs/2006.09882, section 3.2.
    """

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        large_rng, small_rng = jax.random.split(rng)
        return {"views": large(large_rng, image), "small_views": small(small_rng, image)}

    return augment


def evaluation_view(
    *, size: ImageSize, mean: Sequence[float], std: Sequence[float], crop_fraction: float = 1.0
) -> Callable[[Array], Array]:
    """The evaluation view: shorter side resized to `size / crop_fraction`, centre crop, standardised.

    Args:
      size: side of the result, or its height and width, which the image is resized to cover; images may be smaller or larger.
      crop_fraction: fraction of the shorter side that is kept; ImageNet's usual 224 out of 256 is 0.875.

    Returns:
      `image -> [size, size, C]`. An image of that size already is only standardised.

    Example:
      >>> view = evaluation_view(size=32, mean=(0.5,) * 3, std=(0.25,) * 3)
      >>> print(view(jnp.zeros((48, 48, 3), jnp.uint8)).shape)
      (32, 32, 3)
    """
    sides = sides_of(size)
    if min(sides) < 1 or not 0 < crop_fraction <= 1:
        got = f"{size=}, {crop_fraction=}"
        raise UsageError(f"evaluation_view: size must be 1 or more and crop_fraction in (0, 1], got {got}.")
    down, across = (round(side / crop_fraction) for side in sides)

    def view(image: Array) -> Array:
        image = unit_range(image)
        height, width = image.shape[:2]
        by_height = down * width >= across * height
        covering = (down, width * down // height) if by_height else (height * across // width, across)
        if covering != (height, width):
            image = resize(image, size=covering)
        return standardize(center_crop(image, size=sides), mean=mean, std=std)

    return view


def ratio_of(size: ImageSize) -> Range:
    """The usual range of width/height of a crop, so that views of this size are stretched by at most a third.

    Example:
      >>> print([round(ratio, 2) for ratio in ratio_of(32)])
      [0.75, 1.33]
    """
    height, width = sides_of(size)
    return 3 / 4 * (width / height), 4 / 3 * (width / height)
