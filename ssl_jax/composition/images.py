"""Images and an encoder for them: the options of every recipe on images."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp

from ssl_jax.augment.views import ViewMaker, evaluation_view
from ssl_jax.composition.opened import Opened
from ssl_jax.composition.views import album_views, demo_views, emoji_views
from ssl_jax.data import Data, Source, open_data
from ssl_jax.data.channels import Channels
from ssl_jax.data.source import labels_of
from ssl_jax.data.statistics import Statistics, measured_statistics
from ssl_jax.errors import UsageError
from ssl_jax.networks import Net
from ssl_jax.networks import encoder as make_encoder
from ssl_jax.networks.encoders import encoders_with
from ssl_jax.sizes import ImageSize, in_words, sides_of, size_of, with_shorter

Precision = Literal["auto", "float32", "bfloat16"]

# Means and standard deviations of the training pixels, in [0, 1], by channel: images are standardised with them.
DIGIT_STATISTICS: Statistics = (0.1307,), (0.3081,)
CIFAR_STATISTICS: Statistics = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
IMAGENET_STATISTICS: Statistics = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def crop_fraction(image_size: ImageSize, stored_size: int | None) -> float:
    """Fraction of a stored image's side that the evaluation view shows; a `UsageError` where it would be above 1."""
    side = min(sides_of(image_size))
    if stored_size is not None and stored_size < side:
        shorter = "" if isinstance(image_size, int) else "the shorter side of "
        raise UsageError(
            f"stored_size: got {stored_size}, expected at least {shorter}the image_size, {in_words(image_size)}: raise it, or "
            "leave it out."
        )
    return side / (stored_size or side)


