"""The arrays behind the report's pictures: views as the network saw them, neighbours, embeddings.

A clip is shown by its middle frame; where the network sees it as a clip, its frames stand for views.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.augment.video import sight
from ssl_jax.data import Data, Source, inputs_of
from ssl_jax.data.source import read
from ssl_jax.evaluate.features import Features
from ssl_jax.report.reading import save_pictures


def save_album(
    run: Path,
    *,
    data: Data,
    augment: Callable[[Array, Any], Any],
    prepare: Callable[[Any], Any],
    before: Features | None = None,
    after: Features | None = None,
    seed: int = 0,
) -> Path:
    """Writes `run`/pictures.npz. `before` and `after`: features of all of `data`, untrained and trained, if it has labels."""
    arrays = _views(data, augment, prepare, seed=seed)
    if before and after and data.test and len(before.train) == len(data.train):
        arrays |= {"class_names": np.array(data.train.classes)} | _neighbors(data, before, after) | _map(before, after)
    return save_pictures(run, **arrays)


def _views(data: Data, augment: Callable, prepare: Callable, *, seed: int, count: int = 8) -> dict[str, np.ndarray]:
    rows = np.linspace(0, len(data.train) - 1, count).astype(int)
    batch = read(data.train, rows)
    views = jax.jit(jax.vmap(augment))(jax.random.split(jax.random.key(seed), count), inputs_of(batch))
    views = views["views"] if isinstance(views, dict) else views
    views = views.reshape(count, -1, *views.shape[-3:])

    def level(value: int) -> Array:
        """Each channel of an image that is all of this value, as the network sees it."""
        given = jax.tree.map(lambda array: jnp.full_like(array[0], value), inputs_of(batch))
        return sight(prepare(given)).reshape(-1, views.shape[-1])[0]

    floor, range_ = level(0), level(255) - level(0)  # Undoes the standardising.
    seen = jnp.clip((views - floor.reshape(1, 1, 1, 1, -1)) / range_.reshape(1, 1, 1, 1, -1), 0, 1)
    originals = np.stack([_still(data.train, row) for row in rows])
    return {"views_original": originals, "views": np.asarray(jnp.round(seen * 255), np.uint8)}


def _still(source: Source, number: int) -> np.ndarray:
    """The image; of a clip, the middle frame."""
    image = source[int(number)]["image"]
    return image[len(image) // 2] if image.ndim == 4 else image


def _neighbors(
    data: Data, before: Features, after: Features, *, queries: int = 10, k: int = 8
) -> dict[str, np.ndarray]:
    assert data.test is not None
    rows = np.linspace(0, len(data.test) - 1, queries).astype(int)
    arrays = {
        "query": np.stack([_still(data.test, row) for row in rows]),
        "query_label": after.test_labels[rows],
    }
    for name, features in {"neighbors_before": before, "neighbors_after": after}.items():
        keys = features.train / np.linalg.norm(features.train, axis=1, keepdims=True).clip(1e-12)
        nearest = np.argsort(-features.test[rows] @ keys.T, axis=1)[:, :k]  # [q, k]
        arrays[name] = np.stack([[_still(data.train, number) for number in row] for row in nearest])
        arrays[f"{name}_label"] = features.train_labels[nearest]
    return arrays


def _map(before: Features, after: Features, *, size: int = 800) -> dict[str, np.ndarray]:
    rows = np.linspace(0, len(after.test) - 1, min(size, len(after.test))).astype(int)
    return {
        "embedding": after.test[rows],
        "embedding_before": before.test[rows],
        "embedding_label": after.test_labels[rows],
    }
