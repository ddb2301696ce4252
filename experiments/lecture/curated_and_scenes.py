"""Curated images and scenes: what crops of one object teach, and crops of many.

    python experiments/lecture/curated_and_scenes.py
    python experiments/lecture/curated_and_scenes.py --only "SimCLR, scenes, 0.1" --seeds 0

Images with one object in the middle ("objects") and scenes of the same drawn objects are pre-trained on with the same settings,
by small crops, of which two of a scene often show different objects, and by large ones. The features of every run are evaluated
on both sets. Runs that are missing in the results file follow one another; a run that was killed resumes. The table of
README.md in this folder and the pictures are made of the results.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont

from ssl_jax.augment.geometry import sample_crop_box
from ssl_jax.augment.views import photo_views
from ssl_jax.composition.images import Images
from ssl_jax.composition.opened import Opened
from ssl_jax.composition.training import Laptop
from ssl_jax.data import ArraySource, Batches, Data, Scenes
from ssl_jax.evaluate import knn_accuracy, linear_probe, multi_label_probe, principal_colors, segmentation_probe
from ssl_jax.evaluate.features import Network, compute_features, feature_extractor, pixels
from ssl_jax.evaluate.patches import map_extractor, most_images, pixel_maps, read_patches
from ssl_jax.evaluate.segmentation import Segmentation
from ssl_jax.files import filled, replacing, write_atomically, write_json
from ssl_jax.methods.method import Method
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.methods.swav import SwAV
from ssl_jax.networks import small_convnet
from ssl_jax.report.patches import enlarged, mask_colors
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh

HERE = Path(__file__).parent
RESULTS = HERE / "results/curated_and_scenes.json"
SIDE, VIEW, CLASSES, BATCH, LEARNING_RATE = 48, 32, 12, 128, 3e-3  # Views are smaller than images: half of the time.
STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)  # Of which training images choose, for each probe.
SHOWN, CROPPED = 10, 5  # Images in the pictures; fewer of crops, to be read on a phone.
LEAST_PIXELS = 10  # Of an object that counts as shown in a scene.
FIGURES = {
    "objects_knn": "objects, k-NN",
    "objects_linear": "objects, linear",
    "scenes_map": "scenes, mAP",
    "scenes_iou": "scenes, mIoU",
}


class Case(NamedTuple):
    """method: "SimCLR" or "SwAV". data: pre-trained on, "objects" or "scenes". least: smallest area of a crop."""

    method: str
    data: str
    least: float

    @property
    def name(self) -> str:
        return f"{self.method}, {self.data}, {self.least}"


CASES = {
    case.name: case
    for case in (
        *(Case("SimCLR", data, least) for data in ("objects", "scenes") for least in (0.1, 0.5)),
        *(Case("SwAV", data, 0.1) for data in ("objects", "scenes")),
    )
}
BASELINES = ("untrained", "pixels")
SHOWN_CASES = ("untrained", "SimCLR, objects, 0.1", "SimCLR, scenes, 0.1", "SimCLR, scenes, 0.5")  # In the picture.


def curated_and_scenes(
    *,
    only: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0, 1),
    steps: int = 80,
    images: int = 2000,
    runs: Path = Path("runs/curated_and_scenes"),
    results: Path = RESULTS,
) -> None:
    """Runs what is missing, and writes results, the table of what is there, and the pictures.

    Args:
      only: names of cases; all when none is given.
      seeds: seeds of the runs.
      steps: steps of each run, of 128 images.
      images: training images of each set; half as many are test images.
      runs: folder of the checkpoints.
      results: file of the measurements.
    """
    found = json.loads(results.read_text()) if results.exists() else {}
    if "crops" not in found:
        pairs = [(data, least) for data in ("objects", "scenes") for least in (0.1, 0.5)]
        found["crops"] = {f"{data}, {least}": same_class(data, least, images) for data, least in pairs}
    for seed in seeds:
        for name in only or (*BASELINES[: 2 if seed == seeds[0] else 1], *CASES):
            of_case = found.setdefault(name, {})
            if str(seed) not in of_case:
                of_case[str(seed)] = measured(name, steps=steps, seed=seed, images=images, runs=runs)
                write_json(results, found)
            print(name, seed, of_case[str(seed)], flush=True)
    write_json(results, found)
    if results == RESULTS:
        readme = HERE / "README.md"
        write_atomically(readme, filled(readme.read_text(), {"curated": table(found), "crops": crop_table(found)}))
        if set(SHOWN_CASES) <= set(found):
            write_pictures(steps=steps, seed=seeds[0], images=images, runs=runs)


@functools.cache
def opened_set(name: str, images: int) -> Data:
    """A set in memory, drawn once: training images with seed 0, half as many test images with seed 1."""
    return Data(name, *(in_memory(name, size, seed) for seed, size in enumerate((images, images // 2))))


def in_memory(name: str, size: int, seed: int) -> ArraySource:
    source = Scenes(size=size, side=SIDE, seed=seed, curated=name == "objects")
    examples, masks = zip(*(source.with_mask(number) for number in range(size)), strict=True)
    drawn, labels = (np.stack([example[part] for example in examples]) for part in ("image", "label"))
    return ArraySource(source.name, source.classes, drawn, labels, np.stack(masks))


def opened_for(name: str, images: int) -> Opened:
    encoder = small_convnet(channels=3, widths=(16, 32, 64, 128), strides=(2, 2, 2, 1))
    return Images(opened_set(name, images), SIDE, encoder).open()


def method_of(name: str, opened: Opened) -> Method:
    head = opened.head(256, 64)
    if name == "SwAV":
        return SwAV(opened.encoder, head, prototypes=48, temperature=0.1, epsilon=0.03)
    return SimCLR(opened.encoder, head, temperature=0.2)


def weights(name: str, *, steps: int, seed: int, images: int, runs: Path) -> tuple[Method, Any, Any, Any]:
    """Method, evaluation view, parameters and state: of a run, from its last checkpoint if there is one, or untrained."""
    case = CASES.get(name, Case("SimCLR", "objects", 1.0))
    opened, mesh = opened_for(case.data, images), make_mesh(1)
    method = method_of(case.method, opened)
    if name == "untrained":
        return method, opened.prepare, *jax.jit(method.init)(jax.random.key(seed))
    views = opened.views(photo_views, size=VIEW, scale=(case.least, 1.0), jitter=(0.4, 0.4, 0.4, 0.0), blur=0.0)
    run = runs / f"{case.name}, seed {seed}".replace(", ", "-").replace(" ", "")
    with Batches(opened.data.train, BATCH, seed=seed, sharding=batch_sharding(mesh)) as batches:
        state = fit(
            method, views, Laptop(learning_rate=LEARNING_RATE).adamw(steps), batches,
            steps=steps, seed=seed, run=run, mesh=mesh, log_every=20,
        )  # fmt: skip
    return method, opened.prepare, *jax.device_get((state.params, state.method_state))


def measured(name: str, *, steps: int, seed: int, images: int, runs: Path) -> dict[str, float]:
    """`FIGURES` of a run, of untrained weights or of pixels, each in [0, 1]."""
    networks = networks_of(name, steps=steps, seed=seed, images=images, runs=runs)
    found: dict[str, float] = {}
    for data, network in networks.items():
        arrays = compute_features(network.extract, network.params, network.state, network.data)
        if data == "objects":
            found["objects_knn"] = float(jax.device_get(knn_accuracy(*arrays[:4], num_classes=CLASSES)))
            found["objects_linear"] = linear_probe(
                *arrays[:4], num_classes=CLASSES, strengths=STRENGTHS, seed=seed
            ).accuracy
        else:
            targets = [shown_in(source.masks) for source in (network.data.train, network.data.test)]
            probe = multi_label_probe(arrays.train, targets[0], arrays.test, targets[1], strengths=STRENGTHS, seed=seed)
            segmented = segmentation(name, steps=steps, seed=seed, images=images, runs=runs)
            found |= {"scenes_map": probe.average_precision, "scenes_map_chance": probe.chance}
            found |= {"scenes_iou": segmented.mean_iou, "scenes_iou_chance": segmented.chance}
    return {figure: round(value, 4) for figure, value in found.items()}


@functools.cache
def networks_of(name: str, *, steps: int, seed: int, images: int, runs: Path) -> dict[str, Network]:
    """The network of a case with each set of images."""
    sets = {data: opened_set(data, images) for data in ("objects", "scenes")}
    if name == "pixels":
        return {data: Network(pixels, None, None, each, maps=pixel_maps((6, 6))) for data, each in sets.items()}
    method, prepare, params, state = weights(name, steps=steps, seed=seed, images=images, runs=runs)
    extract, maps = feature_extractor(method, prepare), map_extractor(method, prepare)
    return {data: Network(extract, params, state, each, maps=maps) for data, each in sets.items()}


@functools.cache
def segmentation(name: str, *, steps: int, seed: int, images: int, runs: Path) -> Segmentation:
    """A linear head on the patches of scenes by the network of a case."""
    network = networks_of(name, steps=steps, seed=seed, images=images, runs=runs)["scenes"]
    train = read_patches(network, network.data.train, most=most_images(network))
    test = read_patches(network, network.data.test)
    return segmentation_probe(*train, *test, num_classes=CLASSES + 1, strengths=STRENGTHS, seed=seed)


def shown_in(masks: np.ndarray) -> np.ndarray:
    """`[N, H, W]` -> `[N, 12]`, 1 where an image shows at least `LEAST_PIXELS` of a class."""
    counts = [(masks == 1 + label).sum(axis=(1, 2)) for label in range(CLASSES)]
    return (np.stack(counts, axis=1) >= LEAST_PIXELS).astype(np.int32)


def same_class(data: str, least: float, images: int) -> float:
    """Share of the pairs of crops whose most visible object is of one class; crops without an object agree with none."""
    source = opened_set(data, images).test
    pairs = zip(source.masks, crop_boxes(len(source), least), strict=True)
    classes = np.array([[main_class(mask, box) for box in boxes] for mask, boxes in pairs])
    return round(float(((classes[:, 0] == classes[:, 1]) & (classes[:, 0] >= 0)).mean()), 4)


def crop_boxes(count: int, least: float) -> np.ndarray:
    """Two random crops of each image: top, left, height and width, `[count, 2, 4]`."""
    sample = functools.partial(sample_crop_box, image_size=(SIDE, SIDE), scale=(least, 1.0))
    boxes = jax.jit(jax.vmap(jax.vmap(sample)))(jax.random.split(jax.random.key(0), (count, 2)))
    return np.asarray(boxes).astype(int)


def main_class(mask: np.ndarray, box: np.ndarray) -> int:
    top, left, height, width = box
    counts = np.bincount(mask[top : top + height, left : left + width].ravel(), minlength=CLASSES + 1)[1:]
    return int(counts.argmax()) if counts.any() else -1


def table(found: dict[str, Any]) -> str:
    head = [
        "| method | pre-trained on | smallest crop | " + " | ".join(FIGURES.values()) + " | seeds |",
        "|---" * 8 + "|",
    ]
    rows = [f"| {first} | {figures(found[name])} |" for name, first in row_names().items() if found.get(name)]
    return "\n".join([*head, *rows])


def row_names() -> dict[str, str]:
    cases = {name: f"{case.method} | {case.data} | {100 * case.least:.0f} %" for name, case in CASES.items()}
    return {name: f"*{name}* | - | -" for name in BASELINES} | cases


def figures(of_seeds: dict[str, dict[str, float]]) -> str:
    """Means over seeds in percent, with half the range where there are several, and their number."""
    columns = [[100 * kept[figure] for kept in of_seeds.values()] for figure in FIGURES]
    spreads = [f" ± {np.ptp(column) / 2:.1f}" if len(column) > 1 else "" for column in columns]
    means = [f"{np.mean(column):.1f}{spread}" for column, spread in zip(columns, spreads, strict=True)]
    return " | ".join([*means, str(len(of_seeds))])


def crop_table(found: dict[str, Any]) -> str:
    head = ["| images | smallest crop 10 % | smallest crop 50 % |", "|---|---|---|"]
    shares = {
        data: [100 * found["crops"][f"{data}, {least}"] for least in (0.1, 0.5)] for data in ("objects", "scenes")
    }
    return "\n".join([*head, *(f"| {data} | {small:.1f} | {large:.1f} |" for data, (small, large) in shares.items())])


def write_pictures(*, steps: int, seed: int, images: int, runs: Path) -> None:
    """Two small crops of objects and of scenes; and scenes by the features of four networks."""
    pairs = {data: crop_pairs(opened_set(data, images).test) for data in ("objects", "scenes")}
    rows = {f"{data}: {part}": strip for data, parts in pairs.items() for part, strip in parts.items()}
    write_rows(HERE / "pictures/curated_crops.png", rows)
    test = opened_set("scenes", images).test
    rows = {"image": test.images[:SHOWN], "mask": mask_colors(test.masks[:SHOWN])}
    for name in SHOWN_CASES:
        of_run = {"steps": steps, "seed": seed, "images": images, "runs": runs}
        network = networks_of(name, **of_run)["scenes"]
        colors = principal_colors(read_patches(network, test).maps)[:SHOWN]
        rows[f"{name}: colours"] = [enlarged(each, (SIDE, SIDE)) for each in colors]
        rows[f"{name}: segmented"] = mask_colors(segmentation(name, **of_run).predictions[:SHOWN])
    write_rows(HERE / "pictures/curated_and_scenes.png", rows)


def crop_pairs(source: ArraySource) -> dict[str, list[np.ndarray]]:
    """Images with two crops of at least a tenth of the area outlined, and these crops."""
    parts: dict[str, list[np.ndarray]] = {"image": [], "crop": [], "other crop": []}
    for image, boxes in zip(source.images, crop_boxes(CROPPED, 0.1), strict=False):
        outlined = image.copy()
        for (top, left, height, width), color in zip(boxes, ((255, 220, 0), (0, 230, 255)), strict=True):
            outlined[[top, top + height - 1], left : left + width] = color
            outlined[top : top + height, [left, left + width - 1]] = color
        parts["image"].append(outlined)
        for name, (top, left, height, width) in zip(("crop", "other crop"), boxes, strict=True):
            crop = Image.fromarray(image[top : top + height, left : left + width])
            parts[name].append(np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.BILINEAR)))
    return parts


def write_rows(path: Path, rows: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Rows of images with their names on the left, as PNG."""
    cell, left, font = 2 * SIDE + 4, 176, ImageFont.load_default(size=17)
    sheet = Image.new("RGB", (left + cell * max(map(len, rows.values())), cell * len(rows)), "white")
    for row, (name, strip) in enumerate(rows.items()):
        ImageDraw.Draw(sheet).text((6, cell * row + SIDE - 20), name.replace(": ", ":\n"), fill="black", font=font)
        for column, image in enumerate(strip):
            enlarged_image = Image.fromarray(enlarged(image, (2 * SIDE, 2 * SIDE)))
            sheet.paste(enlarged_image, (left + cell * column, cell * row + 2))
    with replacing(path) as draft:
        sheet.save(draft, optimize=True)


if __name__ == "__main__":
    tyro.cli(curated_and_scenes)
