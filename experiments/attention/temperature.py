"""Soft attention becomes hard as the temperature falls: digits retrieved from a small store by other digits.

    python experiments/attention/temperature.py

Keys and values are training digits, queries test digits. Prints the distance of the soft output from the hard one, and the
effective number of images in it; writes pictures/temperature.svg (outputs) and pictures/temperature_distance.svg beside this
file.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array

from ssl_jax.data import load_into_memory, open_data
from ssl_jax.ops import attention, attention_weights
from ssl_jax.report.figures import gallery, lines, write_svg

PICTURES = Path(__file__).parent / "pictures"


def temperature(
    *,
    data: str = "digits",
    stored: int = 256,
    queried: int = 9,
    inverse_temperatures: tuple[float, ...] = (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
    pictures: Path = PICTURES,
) -> dict[float, tuple[float, float]]:
    """Draws the outputs; returns, for each inverse temperature, the distance to hard attention and the number of images.

    Args:
      data: data set whose training images are stored and whose test images are queries.
      stored, queried: numbers of stored images and of queries.
      inverse_temperatures: inverse temperatures of the softmax over cosines.
      pictures: folder for the two figures.
    """
    images = open_data(data)
    assert images.test is not None
    store, query_images = (
        load_into_memory(images.train)["image"][:stored],
        load_into_memory(images.test)["image"][:queried],
    )
    keys, queries = directions(store), directions(query_images)
    values = jnp.asarray(store, jnp.float32).reshape(1, stored, 1, -1) / 255
    hard = attention(queries, keys, values, hard=True)
    read, results = {}, {}
    for b in inverse_temperatures:
        read[b] = attention(queries, keys, values, inverse_temperature=b)
        weights = attention_weights(queries, keys, inverse_temperature=b)
        entropy = -jnp.sum(jax.scipy.special.xlogy(weights, weights), axis=-1).mean()
        results[b] = float(jnp.sqrt(jnp.mean(jnp.square(read[b] - hard)))), float(jnp.exp(entropy))
        print(f"b = {b:>6g}: {results[b][0]:.3f} from hard attention, {results[b][1]:6.1f} images read")
    shape = query_images.shape
    rows = {"query": query_images} | {f"soft, b = {b:g}": as_images(read[b], shape) for b in inverse_temperatures}
    write_svg(pictures / "temperature.svg", gallery(rows | {"hard": as_images(hard, shape)}, title="Soft becomes hard"))
    distance = {"soft": [(b, results[b][0]) for b in inverse_temperatures]}
    chart = lines(
        distance,
        title="Distance to hard attention",
        across="inverse temperature b",
        up="root mean square",
        log=True,
        low=0.0,
    )
    write_svg(pictures / "temperature_distance.svg", chart)
    return results


def directions(images: np.ndarray) -> Array:
    """Images less their mean, at unit length, as one head of one example: `[1, N, 1, D]`."""
    rows = jnp.asarray(images, jnp.float32).reshape(len(images), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return (rows / jnp.linalg.norm(rows, axis=1, keepdims=True))[None, :, None]


def as_images(read: Array, shape: tuple[int, ...]) -> np.ndarray:
    """Outputs `[1, N, 1, D]` in [0, 1] as uint8 images of this shape."""
    return np.asarray(jnp.round(255 * read.reshape(shape)), np.uint8)


if __name__ == "__main__":
    tyro.cli(temperature)
