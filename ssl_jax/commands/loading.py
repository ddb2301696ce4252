"""`ssl_jax.load`: a trained run as an object that computes the features of images.

N: images; H, W: height and width of an image, C: channels of the run's images, 1 or 3; D: size of a feature.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray
from PIL import Image

from ssl_jax.commands.kept_features import KeptFeatures
from ssl_jax.commands.saved_run import kind_of, restore
from ssl_jax.data import Source, model_inputs
from ssl_jax.data.given import check_images
from ssl_jax.data.pixels.formats import read_file
from ssl_jax.data.pixels.images import decode, from_array, upright
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.source import Batch, readable_indices
from ssl_jax.errors import UsageError, pick
from ssl_jax.evaluate.features import Encode, Extractor, encode, feature_extractor, features_of, filled_up
from ssl_jax.files import printable
from ssl_jax.recipes import Recipe
from ssl_jax.train.mesh import batch_sharding, replicated
from ssl_jax.train.program import batch_shapes
from ssl_jax.train.state import TrainState

BATCH = 512


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A trained run, made by `ssl_jax.load`; `recipe` and `state` are those of its training.

    Images are brought to the size and channels of the run's own as `ssl_jax.data.pixels.images` does it for training: the
    largest central part of their shape, resized with antialiasing.
    """

    recipe: Recipe
    state: TrainState
    mesh: Mesh
    _encode: Encode = field(default=encode, repr=False)
    _extractors: dict[str, Extractor] = field(default_factory=dict, init=False, repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the run's data; empty when there are none."""
        return self.recipe.data.classes

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width and channels that images are brought to."""
        return self.recipe.data.train.image_shape

    @cached_property
    def layers(self) -> dict[str, int]:
        """The layers of the encoder in order of depth, each with the size of its features; "features" is the last."""

        def all_layers(params: Any, state: Any, images: Any) -> Any:
            return OrderedDict(self.recipe.method.features(params, state, jax.vmap(self.recipe.prepare)(images)))

        two = model_inputs(batch_shapes(self.recipe.data.train[0], 2))
        shapes = jax.eval_shape(all_layers, self.state.params, self.state.method_state, two)
        return {name: layer.shape[-1] for name, layer in shapes.items()}

    def preprocess(self, image: Any) -> NDArray[np.float32]:
        """The input of the encoder for one image, as in `features`: float32 `[H, W, C]`, standardised as by the recipe."""
        self._check_kind()
        return np.asarray(self.recipe.prepare(jnp.asarray(self.pixels(image))), np.float32)

    def features(self, images: Any, layer: str = "features") -> NDArray[np.float32]:
        """The frozen features of images, float32 `[N, D]`; of one image, `[D]`. Those that `ssl-jax embed` writes.

        Args:
          images: uint8 `[N, H, W, 1 or 3]` of any size, of numpy or JAX; or a sequence of images, which may differ in size.
            An image is uint8 `[H, W]` or `[H, W, 1 or 3]`, an image of Pillow, or the path of a file.
          layer: one of `layers`; spatial layers are mean-pooled.

        Raises:
          UsageError: a ValueError: no such layer, not images, no image, or a file that cannot be read.
        """
        extract = jax.jit(self._extractor(layer))
        return self.outputs(partial(extract, self.state.params, self.state.method_state), images)

    def outputs(self, extract: Callable[[Any], Any], images: Any) -> NDArray[np.float32]:
        """What a jitted function makes of images, uint8 `[B, H, W, C]` -> `[B, D]`; images and result as in `features`."""
        self._check_kind()
        several = isinstance(images, list | tuple) or np.ndim(images) == 4
        chosen = list(images) if several else [images]
        if not len(chosen):
            raise UsageError("images: got none, expected at least one image.")
        found, _ = features_of(extract, self._batches(chosen), sharding=batch_sharding(self.mesh))
        return found[: len(chosen)] if several else found[0]

    def on_devices(self, tree: Any) -> Any:
        """Arrays as copies on all devices of the run's mesh."""
        return jax.device_put(tree, replicated(self.mesh))

    def features_in(
        self, source: Source, layer: str = "features"
    ) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.int32]]:
        """The features `[N, D]` of the readable examples of a source, their indices in it, ascending, and labels, `[N]`.

        Args:
          source: examples of the kind and shape that the run was trained on, images or clips.
          layer: as in `features`.
        """
        extract, weights = self._extractor(layer), (self.state.params, self.state.method_state)
        found, labels = self._encode(extract, *weights, source, mesh=self.mesh, batch_size=BATCH)
        return found, readable_indices(source), labels

    def _extractor(self, layer: str) -> Extractor:
        """One function for each layer, which `jax.jit` compiles once."""
        if pick("layer", layer, self.layers) not in self._extractors:
            self._extractors[layer] = feature_extractor(self.recipe.method, self.recipe.prepare, layer=layer)
        return self._extractors[layer]

    def _batches(self, images: Sequence[Any]) -> Iterator[Batch]:
        """Fewer images than a batch are filled up to a power of two, so that few programs are compiled for many sizes."""
        size = min(BATCH, 1 << (len(images) - 1).bit_length())
        with ThreadPoolExecutor() as pool:
            for first in range(0, len(images), BATCH):
                pixels = filled_up(np.stack(list(pool.map(self.pixels, images[first : first + BATCH]))), size=size)
                yield {"image": pixels, "label": np.full(len(pixels), -1, np.int32)}

    def pixels(self, image: Any) -> NDArray[np.uint8]:
        """An image, as in `features`, as uint8 `[H, W, C]` of the run's size."""
        height, width, channels = self.image_shape
        shape, levels = (height, width, channels), getattr(self.recipe.data.train, "levels", None)
        name = "images"
        try:
            if isinstance(image, str | Path):
                name = f"images: {printable(str(image))}"
                return decode(read_file(Path(image).expanduser()), shape=shape, levels=levels)
            if not isinstance(image, Image.Image):
                if channels not in (1, 3):
                    return from_array(_of_channels(image, channels), shape=shape, levels=levels)
                array = check_images(np.asarray(image), name=name, axes=2)
                image = Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)
            fitted = upright(image, shape=shape, levels=levels)
        except (Unreadable, OSError) as fault:
            raise UsageError(f"{name} cannot be read ({fault}): repair the image, or leave it out.") from fault
        return np.asarray(fitted).reshape(shape)

    def _check_kind(self) -> None:
        if (kind := kind_of(self.recipe.data.train)) != "images":
            raise UsageError(
                f"images: the run was pre-trained on {kind}: write the features of a data set with `ssl-jax embed`."
            )


def _of_channels(image: Any, channels: int) -> NDArray[Any]:
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[-1] != channels or array.dtype.kind not in "uif" or 0 in array.shape:
        raise UsageError(
            f"images: got {array.dtype} {array.shape}, expected numbers [H, W, {channels}], as the run's own."
        )
    return array


def load(run: str, *, step: int | None = None) -> TrainedRun:
    """As `ssl_jax.load`, which imports this module only when it is called.

    Example:
      >>> trained = load(run)
      >>> print(trained.features(np.zeros((2, 14, 14, 3), np.uint8)).shape)
      (2, 64)
    """
    _, recipe, state, mesh = restore(Path(run), step)
    return TrainedRun(recipe, state, mesh, KeptFeatures(Path(run)).encode)