@dataclass(frozen=True)
class Images:
    """Options of recipes on images.

    Attributes:
      data: embedded "digits", a tfds name such as cifar10 or imagenet2012:train[:10%], a folder of images, files of Parquet,
        Arrow, WebDataset, TFRecord or ArrayRecord, "synthetic".
      image_size: side of the views in pixels, or their height and width, such as 96 128; of images of other shapes the largest
        central part of this shape is taken and resized.
      encoder: encoder of images; `ssl-jax list` has the names.
      stored_size: shorter side to which images are resized on the host; crops are drawn from their central part of the shape of
        image_size, and the evaluation view is its centre; image_size by default.
      precision: type of activations; auto is bfloat16 on accelerators, float32 on CPU.
      strict: refuse unreadable images instead of skipping them.
      norm_groups: parts of the batch with separate batch-norm statistics, as on that many devices that do not exchange them; 1:
        the statistics are those of the whole batch. Layer norms have none.
      statistics: mean and standard deviation of the pixels by channel; not an option. Images are converted to as many
        channels, grayscale ones to three equal channels for instance. When None, those of digits for grayscale images and
        of ImageNet for coloured ones. Other numbers of channels are kept, and their statistics measured.
      view: makes views that suit the images, for minutes on a laptop; not an option.
    """

    data: str | Data = field(metadata={"kind": str})  # Values of the second kind come from Python alone.
    image_size: ImageSize
    encoder: str | Net = field(metadata={"kind": str})
    stored_size: int | None = None
    precision: Precision = "auto"
    strict: bool = False
    norm_groups: int = 1
    statistics: Statistics | None = field(default=None, metadata={"option": False})
    view: Callable[..., ViewMaker] = field(default=demo_views, metadata={"option": False})

    @property
    def crop_fraction(self) -> float:
        """Fraction of a stored image's side that the evaluation view shows."""
        return crop_fraction(self.image_size, self.stored_size)

    def read(self) -> Data:
        """The data alone, in the stored size and with the channels of the statistics."""
        shown: Channels | None = None if self.statistics is None else 1 if len(self.statistics[0]) == 1 else 3
        size = with_shorter(self.image_size, self.stored_size) if self.stored_size else self.image_size
        return open_data(self.data, image_size=size, channels=shown, strict=self.strict)

    def statistics_of(self, train: Source) -> Statistics:
        """Mean and deviation by channel that these images are standardised with; measured where they have neither 1 nor 3."""
        channels = train.image_shape[-1]
        if channels not in (1, 3):
            return measured_statistics(train)
        return self.statistics or (DIGIT_STATISTICS if channels == 1 else IMAGENET_STATISTICS)

    def open(self, *, view_size: ImageSize | None = None, **options: Any) -> Opened:
        """Opens the data and makes the encoder for it.

        Args:
          view_size: side of the encoder's input in pre-training, where that is not a whole image (tiles); ViTs need it.
          options: options of some encoders, such as a ViT's `drop_path`; encoders that lack them are made without.

        Raises:
          UsageError: the data hold clips, or what `open_data` and `networks.encoder` raise.
        """
        images = self.read()
        if len(images.train.image_shape) != 3:
            raise UsageError(
                f"data: {images.name} holds clips, expected images: choose frames, tracks, avid or cma for them."
            )
        channels, dtype = images.train.image_shape[-1], compute_dtype(self.precision)
        options = {"groups": self.norm_groups} | options
        mean, std = self.statistics_of(images.train)
        size = size_of(*sides_of(self.image_size))
        prepare = evaluation_view(size=size, crop_fraction=self.crop_fraction, mean=mean, std=std)
        for name in options:
            if not encoders_with(name):
                raise TypeError(f"Images.open: no encoder has the option {name}")
        if isinstance(self.encoder, Net):
            return Opened(images, self.encoder, size, mean, std, prepare, dtype, self.view, self.norm_groups)
        if not isinstance(self.encoder, str):
            got = getattr(self.encoder, "__name__", type(self.encoder).__name__)
            raise UsageError(
                f"encoder: got {got}, expected a name or a Net: ssl_jax.networks.given.as_encoder makes one of a module "
                "or of functions."
            )
        fitting = {name: value for name, value in options.items() if self.encoder in encoders_with(name)}
        shape = *sides_of(view_size or size), channels
        net = make_encoder(self.encoder, image_shape=shape, dtype=dtype, **fitting)
        return Opened(images, net, size, mean, std, prepare, dtype, self.view, self.norm_groups)

    def open_squares(self, *, method: str, **options: Any) -> Opened:
        """`open` for a method whose views are squares; a `UsageError` where `image_size` is another shape."""
        height, width = sides_of(self.image_size)
        if height != width:
            raise UsageError(
                f"image_size: {method} needs square images, got {in_words(self.image_size)}: give one side, such as "
                f"{min(height, width)}, or choose a method of two views, such as simclr."
            )
        return self.open(**options)

    def open_patches(self, *, method: str, **options: Any) -> Opened:
        """`open` with a ViT that encodes a part of the patches; a `UsageError` where the encoder is no ViT."""
        opened = self.open(**{"positions": "sincos", "pool": "mean"} | options)
        if not opened.patch_size:
            names = ", ".join(encoders_with("patch_size"))
            raise UsageError(f"encoder: {method} masks patches of a ViT, got {self.encoder}: choose one of {names}.")
        return opened

    def open_labelled(self, *, method: str) -> Opened:
        """`open` for a method that learns from labels; a `UsageError` where no training image has one.

        Without labels its loss and its gradient are zero.
        """
        opened = self.open()
        if not has_labels(opened.data.train):
            raise UsageError(
                f"data: {method} learns from labels and none of the {len(opened.data.train)} training images of "
                f"{opened.data.name} has one: choose labelled data, or a method that needs no labels, such as simclr."
            )
        return opened


DIGITS = Images("digits", 28, "small")
EMOJI = Images("emoji", 32, "small", view=emoji_views)
PHOTOS = Images("objects", 96, "resnet18", statistics=IMAGENET_STATISTICS, view=album_views)
VIT_PHOTOS = replace(PHOTOS, encoder="vit_tiny")  # Patches of 12 pixels.
CIFAR = Images("cifar10", 32, "resnet18", statistics=CIFAR_STATISTICS)
IMAGENET = Images("imagenet2012", 224, "resnet50", stored_size=256)


def has_labels(source: Source) -> bool:
    """Whether any example has a label, not -1; where labels are not in memory, examples are read until one has a label."""
    labels = labels_of(source)
    each = (source[number]["label"] for number in range(len(source))) if labels is None else labels
    return bool(source.classes) and any(label >= 0 for label in each)


def compute_dtype(precision: Precision) -> jnp.dtype:
    """Type of activations: "auto" is bfloat16 on accelerators and float32 on CPU. Parameters stay float32."""
    if precision == "auto":
        precision = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return jnp.dtype(precision)
