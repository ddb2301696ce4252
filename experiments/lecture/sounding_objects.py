"""Where does it sound? The map of AVOL-Net on drawn clips, against where the shape is.

    python experiments/lecture/sounding_objects.py

The demo of avc with `fusion="map"` learns from whole frames alone whether a sound belongs to them. Measured on test clips: how
often the position most similar to the sound lies on the shape; and, with the frames of two clips side by side and the sound of
one of them, how often it lies on the side, and on the shape, that sounds. The table of README.md in this folder and the picture
are made of it.
"""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from numpy.typing import NDArray

from ssl_jax.commands import Options, pretrain
from ssl_jax.commands.saved_run import restore
from ssl_jax.data import load_into_memory
from ssl_jax.data.drawn.clips import Clips
from ssl_jax.files import filled, write_atomically, write_json
from ssl_jax.recipes import Recipe, find
from ssl_jax.report.figures import gallery, write_svg
from ssl_jax.runs import read_metrics, read_results

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "results/sounding_objects.json", HERE / "pictures/sounding_objects.svg"
Floats = NDArray[np.floating]


def sounding_objects(
    *,
    run: Path = Path("runs/sounding_objects"),
    seed: int = 0,
    epochs: float | None = None,
    results: Path = RESULTS,
    picture: Path = PICTURE,
) -> None:
    """Pre-trains where the run is missing, measures, and draws.

    Args:
      run: folder of the run.
      seed: seed of the run, and of the pairs of frames.
      epochs: number of passes instead of the recipe's; for a trial.
      results: file of the measurements.
      picture: file of the picture.
    """
    options = {} if epochs is None else {"epochs": epochs}
    if read_results(run) is None:
        pretrain(partial(find("avc", "demo"), fusion="map", **options), Options(run=run, seed=seed))
    _, recipe, state, _ = restore(run, None)
    test = recipe.data.test
    assert isinstance(test, Clips)
    clips = load_into_memory(test)
    middle, side = clips["image"].shape[1] // 2, test.image_shape[1]
    paths = [test.paths(number) for number in range(len(test))]
    centres, radii = (np.stack([path[part][middle] for path in paths]) for part in (0, 1))
    inputs = jax.vmap(recipe.prepare)({"image": jnp.asarray(clips["image"]), "audio": jnp.asarray(clips["audio"])})
    first, second = contrary_pairs(clips["label"], test.classes, seed=seed)
    both = jnp.concatenate([inputs["image"][first], inputs["image"][second]], axis=2)
    untrained = jax.jit(lambda: recipe.method.init(jax.random.key(seed)))()
    weights = {"trained": (state.params, state.method_state), "untrained": untrained}
    found, maps = {}, {}
    for name, (params, stats) in weights.items():
        localize = jax.jit(partial(located, recipe, params, stats))
        maps[name] = (
            np.asarray(localize(inputs["image"], inputs["audio"])),
            *(np.asarray(localize(both, inputs["audio"][rows])) for rows in (first, second)),
        )
        found[name] = {"on_shape": on_shape(peaks(maps[name][0], side), centres, radii)}
        found[name] |= of_pairs(*maps[name][1:], centres, radii, first, second, side=side)
    found["frame's centre"] = {"on_shape": on_shape(np.full_like(centres, side / 2), centres, radii)}
    area = float(np.mean([disc(side, *each).mean() for each in zip(centres, radii, strict=True)]))
    found["chance"] = {"on_shape": area, "right_side": 0.5, "right_shape": area / 2}
    found |= {"task_accuracy": last_metric(run, "task_accuracy"), "pairs": 2 * len(first), "clips": len(test)}
    write_json(results, found)
    print(table(found))
    write_picture(picture, clips["image"][:, middle], maps["trained"], first, second)
    if results == RESULTS:
        readme = HERE / "README.md"
        write_atomically(readme, filled(readme.read_text(), {"sounding": table(found)}))


def located(recipe: Recipe, params: Any, stats: Any, image: Any, audio: Any) -> Any:
    """The map of each frame and sound, `[N, h, w]`."""
    method: Any = recipe.method
    return method.localize(params, stats, {"image": image, "audio": audio})


