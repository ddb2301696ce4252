"""A key-value store of images, queried with an image: the upper half of a digit retrieves the lower.

    python experiments/attention/image_store.py

Keys are the upper halves of the training digits and values the whole digits; queries are upper halves of test digits. Prints
the error of the lower half for soft look-ups, among the nearest, and for the nearest alone, beside the mean of all images;
writes pictures/image_store.svg beside this file.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array

from ssl_jax.data import load_into_memory, open_data
from ssl_jax.ops import key_value_lookup
from ssl_jax.ops.normalize import unit_length
from ssl_jax.report.figures import gallery, write_svg

PICTURES = Path(__file__).parent / "pictures"


def image_store(
    *,
    data: str = "digits",
    inverse_temperature: float = 30.0,
    top: int = 8,
    shown: int = 9,
    pictures: Path = PICTURES,
) -> dict[str, float]:
    """Draws the results; returns the root mean square error of the lower halves, pixels in [0, 1], for each kind of look-up.

    Args:
      data: data set whose training images are stored and whose test images are queries.
      inverse_temperature: inverse temperature of the softmax over cosines.
      top: number of nearest keys of the second kind of look-up.
      shown: number of images in the picture.
      pictures: folder for the figure.
    """
    images = open_data(data)
    assert images.test is not None
    store, queries = (load_into_memory(part)["image"] for part in (images.train, images.test))
    keys, values, query = upper(store), flat(store), upper(queries)
    read = {
        "soft": key_value_lookup(query, keys, values, inverse_temperature=inverse_temperature),
        f"{top} nearest": key_value_lookup(query, keys, values, inverse_temperature=inverse_temperature, top=top),
        "nearest (hard)": key_value_lookup(query, keys, values, hard=True),
        "mean of all": jnp.broadcast_to(values.mean(axis=0, keepdims=True), (len(query), values.shape[1])),
    }
    half = values.shape[1] // 2
    errors = {way: float(jnp.sqrt(jnp.mean(jnp.square(rows - flat(queries))[:, half:]))) for way, rows in read.items()}
    for way, error in errors.items():
        print(f"{way:<16} {error:.4f}")
    question = queries[:shown].copy()
    question[:, question.shape[1] // 2 :] = 128
    rows = {"query": question} | {way: as_images(result[:shown], queries.shape) for way, result in read.items()}
    figure = gallery(rows | {"original": queries[:shown]}, title="The upper half as a query for the whole")
    write_svg(pictures / "image_store.svg", figure)
    return errors


def flat(images: np.ndarray) -> Array:
    """`[N, D]` in [0, 1]."""
    return jnp.asarray(images, jnp.float32).reshape(len(images), -1) / 255


def upper(images: np.ndarray) -> Array:
    """The upper halves without their means, at unit length."""
    rows = flat(images[:, : images.shape[1] // 2])
    return unit_length(rows - rows.mean(axis=1, keepdims=True))


def as_images(rows: Array, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(jnp.round(255 * rows), np.uint8).reshape(-1, *shape[1:])


if __name__ == "__main__":
    tyro.cli(image_store)
