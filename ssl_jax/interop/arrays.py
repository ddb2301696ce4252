"""The arrays of a network in the layout of another library, and back: each a transposition, so that nothing is rounded."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ssl_jax.interop.names import UNUSED, Names, their_names
from ssl_jax.methods.method import Backbone
from ssl_jax.networks.functional import Net, Tree

Flat = dict[str, np.ndarray]
COUNT = "num_batches_tracked"  # PyTorch's batch norms have it, and evaluation does not use it.


class Entry(NamedTuple):
    """Where an array of a file lies in the network, and how it is turned.

    path: of our array, by "/".
    part: of the last axis of ours, (number, of how many).
    ours: shape of that part.
    inner: the same with the rows, columns and channels of a patch apart.
    axes: order of its axes in the file.
    shape: in the file.
    gap: rows of zeros after the first, where registers have no position.
    """

    path: str
    part: tuple[int, int]
    ours: tuple[int, ...]
    inner: tuple[int, ...]
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    gap: int = 0

    def to_file(self, ours: np.ndarray) -> np.ndarray:
        number, parts = self.part
        turned = np.split(ours, parts, axis=-1)[number].reshape(self.inner).transpose(self.axes)
        filled = np.insert(turned, [1] * self.gap, 0, axis=0) if self.gap else turned
        return np.ascontiguousarray(filled.reshape(self.shape))

    def from_file(self, theirs: np.ndarray) -> np.ndarray:
        """The part of ours."""
        if self.gap:
            theirs = np.delete(theirs, np.s_[1 : 1 + self.gap], axis=1)
        turned = tuple(self.inner[axis] for axis in self.axes)
        ours = theirs.reshape(turned).transpose(np.argsort(self.axes))
        return np.ascontiguousarray(ours.reshape(self.ours))


def entries_of(net: Net, names: Names, *, grid: tuple[int, int] | None = None) -> dict[str, Entry]:
    """What a file holds by its names there. grid: rows and columns of patches of the images, for the positions of a ViT."""
    params, stats = jax.eval_shape(net.init, jax.random.key(0))
    shapes = {path: leaf.shape for path, leaf in (flatten(params) | flatten(stats)).items() if path not in UNUSED}
    if net.patch_size:
        module = net.module
        shapes["positions"] = (math.prod(grid or module.grid) + (module.token is not None), net.width)
    found = {}
    for path, shape in shapes.items():
        theirs = their_names(path, names)
        for number, name in enumerate(theirs):
            part = (*shape[:-1], shape[-1] // len(theirs))
            inner, axes, outer = _turned(path, part, patch_size=net.patch_size)
            gap = 0
            if path == "positions" and names.gaps and net.module.registers is not None:
                gap = net.module.registers.shape[0]
                outer = (1, part[0] + gap, part[1])
            found[name] = Entry(path, (number, len(theirs)), part, inner, axes, outer, gap)
    return found


def _turned(
    path: str, shape: tuple[int, ...], *, patch_size: int | None
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Inner shape, axes and shape in the file of an array of ours."""
    if path in ("token", "registers", "positions"):
        return shape, tuple(range(len(shape))), (1,) * (3 - len(shape)) + shape
    if not path.endswith("kernel"):
        return shape, (0,), shape
    if path == "embedding/kernel" and patch_size:  # Rows, columns, channels and features to a convolution's.
        shape = (patch_size, patch_size, shape[0] // patch_size**2, shape[1])
    axes = (3, 2, 0, 1) if len(shape) == 4 else (1, 0)
    outer = tuple(shape[axis] for axis in axes)
    return shape, axes, (*outer, 1, 1) if "/gate/" in path else outer  # Their gates are 1x1 convolutions.


def to_layout(backbone: Backbone, names: Names, *, grid: tuple[int, int] | None = None) -> Flat:
    """The arrays of a backbone by their names in a layout."""
    ours = flatten(backbone.params) | flatten(backbone.stats)
    net = backbone.net
    if net.patch_size:  # Fixed ones, and those of another grid than the network's, are computed.
        of_grid = grid or net.module.grid
        ours["positions"], _ = net.apply(backbone.params, backbone.stats, of_grid, train=False, method="positions_of")
    entries = entries_of(net, names, grid=grid)
    arrays = {name: entry.to_file(np.asarray(ours[entry.path], np.float32)) for name, entry in entries.items()}
    counted = [name.removesuffix("running_var") + COUNT for name in arrays if name.endswith(".running_var")]
    return arrays | {name: np.zeros((), np.int64) for name in counted}


def from_layout(arrays: Mapping[str, np.ndarray], entries: Mapping[str, Entry]) -> Flat:
    """Our arrays by path, from those of a file that has all of `entries`."""
    parts: dict[str, list[np.ndarray]] = {}
    for name, entry in entries.items():
        parts.setdefault(entry.path, []).append(entry.from_file(arrays[name].astype(np.float32)))
    return {path: np.concatenate(each, axis=-1) for path, each in parts.items()}


def flatten(tree: Tree, above: str = "") -> dict[str, Any]:
    """Arrays by path: `{"norm": {"scale": x}}` -> `{"norm/scale": x}`."""
    found: dict[str, Any] = {}
    for name, part in tree.items():
        found |= flatten(part, f"{above}{name}/") if isinstance(part, dict) else {f"{above}{name}": part}
    return found


def filled_like(tree: Tree, arrays: Mapping[str, Any], above: str = "") -> Tree:
    """A tree of this structure with arrays by path in place of its leaves."""
    return {
        name: filled_like(part, arrays, f"{above}{name}/") if isinstance(part, dict) else arrays[f"{above}{name}"]
        for name, part in tree.items()
    }
