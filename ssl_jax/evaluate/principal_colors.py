"""The first three principal components of the features of patches as red, green and blue."""

import numpy as np
from numpy.typing import NDArray

from ssl_jax.ops.checks import check_arrays, check_flags, check_range
from ssl_jax.ops.normalize import Rows


def principal_colors(maps: Rows, *, foreground: bool = False, spread: float = 0.02) -> NDArray[np.uint8]:
    """Colours of the cells of feature maps: patches with similar features have similar colours in all images.

    Features are centred, and projected on the three directions of most variance over all cells; each component is stretched so
    that all but the smallest and the largest values fill 0 to 255. Signs are fixed: the entry of a direction with the largest
    magnitude is positive. If all features are equal, all colours are black.

    Args:
      maps: `[N, h, w, D]` of N images.
      foreground: show only cells whose first component is positive, others in black, by components of these cells alone, as in
        the figures of DINOv2; which side of it holds the objects differs from network to network.
      spread: share of the values that is clipped at each end, in [0, 0.49].

    Returns:
      uint8 `[N, h, w, 3]`.

    Raises:
      ValueError: not four axes, no cell, features that are not finite, or a spread out of range.

    Example:
      >>> maps = np.array([[[[0.0, 0.0], [4.0, 1.0]]]])
      >>> print(principal_colors(maps, spread=0)[0, 0].tolist())
      [[0, 0, 0], [255, 0, 0]]

    Source: Oquab et al. 2023, https://arxiv.org/abs/2304.07193, figure 1 and section 7.6.
    """
    check_arrays("principal_colors", maps=maps)
    check_flags("principal_colors", foreground=foreground)
    values = np.asarray(maps, np.float64)
    if values.ndim != 4 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"principal_colors: maps must be finite numbers [N, h, w, D], got shape {values.shape}.")
    check_range("principal_colors", 0, 0.49, spread=spread)
    rows = values.reshape(-1, values.shape[-1])
    chosen = np.ones(len(rows), bool)
    if foreground:
        chosen = principal_components(rows, count=1)[:, 0] > 0
    colors = np.zeros((len(rows), 3))
    if chosen.any():
        components = principal_components(rows[chosen], count=3)
        low, high = np.quantile(components, [spread, 1 - spread], axis=0)
        range_ = high - low
        varies = range_ > 1e-6 * np.abs(rows).max(initial=0)
        colors[chosen] = np.where(varies, (components - low) / np.where(varies, range_, 1), 0).clip(0, 1)
    return (255 * colors).round().astype(np.uint8).reshape(*values.shape[:-1], 3)


def principal_components(rows: NDArray[np.floating], *, count: int) -> NDArray[np.float64]:
    """Projections of centred rows `[N, D]` on the directions of most variance, `[N, count]`; zeros beyond the D-th.

    The entry of a direction with the largest magnitude is positive, the first among equals.
    """
    centred = np.asarray(rows, np.float64) - np.mean(rows, axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    leading = directions[:, ::-1][:, :count]
    largest = np.abs(leading).argmax(axis=0)
    leading = leading * np.sign(leading[largest, np.arange(leading.shape[1])])
    return np.pad(centred @ leading, ((0, 0), (0, count - leading.shape[1])))
