"""Views of pretext tasks without shortcuts: rotations, tiles with gaps, their order.

A network learns shortcuts first. Edges that continue from tile to tile, chromatic aberration of the lens, gradients of
brightness, traces of resampling: each reveals position or rotation without the object. So tiles have gaps and jitter,
are standardised one by one, and lose colours; rotations swap and reverse axes.

Tiles are numbered by rows, 0 to 8; 4 is the middle one. As in `views`, all functions take ONE image `[H, W, C]`.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from ssl_jax.augment.geometry import rotate90
from ssl_jax.augment.views import ViewMaker
from ssl_jax.errors import UsageError
from ssl_jax.settings import configured

Color = Literal["keep", "drop", "project"]
Finish = Callable[[Array, Array], Array]
GRID = 3
FLAT = (
    0.1  # Standard deviation of standardised pixels below which a tile is not scaled up, since it would amplify noise.
)


@configured
def four_rotations(view: ViewMaker) -> ViewMaker:
    """One view by 0, 90, 180 and 270 degrees counter-clockwise, `[4, size, size, C]`: all in one batch.

    Example:
      >>> image = jnp.array([[1, 2], [3, 4]])[:, :, None]
      >>> print(four_rotations(lambda rng, image: image[None])(jax.random.key(0), image)[1, :, :, 0])
      [[2 4]
       [1 3]]

    Source: Gidaris et al. 2018, https://arxiv.org/abs/1803.07728, section 2.2.
    """

    def augment(rng: Array, image: Array) -> Array:
        seen = view(rng, image)[0]
        return jnp.stack([rotate90(seen, quarters) for quarters in range(4)])

    return augment


@configured
def grid_views(view: ViewMaker, *, size: int, gap: int, jitter: int, finish: Finish) -> ViewMaker:
    """The 9 tiles of one view, `[9, size, size, C]`: relative position's.

    Args:
      view: makes a view of the whole image; the grid has a random position in it.
      size: side of a tile in pixels.
      gap: pixels between two tiles before they jitter; about half a tile in the paper.
      jitter: largest random offset of each tile in pixels, vertical and horizontal.
      finish: `(rng, tile) -> tile`, with a separate key for each: `without_shortcuts(...)`.

    Raises:
      UsageError: the grid does not fit into the view.

    Example:
      >>> grid = grid_views(lambda rng, image: image[None], size=6, gap=2, jitter=1, finish=without_shortcuts())
      >>> print(grid(jax.random.key(0), jnp.ones((32, 32, 3))).shape)
      (9, 6, 6, 3)

    Source: Doersch et al. 2015, https://arxiv.org/abs/1505.05192, sections 3.1 and 3.2.
    """

    def augment(rng: Array, image: Array) -> Array:
        view_rng, tiles_rng, finish_rng = jax.random.split(rng, 3)
        cut = tiles(tiles_rng, view(view_rng, image)[0], size=size, gap=gap, jitter=jitter)
        return jax.vmap(finish)(jax.random.split(finish_rng, len(cut)), cut)

    return augment


@configured
def without_shortcuts(*, color: Color = "keep", standardize: bool = True) -> Finish:
    """Each tile standardised separately, or not; against chromatic aberration `drop_colors`, `project_colors`, or nothing.

    Example:
      >>> finish = without_shortcuts(color="drop")
      >>> print(finish(jax.random.key(0), jnp.ones((6, 6, 3))).shape)
      (6, 6, 3)
    """

    def finish(rng: Array, tile: Array) -> Array:
        tile = drop_colors(rng, tile) if color == "drop" else project_colors(tile) if color == "project" else tile
        return standardize_tile(tile) if standardize else tile

    return finish


@configured
def jigsaw_views(grid: ViewMaker, orders: NDArray[np.int32]) -> Callable[[Array, Array], dict[str, Array]]:
    """Tiles in an order drawn from `orders` `[P, 9]`, and its index.

    Returns:
      `(rng, image) -> {"views": [9, size, size, C], "order": int32 scalar}`; position i shows tile `orders[order, i]`.

    Example:
      >>> grid = grid_views(lambda rng, image: image[None], size=6, gap=2, jitter=1, finish=without_shortcuts())
      >>> views = jigsaw_views(grid, np.array([range(9), range(8, -1, -1)], np.int32))(jax.random.key(0), jnp.ones((32, 32, 3)))
      >>> print(views["views"].shape, views["order"].dtype)
      (9, 6, 6, 3) int32

    Source: Noroozi and Favaro 2016, https://arxiv.org/abs/1603.09246, section 3.
    """

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        tiles_rng, order_rng = jax.random.split(rng)
        order = jax.random.randint(order_rng, (), 0, len(orders), jnp.int32)
        return {"views": grid(tiles_rng, image)[jnp.asarray(orders)[order]], "order": order}

    return augment


@configured
def pirl_views(view: ViewMaker, transformed: ViewMaker) -> Callable[[Array, Array], dict[str, Array]]:
    """PIRL's image, and the same image transformed: its tiles in random order, or one of its rotations.

    Returns:
      `(rng, image) -> {"views": [1, size, size, C], "transformed": [P, h, w, C]}`, P being 9 or 1.

    Example:
      >>> whole = lambda rng, image: image[None]
      >>> views = pirl_views(whole, one_of(four_rotations(whole)))(jax.random.key(0), jnp.zeros((8, 8, 3)))
      >>> print(views["views"].shape, views["transformed"].shape)
      (1, 8, 8, 3) (1, 8, 8, 3)
    """

    def augment(rng: Array, image: Array) -> dict[str, Array]:
        view_rng, transformed_rng = jax.random.split(rng)
        return {"views": view(view_rng, image)[:1], "transformed": transformed(transformed_rng, image)}

    return augment


@configured
def shuffled(views: ViewMaker) -> ViewMaker:
    """The same views in a random order.

    Example:
      >>> views = shuffled(lambda rng, image: jnp.stack([image, image + 1]))(jax.random.key(0), jnp.zeros((2, 2, 1)))
      >>> print(sorted(views[:, 0, 0, 0].tolist()))
      [0.0, 1.0]
    """

    def augment(rng: Array, image: Array) -> Array:
        views_rng, order_rng = jax.random.split(rng)
        return jax.random.permutation(order_rng, views(views_rng, image))

    return augment


@configured
def one_of(views: ViewMaker) -> ViewMaker:
    """One random view, `[1, size, size, C]`.

    Example:
      >>> print(one_of(lambda rng, image: jnp.stack([image, image + 1]))(jax.random.key(0), jnp.zeros((2, 2, 1))).shape)
      (1, 2, 2, 1)
    """

    def augment(rng: Array, image: Array) -> Array:
        return shuffled(views)(rng, image)[:1]

    return augment


def tiles(rng: Array, image: Array, *, size: int, gap: int, jitter: int) -> Array:
    """A grid of 3 x 3 squares at a random position in the image, with jitter: `[9, size, size, C]`. See `grid_views`.

    Example:
      >>> print(tiles(jax.random.key(0), jnp.zeros((32, 32, 3)), size=8, gap=2, jitter=1).shape)
      (9, 8, 8, 3)
    """
    span, room = GRID * size + (GRID - 1) * gap + 2 * jitter, min(image.shape[:2])
    if min(size, gap + 1, jitter + 1) < 1 or span > room:
        raise UsageError(
            f"tiles: 3 of {size} pixels with gaps of {gap} and jitter of {jitter} take {span} pixels, the image has {room}: "
            f"lower them, or raise image_size."
        )
    corner_rng, jitter_rng = jax.random.split(rng)
    slack = jnp.array([image.shape[0] - span, image.shape[1] - span])
    corner = jax.random.randint(corner_rng, (2,), 0, slack + 1)
    grid = jnp.stack(jnp.meshgrid(*[jnp.arange(GRID)] * 2, indexing="ij"), axis=-1).reshape(GRID**2, 2)
    moved = jax.random.randint(jitter_rng, (GRID**2, 2), 0, 2 * jitter + 1)
    corners = corner[None] + (size + gap) * grid + moved
    return jax.vmap(lambda at: lax.dynamic_slice(image, (at[0], at[1], 0), (size, size, image.shape[2])))(corners)


def standardize_tile(tile: Array) -> Array:
    """Mean 0 and standard deviation 1 in each channel, so that brightness and contrast do not reveal neighbours.

    Example:
      >>> print(standardize_tile(jnp.array([[[0.0], [1.0]]])).round(2)[0, :, 0])
      [-1.  1.]
    """
    centred = tile - tile.mean(axis=(0, 1), keepdims=True)
    spread = jnp.sqrt(jnp.square(centred).mean(axis=(0, 1), keepdims=True))
    return centred / jnp.maximum(spread, FLAT)


def drop_colors(rng: Array, tile: Array) -> Array:
    """Two of three channels replaced by noise with a hundredth of the deviation of the third. One channel: the tile.

    Example:
      >>> print(drop_colors(jax.random.key(0), jnp.ones((4, 4, 3))).shape)
      (4, 4, 3)
    """
    if tile.shape[-1] != 3:
        return tile
    kept_rng, noise_rng = jax.random.split(rng)
    kept = jnp.arange(3) == jax.random.randint(kept_rng, (), 0, 3)
    spread = jnp.std(jnp.where(kept[None, None], tile, 0).sum(axis=-1))
    return jnp.where(kept[None, None], tile, 0.01 * spread * jax.random.normal(noise_rng, tile.shape))


def project_colors(tile: Array) -> Array:
    """Projection that removes the green-magenta axis (-1, 2, -1), along which lenses shift colours. One channel: the tile.

    Example:
      >>> print(abs(project_colors(jnp.array([-1.0, 2.0, -1.0]))).max() < 1e-6)
      True
    """
    if tile.shape[-1] != 3:
        return tile
    axis = np.array([-1.0, 2.0, -1.0]) / np.sqrt(6)
    return tile @ jnp.asarray(np.eye(3) - np.outer(axis, axis), tile.dtype)
