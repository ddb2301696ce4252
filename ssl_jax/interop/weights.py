"""Weights of encoders in files of other libraries: safetensors, which hold arrays by name and nothing else.

A pickle, as PyTorch's own files are, runs whatever its writer wanted when it is read, so there is no reader for it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from safetensors.numpy import save_file

from ssl_jax.errors import UsageError
from ssl_jax.files import replacing
from ssl_jax.interop.arrays import COUNT, Entry, entries_of, filled_like, flatten, from_layout, to_layout
from ssl_jax.interop.loading import LAYOUTS, loading_lines
from ssl_jax.interop.names import NAMES, Names, in_block, names_for
from ssl_jax.interop.published import Located, unused_of
from ssl_jax.interop.reading import arrays_in
from ssl_jax.methods.method import Backbone
from ssl_jax.networks.functional import Net
from ssl_jax.sizes import ImageSize, sides_of, size_of

LARGEST_REST = 2**28  # Bytes of a file beside the network's own, for a classifier.
SHOWN = 5  # Names in a sentence.


class Read(NamedTuple):
    """backbone: the network with the weights of the file. unused: names of the file that the network has no place for."""

    backbone: Backbone
    unused: list[str]


def write_weights(file: str | Path, layout: str, backbone: Backbone, *, image_size: ImageSize) -> list[str]:
    """Writes an encoder as safetensors in the names and array layouts of another library, which loads it without this package.

    Args:
      file: path to write; one that exists is replaced.
      layout: "timm", "torchvision" or "transformers".
      backbone: an encoder of `ssl_jax.networks` with its weights.
      image_size: pixels of a side of the images, or height and width, for which a vision transformer's positions are written.

    Returns:
      The lines of Python that load it, see `loading_lines`.

    Raises:
      UsageError: an unknown layout, one that has no such network, or no file can be written there.

    Example:
      >>> net = encoder("vit_micro", image_shape=(28, 28, 3))
      >>> backbone = Backbone(net, *net.init(jax.random.key(0)))
      >>> lines = write_weights(folder / "encoder.safetensors", "timm", backbone, image_size=28)
      >>> print(lines[0])
      import timm
    """
    lines = loading_lines(backbone.net, layout, image_size=image_size)
    (height, width), patch = sides_of(image_size), backbone.net.patch_size
    grid = (height // patch, width // patch) if patch else None
    arrays = to_layout(backbone, _names(backbone.net, layout), grid=grid)
    with replacing(Path(file)) as draft:
        save_file(arrays, draft, metadata={"format": "pt"})  # transformers asks for this entry.
    return lines


def read_weights(file: str | Path, layout: str, net: Net) -> Read:
    """The weights of a safetensors file of another library in an encoder of this package.

    Every array of the network has to be in the file, in its shape; other arrays of it, such as a classifier, are unused. A
    ViT's positions have to be those of its own grid; where they are fixed, the file's have to be equal to them.

    Args:
      file: a safetensors file with names and shapes of the layout.
      layout: "timm", "torchvision" or "transformers".
      net: an encoder of `ssl_jax.networks`, made as the network of the file.

    Raises:
      UsageError: no safetensors file, or one of another network; a pickle of PyTorch; a layout without such a network.

    Example:
      >>> net = encoder("vit_micro", image_shape=(28, 28, 3))
      >>> backbone = Backbone(net, *net.init(jax.random.key(0)))
      >>> lines = write_weights(folder / "encoder.safetensors", "timm", backbone, image_size=28)
      >>> print(read_weights(folder / "encoder.safetensors", "timm", net).unused)
      []
    """
    file = Path(file)
    rows, columns = net.module.grid if net.patch_size else (224, 224)
    patch = net.patch_size or 1
    loading_lines(net, layout, image_size=size_of(rows * patch, columns * patch))
    shapes = jax.eval_shape(net.init, jax.random.key(0))
    bytes_of_net = 4 * sum(leaf.size for leaf in jax.tree.leaves(shapes))
    theirs = arrays_in(file, at_most=2 * bytes_of_net + LARGEST_REST)
    backbone, used = filled_network(file, theirs, _names(net, layout), net)
    return Read(backbone, sorted(name for name in theirs.keys() - used if not name.endswith(COUNT)))


def read_located(file: Path, located: Located, net: Net) -> Read:
    """The weights of an encoder that `locate` has found in a file, in an encoder of this package; raises as `read_weights`.

    Example:
      >>> net = encoder("vit_micro", image_shape=(28, 28, 3))
      >>> backbone = Backbone(net, *net.init(jax.random.key(0)))
      >>> file = folder / "encoder.safetensors"
      >>> lines = write_weights(file, "timm", backbone, image_size=28)
      >>> located = interop.locate(file, arrays_in(file, at_most=2**30), ViT)
      >>> print(read_located(file, located, net).unused)
      []
    """
    backbone, used = filled_network(file, located.arrays, NAMES[type(net.module), located.layout], net)
    return Read(backbone, unused_of(located, dict.fromkeys(used)))


def check_located(file: Path, located: Located, net: Net) -> None:
    """Raises as `read_located`, of names and shapes alone: the arrays may be those of `outlines_in`.

    Example:
      >>> net = encoder("vit_micro", image_shape=(28, 28, 3))
      >>> backbone = Backbone(net, *net.init(jax.random.key(0)))
      >>> file = folder / "encoder.safetensors"
      >>> lines = write_weights(file, "timm", backbone, image_size=28)
      >>> check_located(file, interop.locate(file, interop.outlines_in(file, at_most=2**30), ViT), net)
    """
    names = NAMES[type(net.module), located.layout]
    _check_arrays(file, located.arrays, entries_of(net, names), names)


def filled_network(file: Path, theirs: Mapping[str, np.ndarray], names: Names, net: Net) -> tuple[Backbone, set[str]]:
    """The network with arrays by their names in a layout, and the names that it has a place for."""
    entries = entries_of(net, names)
    _check_arrays(file, theirs, entries, names)
    params, stats = jax.eval_shape(net.init, jax.random.key(0))
    ours = {path: leaf.shape for path, leaf in (flatten(params) | flatten(stats)).items()}
    arrays = {path: np.zeros(shape, np.float32) for path, shape in ours.items()}  # The mask token stays so.
    arrays |= from_layout(theirs, entries)
    backbone = Backbone(net, filled_like(params, arrays), filled_like(stats, arrays))
    if "positions" in arrays.keys() - ours.keys():
        _check_fixed(file, backbone, arrays["positions"])
    return backbone, set(entries)


def _check_arrays(file: Path, theirs: Mapping[str, np.ndarray], entries: Mapping[str, Entry], names: Names) -> None:
    """A `UsageError` where an array is missing, has another shape, or positions or a block that ours have not."""
    missing = [name for name in entries if name not in theirs]
    if missing:
        raise UsageError(f"file: {file} has no {_some(missing)}: choose the layout and the encoder it was written for.")
    more = [name for name in theirs if in_block(name, names) and name not in entries and not name.endswith(COUNT)]
    if more:
        raise UsageError(
            f"file: {file} has {_some(more)} in its blocks, which this encoder has not: choose the encoder it was written for."
        )
    for name, entry in entries.items():
        if theirs[name].shape != entry.shape:
            raise UsageError(
                f"file: {file} has {name} of shape {theirs[name].shape}, expected {entry.shape}: choose the encoder it was "
                "written for."
            )
        if entry.gap and theirs[name][0, 1 : 1 + entry.gap].any():
            raise UsageError(
                f"file: {file} has positions of registers in {name}, expected zeros: ours have no position."
            )


def _names(net: Net, layout: str) -> Names:
    names = names_for(net, next(each for each in LAYOUTS if each == layout))
    assert names is not None  # `loading_lines` has refused it.
    return names


def _check_fixed(file: Path, backbone: Backbone, found: np.ndarray) -> None:
    net = backbone.net
    fixed, _ = net.apply(backbone.params, backbone.stats, net.module.grid, train=False, method="positions_of")
    if not np.allclose(found, fixed, atol=1e-5):
        raise UsageError(
            f"file: {file} has learned positions, expected the fixed ones of this network: make it with positions='learned'."
        )


def _some(names: list[str]) -> str:
    return ", ".join(sorted(names)[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
