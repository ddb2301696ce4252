"""Examples from outside the package as a source: arrays, sequences, or iterables of known length."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.source import Arrays, ArraySource, Example, Readable
from ssl_jax.errors import UsageError

FORMS = "an image, (image, label), or arrays by name such as {'image': ..., 'label': ...}"


def as_source(examples: Any, *, name: str = "given", classes: Iterable[str] = ()) -> Readable:
    """Examples from outside the package as the source that `Batches`, `fit`, recipes and the evaluation read.

    Example: `Data("mine", as_source((images, labels), classes=("cat", "dog")), test=None)`.

    Args:
      examples: one of these:

        - images, uint8 `[N, H, W]` or `[N, H, W, C]`, C being 1 or 3, of numpy or JAX;
        - a pair of images and labels, integers `[N]`, -1 where there is none;
        - arrays by name, each `[N, ...]`: "image", "label" and others; without images, any names and types;
        - anything with `len` and `[index]`, such as a list or a dataset of PyTorch, read when a batch needs it, from several
          threads at once; or with `len` and an iterator only, read into memory at once. Each of its examples is an image,
          `[H, W]` or `[H, W, C]`, a pair of image and label, or arrays by name; all are of one shape.

      name: its name in messages.
      classes: names of the labels 0, 1, ...; when none are given, "0", "1", ... up to the largest label of an array.
        Without names, examples that are read by index count as unlabelled.

    Raises:
      UsageError: there is no example, the length is unknown, arrays differ in length, or an image is not uint8 or has another
        shape. For examples that are read later, `[index]` raises it.

    Example:
      >>> source = as_source((np.zeros((2, 8, 8), np.uint8), np.array([0, 1])), classes=("cat", "dog"))
      >>> print(len(source), source.image_shape, source[1]["label"])
      2 (8, 8, 1) 1
    """
    if isinstance(examples, Mapping) or _is_array(examples) or _is_pair(examples):
        return _of_arrays(_by_name(examples), name=name, classes=tuple(classes))
    if not hasattr(examples, "__len__"):
        raise UsageError(
            f"{name}: got {type(examples).__name__}, whose length is unknown, expected arrays or a sequence: make a list."
        )
    if not hasattr(examples, "__getitem__"):
        examples = list(examples)
    if not len(examples):
        raise UsageError(f"{name}: got no examples, expected at least one.")
    source = Indexed(name, tuple(classes), examples)
    source[0]  # Raises for a wrong kind of example.
    return source


@dataclass(frozen=True, eq=False)
class Indexed:
    """Examples that are read by index when a batch needs them."""

    name: str
    classes: tuple[str, ...]
    examples: Any

    @functools.cached_property  # Each example is compared with it.
    def image_shape(self) -> tuple[int, ...]:
        return self[0]["image"].shape

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, number: int) -> Example:
        if not 0 <= number < len(self):
            raise IndexError(f"{self.name}: example {number} of {len(self)}")
        example = {each: np.asarray(array) for each, array in _by_name(self.examples[number]).items()}
        if "image" not in example:
            return example
        image = check_images(example["image"], name=f"{self.name}: example {number}", axes=2)
        label = np.int32(example.get("label", -1))
        if number and image.shape != (first := self.image_shape):
            raise UsageError(
                f"{self.name}: example {number} has shape {image.shape} and example 0 {first}: resize them."
            )
        return {**example, "image": image, "label": label}


def check_images(images: NDArray[Any], *, name: str, axes: int) -> NDArray[np.uint8]:
    """uint8 images with a last axis of 1 or 3 channels, which is added to images of two axes.

    Args:
      axes: number of axes without channels: 2 for an image, 3 with a leading axis of examples.
    """
    if images.dtype != np.uint8:
        raise UsageError(f"{name}: got images of {images.dtype}, expected uint8 in [0, 255]: scale and round them.")
    images = images[..., None] if images.ndim == axes else images
    if images.ndim != axes + 1 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise UsageError(f"{name}: got images of shape {images.shape}, expected height, width, and 1 or 3 channels.")
    return images


def _of_arrays(arrays: dict[str, NDArray[Any]], *, name: str, classes: tuple[str, ...]) -> Readable:
    lengths = {each: len(array) if array.ndim else 0 for each, array in arrays.items()}
    if len(set(lengths.values())) != 1 or not min(lengths.values()):
        raise UsageError(f"{name}: got arrays of lengths {lengths}, expected one length, of at least one example.")
    if "image" not in arrays:
        return Arrays(name, arrays)
    size = len(arrays["image"])
    images = check_images(arrays["image"], name=name, axes=3)
    labels = arrays.get("label", np.full(size, -1))
    if labels.shape != (size,) or labels.dtype.kind not in "iu":
        raise UsageError(f"{name}: got labels of {labels.dtype} {labels.shape}, expected integers of shape ({size},).")
    classes = classes or tuple(map(str, range(labels.max() + 1)))
    if labels.max() >= len(classes):
        raise UsageError(f"{name}: got label {labels.max()} and {len(classes)} names in classes: name every class.")
    if set(arrays) <= {"image", "label"}:
        return ArraySource(name, classes, images, labels.astype(np.int32))
    rows = [{each: array[number] for each, array in (arrays | {"image": images}).items()} for number in range(size)]
    return Indexed(name, classes, rows)


def _by_name(example: Any) -> dict[str, NDArray[Any]]:
    """The arrays of an example, or of all of them, by name; a `UsageError` for other types."""
    if isinstance(example, Mapping):
        arrays = dict(example)
    elif _is_pair(example):
        arrays = {"image": example[0], "label": example[1]}
    else:
        arrays = {"image": example}
    try:
        return {str(name): np.asarray(array) for name, array in arrays.items()}
    except ValueError as fault:
        raise UsageError(
            f"examples: got {type(example).__name__}, which is not an array ({fault}): give {FORMS}."
        ) from fault


def _is_array(examples: Any) -> bool:
    return hasattr(examples, "shape") and hasattr(examples, "dtype")


def _is_pair(examples: Any) -> bool:
    """(images, labels) or (image, label): a pair whose second part has at most as many axes as labels."""
    return (
        isinstance(examples, tuple)
        and len(examples) == 2
        and np.ndim(examples[1]) in (0, 1)
        and np.ndim(examples[0]) > 1
    )
