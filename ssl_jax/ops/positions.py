"""Positions of tokens: a vector that is added, or an angle of rotation.

B: examples; T: tokens; H: heads; D: size of a token, or of a head. Attention alone does not depend on the order of tokens.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.ops.blocks import floats
from ssl_jax.ops.checks import check_arrays, check_count, check_positive, check_range


def sinusoidal_positions(positions: Array, dim: int) -> Array:
    """Fixed embeddings of positions in a sequence, to be added to its tokens: `[...]` -> `[..., D]` float32.

    Sine and cosine alternate, at frequencies from 1 down to nearly 1/10000; position 0 is `0, 1, 0, 1, ...`. The product of
    two embeddings depends on the distance of their positions. `sinusoidal_positions(jnp.arange(T), D)` are those of a sequence,
    `[T, D]`.

    Args:
      positions: integers from 0.
      dim: D, even.

    Raises:
      ValueError: `dim` is odd.

    Example:
      >>> print(np.asarray(sinusoidal_positions(jnp.array([0.0, 1.0]), 4)).round(2))
      [[0.   1.   0.   1.  ]
       [0.84 0.54 0.01 1.  ]]

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5.
    """
    check_arrays("sinusoidal_positions", positions=positions)
    angles = _angles("sinusoidal_positions", positions, dim, 10000.0)
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(*positions.shape, dim)


def rotate_pairs(x: Array, positions: Array, *, base: float = 10000.0) -> Array:
    """Rotary positions: rotates components 2i and 2i + 1 of a query or key by `position * base^(-2i / D)` radians.

    The product of a rotated query and a rotated key then depends on their distance only. Position 0 is
    unchanged. Published weights that pair component i with i + D / 2 fit after a permutation of the weights of queries
    and keys.

    Args:
      x: `[B, T, H, D]`, D even.
      positions: integers from 0, `[T]`, or `[B, T]` where examples have different positions.
      base: the slowest frequency is nearly `1 / base`.

    Returns:
      `[B, T, H, D]` in the type of `x`, float32 for integers; angles are float32.

    Raises:
      ValueError: D is odd, or positions have another shape.

    Example:
      >>> print(np.asarray(rotate_pairs(jnp.ones((1, 2, 1, 4)), jnp.array([0.0, 1.0]))[0, :, 0]).round(2))
      [[ 1.    1.    1.    1.  ]
       [-0.3   1.38  0.99  1.01]]

    Source: Su et al. 2021, https://arxiv.org/abs/2104.09864, equation 34.
    """
    check_arrays("rotate_pairs", x=x, positions=positions)
    check_positive("rotate_pairs", base=base)
    if x.ndim != 4 or x.shape[3] == 0:
        raise ValueError(f"rotate_pairs: x must be [B, T, H, D] with D of at least 2, got {x.shape}")
    (x,) = floats(x)
    if positions.shape not in (x.shape[1:2], x.shape[:2]):
        raise ValueError(
            f"rotate_pairs: positions must be [T] or [B, T] of x [B, T, H, D], got {positions.shape}, {x.shape}"
        )
    angles = _angles("rotate_pairs", positions, x.shape[-1], base)
    angles = angles.reshape(-1, x.shape[1], 1, angles.shape[-1])  # [1 or B, T, 1, D / 2]
    cosine, sine = jnp.cos(angles), jnp.sin(angles)
    pairs = x.astype(jnp.float32).reshape(*x.shape[:-1], -1, 2)
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = jnp.stack([even * cosine - odd * sine, even * sine + odd * cosine], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)


def grid_positions(grid: int | tuple[int, int], dim: int) -> np.ndarray:
    """Fixed positions of a grid, `[rows * columns, dim]` float32, row by row.

    Quarters of `dim`: sine and cosine of the column, sine and cosine of the row, at frequencies 1 down to 1/10000.

    Args:
      grid: patches on a side of a square grid, or rows and columns.
      dim: numbers of a position.

    Raises:
      ValueError: `grid` is not of positive integers, or `dim` is not a multiple of 4.

    Example:
      >>> print(grid_positions(7, 64).shape)
      (49, 64)

    Source: Chen, Xie and He 2021, https://arxiv.org/abs/2104.02057.
    """
    down, across = _rows_and_columns("grid_positions", grid)
    check_count("grid_positions", dim=dim)
    if dim % 4:
        raise ValueError(f"grid_positions: dim must be a multiple of 4, got {dim}")
    frequencies = 10000.0 ** -(np.arange(dim // 4) / (dim // 4))
    rows, columns = np.divmod(np.arange(down * across), across)
    angles = [np.outer(positions, frequencies) for positions in (columns, rows)]
    return np.concatenate([wave(angle) for angle in angles for wave in (np.sin, np.cos)], 1).astype(np.float32)


def resize_positions(positions: Array, grid: int | tuple[int, int], *, offset: float = 0.0) -> Array:
    """Positions of a grid, `[R, C, D]`, interpolated for another: `[rows, columns, D]` in their type, or float32.

    Bicubic as in PyTorch (`torch.nn.functional.interpolate`, align_corners and antialias off): the kernel of Keys with
    a = -0.75, and the border values beyond the border. `jax.image.resize` has a = -0.5 and another border.

    Args:
      grid: number of patches on a side of the new grid, or of its rows and columns.
      offset: added to `grid` in the scale alone; DINO's published weights were made with 0.1.

    Raises:
      ValueError: the positions are not `[R, C, D]`, `grid` has another type or is not positive, or the offset is negative.

    Example:
      >>> print(resize_positions(jnp.zeros((7, 7, 64)), 14).shape)
      (14, 14, 64)

    Source: Keys 1981, Cubic convolution interpolation for digital image processing; `interpolate_pos_encoding` in
    vision_transformer.py of facebookresearch/dino.
    """
    check_arrays("resize_positions", positions=positions)
    sides = _rows_and_columns("resize_positions", grid)
    check_range("resize_positions", 0, offset=offset)
    if positions.ndim != 3 or 0 in positions.shape[:2]:
        raise ValueError(f"resize_positions: positions must be [R, C, D], not empty, got {positions.shape}")
    (positions,) = floats(positions)
    down, across = (
        jnp.asarray(_weights(count, size, offset), positions.dtype)
        for count, size in zip(sides, positions.shape[:2], strict=True)
    )
    return jnp.einsum("ih,jw,hwd->ijd", down, across, positions, precision="highest")


def _rows_and_columns(function: str, grid: int | tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a grid, checked."""
    rows, columns = grid if isinstance(grid, tuple) and len(grid) == 2 else (grid, grid)
    check_count(function, grid=rows)
    check_count(function, grid=columns)
    return rows, columns


def _weights(count: int, size: int, offset: float) -> np.ndarray:
    """`[count, size]`: what each of `count` positions along a side takes from the `size` positions that there are."""
    at = (np.arange(count) + 0.5) * size / (count + offset) - 0.5
    first = np.floor(at).astype(int)
    weights = np.zeros((count, size))
    for neighbour in range(-1, 3):
        weight = _keys(np.abs(at - first - neighbour), a=-0.75)
        np.add.at(weights, (np.arange(count), np.clip(first + neighbour, 0, size - 1)), weight)
    return weights


def _keys(distance: np.ndarray, *, a: float) -> np.ndarray:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * a * distance - 4 * a
    return np.where(distance <= 1, near, far)


def _angles(function: str, positions: Array, dim: int, base: float) -> Array:
    """`position * base^(-2i / D)`, `[..., D / 2]` float32."""
    check_count(function, dim=dim)
    if dim % 2:
        raise ValueError(f"{function}: components are rotated in pairs, so their number must be even, got {dim}")
    frequencies = jnp.asarray(base ** (-np.arange(0, dim, 2) / dim), jnp.float32)
    return positions.astype(jnp.float32)[..., None] * frequencies.reshape(*(1,) * positions.ndim, -1)
