"""The picture of `agreement.py`: clips, and those that are alike in sight and sound, or in one of them alone."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.augment.audio import log_spectrogram
from ssl_jax.data import load_into_memory
from ssl_jax.data.source import Batch
from ssl_jax.data.subsets import Subset
from ssl_jax.losses.audiovisual import AGREEMENTS
from ssl_jax.ops.normalize import unit_length
from ssl_jax.recipes import Recipe
from ssl_jax.report.figures import gallery, write_svg
from ssl_jax.train.state import TrainState


def banks(state: TrainState) -> tuple[Array, Array]:
    """The rows of both banks at unit length, `[L, D]`."""
    video, audio = (unit_length(state.method_state["banks"][name].rows) for name in ("video", "audio"))
    return video, audio


def write_picture(file: Path, recipe: Recipe, state: TrainState, *, queries: int = 4, each: int = 2) -> None:
    """Clips, the positives by both, and those of one modality that are least alike in the other: frames and spectrograms."""
    method: Any = recipe.method
    video, audio = banks(state)
    classes, rows, notes = recipe.data.classes, {}, {}
    step = len(video) // queries + 1
    for query in range(0, len(video), step):
        sight, sound = video @ video[query], audio @ audio[query]
        by = {name: agreeing_clips_of(query, sight, sound, name, method.positive_pool) for name in AGREEMENTS}
        looks, sounds = by["video"], by["audio"]
        looks = looks[np.argsort(np.asarray(sound)[looks])]  # least alike in sound first
        sounds = sounds[np.argsort(np.asarray(sight)[sounds])]
        chosen = [query, *by["both"][:each], *looks[:each], *sounds[:each]]
        clips = load_into_memory(Subset(recipe.data.train, np.array(chosen)))
        name = classes[int(clips["label"][0])]
        rows[name] = clips["image"][:, clips["image"].shape[1] // 2]
        notes[name] = ["query", *relations(clips["label"], classes)]
        rows[f"its sound, {name}"] = spectrograms(clips)
        notes[f"its sound, {name}"] = ["", *["both"] * each, *["sight"] * each, *["sound"] * each]
    write_svg(file, gallery(rows, title="Positives by both, and alike in sight alone or in sound alone", notes=notes))


def agreeing_clips_of(query: int, sight: Array, sound: Array, name: Any, count: int) -> NDArray[np.intp]:
    """As `agreeing_clips` for one clip, from its similarities with all clips."""
    similarity = np.array(AGREEMENTS[name](sight, sound))
    similarity[query] = -np.inf
    return np.argsort(-similarity)[:count]


def relations(labels: NDArray[np.integer], classes: tuple[str, ...]) -> list[str]:
    """What each clip but the first has in common with the first."""
    (outline, timbre), *others = (classes[int(label)].split() for label in labels)
    words = {(True, True): "class", (True, False): "outline", (False, True): "timbre", (False, False): "neither"}
    return [words[other[0] == outline, other[1] == timbre] for other in others]


def spectrograms(clips: Batch) -> NDArray[np.uint8]:
    """Of each clip, `[N, 65, 65, 1]`: time from left to right, low frequencies below."""
    make = jax.vmap(partial(log_spectrogram, window=128, hop=64))
    images = np.asarray(255 * make(jnp.asarray(clips["audio"]))).astype(np.uint8)
    images = images.transpose(0, 2, 1)[:, ::-1]
    return images.repeat(2, axis=2)[:, :, : images.shape[1], None]