def contrary_pairs(
    labels: NDArray[np.integer], classes: tuple[str, ...], *, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Clips in pairs, in which neither outline occurs with the other's timbre, so that a sound fits one side only."""
    order = np.random.default_rng(seed).permutation(len(labels))
    first, second = order[: len(order) // 2], order[len(order) // 2 : 2 * (len(order) // 2)]
    outline, timbre = (np.array([name.split()[part] for name in classes])[labels] for part in (0, 1))
    fits = set(classes)
    contrary = [
        f"{outline[a]} {timbre[b]}" not in fits and f"{outline[b]} {timbre[a]}" not in fits
        for a, b in zip(first, second, strict=True)
    ]
    return first[contrary], second[contrary]


def of_pairs(
    of_first: Floats, of_second: Floats, centres: Floats, radii: Floats, *pairs: NDArray[np.intp], side: int
) -> dict[str, float]:
    """Shares of the pairs with the largest value on the side, and on the shape, that sounds."""
    left, right = peaks(of_first, side), peaks(of_second, side) - np.array([0, side])
    sides = np.concatenate([left[:, 1] < side, right[:, 1] > 0])
    shapes = [on_shape(points, centres[rows], radii[rows]) for points, rows in zip((left, right), pairs, strict=True)]
    return {"right_side": float(sides.mean()), "right_shape": float(np.mean(shapes))}


def peaks(maps: Floats, side: int) -> Floats:
    """The middle of the position with the largest value, in pixels from the top left corner, `[N, 2]`."""
    rows, columns = np.unravel_index(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[1:])
    return (np.stack([rows, columns], axis=1) + 0.5) * side / maps.shape[1]


def on_shape(points: Floats, centres: Floats, radii: Floats) -> float:
    """Share of the points within the radius of the shape."""
    return float((np.linalg.norm(points - centres, axis=1) < radii).mean())


def disc(side: int, centre: Floats, radius: float) -> NDArray[np.bool_]:
    """The pixels of a frame that lie within the radius."""
    pixels = np.mgrid[:side, :side].transpose(1, 2, 0) + 0.5
    return np.linalg.norm(pixels - centre, axis=-1) < radius


def last_metric(run: Path, name: str) -> float:
    """The last mean that the run logged."""
    return [record[name] for record in read_metrics(run) if name in record][-1]


def table(found: dict[str, Any]) -> str:
    """Percentages of the frames and pairs; a dash where there is nothing to measure."""
    kinds = ("on_shape", "right_side", "right_shape")
    rows = [
        f"| {name} | " + " | ".join(f"{100 * kept[kind]:.1f}" if kind in kept else "-" for kind in kinds) + " |"
        for name, kept in found.items()
        if isinstance(kept, dict)
    ]
    words = (
        f"{found['clips']} test frames, {found['pairs']} pairs of a sound and two frames. At the end of training "
        f"{100 * found['task_accuracy']:.1f} % of the pairs were right (chance 50, by classes alone at best 83.3)."
    )
    head = (
        "| largest value | on the shape, % | of two, on the side that sounds, % | of two, on the shape that sounds, % |"
    )
    return "\n".join([words, "", head, "|---|---|---|---|", *rows])


def write_picture(file: Path, frames: NDArray[np.uint8], maps: tuple[Floats, ...], *pairs: NDArray[np.intp]) -> None:
    """Frames, their maps, and two frames side by side with the map of either sound, as squares."""
    single, of_first, of_second = maps
    count, side = 8, frames.shape[1]
    both = np.concatenate([frames[pairs[0]], frames[pairs[1]]], axis=2)[:count]
    rows = {
        "frame": np.repeat(frames[:count], 3, axis=-1),
        "its sound": overlaid(frames[:count], single[:count]),
        "two frames": padded(np.repeat(both, 3, axis=-1), side),
        "sound of the left": padded(overlaid(both, of_first[:count]), side),
        "sound of the right": padded(overlaid(both, of_second[:count]), side),
    }
    write_svg(file, gallery(rows, title="Where it sounds: similarity of the sound and each position"))


def overlaid(frames: NDArray[np.uint8], maps: Floats) -> NDArray[np.uint8]:
    """Frames in gray, reddened where the map is high, scaled from its lowest to its highest value."""
    scale = frames.shape[1] // maps.shape[1]
    heat = maps - maps.min(axis=(1, 2), keepdims=True)
    heat = heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-9)
    heat = heat.repeat(scale, axis=1).repeat(scale, axis=2)[..., None]
    red = np.array([255.0, 60.0, 0.0]).reshape(1, 1, 1, 3)
    return ((1 - 0.6 * heat) * frames + 0.6 * heat * red).astype(np.uint8)


def padded(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Images twice as wide as high, as squares with white above and below."""
    margin = ((0, 0), (side // 2, side // 2), (0, 0), (0, 0))
    return np.pad(images, margin, constant_values=255)


if __name__ == "__main__":
    tyro.cli(sounding_objects)
