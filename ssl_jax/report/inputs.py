"""The arrays of the pictures of what the networks see: views, crops, masked patches and their reconstructions, clips.

n: examples. Pictures are uint8 `[n, ..., H, W, C]`; the names are those of `reading`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.augment.video import sight
from ssl_jax.data import Data, model_inputs
from ssl_jax.data.source import read
from ssl_jax.data.subsets import stratified
from ssl_jax.methods.method import Method, Params, State
from ssl_jax.train.compilation import for_one_call

KINDS = ("views", "small_views", "transformed")  # Entries of the views that are pictures of their example.
MOST_FRAMES = 8
HIDDEN = 128  # The value of hidden pixels.
WIDE = 5.0  # Deviations between black and white, of inputs that are standardised one by one.


class Trained(NamedTuple):
    """A method and its weights."""

    method: Method
    params: Params
    state: State


def input_pictures(
    data: Data, augment: Callable, prepare: Callable, trained: Trained | None, *, seed: int, count: int = 8
) -> dict[str, np.ndarray]:
    """Of examples of the training part. Without `trained`, neither masked patches nor reconstructions."""
    examples = model_inputs(read(data.train, stratified(data.train, count)))
    draw = jax.jit(jax.vmap(augment), compiler_options=for_one_call())
    seen = draw(jax.random.split(jax.random.key(seed), count), examples)
    seen = seen if isinstance(seen, dict) else {"views": seen}
    videos = np.asarray(sight(examples))
    moving = videos.ndim == 5
    arrays = {"views_original": videos[:, videos.shape[1] // 2] if moving else videos}
    if moving:
        arrays["frames"] = videos[:, np.linspace(0, videos.shape[1] - 1, min(MOST_FRAMES, videos.shape[1])).astype(int)]
    for name in KINDS:
        if name in seen:
            flat = seen[name].reshape(count, -1, *seen[name].shape[-3:])
            arrays[name] = as_pixels(flat, prepare, examples)
    if "audio" in seen:
        arrays["sound"] = sound_pictures(seen["audio"])
    if trained is not None:
        arrays |= masked_pictures(arrays["views"], seen, getattr(trained.method, "encoder", None))
        whole = jax.jit(trained.method.reconstruct)(trained.params, trained.state, seen)
        arrays |= {} if whole is None else {"reconstructed": as_pixels(whole, prepare, examples)}
        colored = jax.jit(trained.method.colorize)(trained.params, trained.state, seen) or ()
        for name, images in zip(("predicted_colors", "true_colors"), colored, strict=False):
            arrays[name] = np.asarray(jnp.round(255 * images), np.uint8)
    return arrays


def as_pixels(seen: Array, prepare: Callable, inputs: Any) -> np.ndarray:
    """Inputs `[..., H, W, C]` of the network as uint8 pictures: the standardisation inverted, which `prepare` reveals.

    Where inputs are standardised one by one, such as tiles, the mean of each is grey.

    inputs: any examples.
    """

    def level(value: int) -> Array:
        """Each channel of the network's input for a constant image of this value."""
        given = jax.tree.map(lambda array: jnp.full_like(array[0], value), inputs)
        return sight(prepare(given)).reshape(-1, seen.shape[-1])[0].reshape(*[1] * (seen.ndim - 1), -1)

    black, white = level(0), level(255)
    if bool((jnp.abs(white - black) < 1e-3).any()):
        black, white = jnp.full_like(black, -WIDE / 2), jnp.full_like(white, WIDE / 2)
    return np.asarray(jnp.round(255 * jnp.clip((seen - black) / (white - black), 0, 1)), np.uint8)


def sound_pictures(spectrograms: Array) -> np.ndarray:
    """`[n, F, S, 1]` in [0, 1] -> uint8 `[n, S, F, 1]`: time from left to right, frequencies from bottom to top."""
    return np.asarray(jnp.round(255 * spectrograms), np.uint8).swapaxes(1, 2)[:, ::-1]


def masked_pictures(views: np.ndarray, seen: dict[str, Array], encoder: Any) -> dict[str, np.ndarray]:
    """The views `[n, V, H, W, C]` with hidden patches in grey, as "masked" `[n, M, H, W, C]`; {} where none is hidden.

    Of MAE the visible patches; of I-JEPA the context, then each target block; of iBOT and DINOv2 each large crop.
    """
    patch = getattr(encoder, "patch_size", None)
    if not patch:
        return {}
    grid = views.shape[2] // patch, views.shape[3] // patch
    if "masked" in seen:
        return {"masked": hide(views, ~np.asarray(seen["masked"]), grid=grid)}
    if "seen" not in seen:
        return {}
    groups = [_inside(np.asarray(seen["seen"]), grid=grid)]
    if "counted" in seen:
        blocks = np.asarray(seen["wanted"]).swapaxes(0, 1)
        groups += [_inside(block, grid=grid) for block in blocks]
    shown = np.stack(groups, axis=1)
    return {"masked": hide(np.repeat(views[:, :1], shown.shape[1], axis=1), shown, grid=grid)}


def hide(views: np.ndarray, shown: np.ndarray, *, grid: tuple[int, int]) -> np.ndarray:
    """Views `[n, M, H, W, C]` with the patches grey that are false in `[n, M, P]`, row by row of a grid of P."""
    cells, (rows, columns) = shown.reshape(*shown.shape[:2], *grid), grid
    height, width = views.shape[2] // rows, views.shape[3] // columns
    pixels = cells.repeat(height, axis=2).repeat(width, axis=3)[..., None]
    covered = views[:, :, : rows * height, : columns * width]
    return np.where(pixels, covered, np.uint8(HIDDEN))


def _inside(indices: np.ndarray, *, grid: tuple[int, int]) -> np.ndarray:
    """Patches by their indices, `[n, S]` -> bool `[n, P]`."""
    inside = np.zeros((len(indices), math.prod(grid)), bool)
    np.put_along_axis(inside, indices, True, axis=1)
    return inside
