"""Open data and the encoder for them, from which a recipe is built."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from ssl_jax.augment.views import ViewMaker
from ssl_jax.composition.recipe import Recipe
from ssl_jax.composition.training import Run
from ssl_jax.composition.views import demo_views
from ssl_jax.data import Data
from ssl_jax.errors import UsageError
from ssl_jax.methods.method import Method
from ssl_jax.networks import Net, linear_head, projection_head
from ssl_jax.optimizers import Optimizer
from ssl_jax.sizes import ImageSize, sides_of, size_of


@dataclass(frozen=True)
class Opened:
    """Open data, the encoder for them, and the properties of both that a recipe needs.

    Attributes:
      image_size: side of the views in pixels; height and width where they are no squares.
      mean, std: statistics of the pixels, by channel.
      prepare: makes the evaluation view.
      dtype: type of the activations.
      view: makes views that suit the images, for minutes on a laptop.
      norm_groups: parts of the batch with separate batch-norm statistics, in the encoder and in heads.
    """

    data: Data
    encoder: Net
    image_size: ImageSize
    mean: tuple[float, ...]
    std: tuple[float, ...]
    prepare: Callable[[Any], Any]
    dtype: jnp.dtype
    view: Callable[..., ViewMaker] = demo_views
    norm_groups: int = 1

    @property
    def channels(self) -> int:
        """Number of channels of the images."""
        return len(self.mean)

    @property
    def patch_size(self) -> int:
        """Side of the encoder's patches in pixels, 0 if it is no ViT."""
        return self.encoder.patch_size or 0

    @property
    def grid(self) -> ImageSize:
        """Number of patches along a side of an image, or rows and columns, if the encoder is a ViT."""
        height, width = sides_of(self.image_size)
        return size_of(height // self.patch_size, width // self.patch_size)

    def head(self, *widths: int, inputs: int | None = None, **options: Any) -> Net:
        """A projection head on the encoder, or on another number of `inputs`; options are those of `projection_head`."""
        options = {"groups": self.norm_groups} | options
        return projection_head(inputs=inputs or self.encoder.width, widths=widths, dtype=self.dtype, **options)

    def linear(self, outputs: int, *, inputs: int | None = None) -> Net:
        """One linear layer on the encoder, or on another number of `inputs`."""
        return linear_head(inputs=inputs or self.encoder.width, outputs=outputs, dtype=self.dtype)

    def views(
        self, make: Callable[..., ViewMaker] | None = None, *, size: ImageSize | None = None, **options: Any
    ) -> ViewMaker:
        """The views that `make(size=, mean=, std=, **options)` returns; `self.view` and `image_size` when not given."""
        return (make or self.view)(size=size or self.image_size, mean=self.mean, std=self.std, **options)

    def recipe(
        self,
        training: Run,
        method: Method,
        augment: Callable[[Array, Any], Any],
        optimizer: Callable[[int], Optimizer],
        *,
        prepare: Callable[[Any], Any] | None = None,
    ) -> Recipe:
        """The recipe on these data, evaluated on the view that `prepare` makes, `self.prepare` when not given.

        A `UsageError` where `norm_groups` does not divide the batch.
        """
        if training.batch_size % self.norm_groups:
            raise UsageError(
                f"norm_groups: got {self.norm_groups}, which does not divide the batch of {training.batch_size}: choose a "
                "divisor of it, or 1 for the statistics of the whole batch."
            )
        return Recipe(
            data=self.data,
            method=method,
            augment=augment,
            prepare=prepare or self.prepare,
            optimizer=optimizer,
            batch_size=training.batch_size,
            epochs=training.epochs,
        )
