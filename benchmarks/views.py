"""Views on one core of a CPU, beside albumentations (optional) and, from JPEG files, lightly's DataLoader (optional), in turn.

    pip install albumentations lightly torch torchvision
    taskset -c 1 python -m benchmarks views --results benchmarks/results/views-cpu.md

Times are seconds of the processor, of all threads of this process, so that others on the same core count little. Both sides
take uint8 images from memory and give float32 views; an operation by itself takes what it gets within a view: uint8 images
there, float32 columns of channels here, in the cache.
"""

import importlib
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import lax
from machine import about
from PIL import Image
from summary import Row, compared, keep

from ssl_jax.augment.blur import blur_rows
from ssl_jax.augment.color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, to_grayscale
from ssl_jax.augment.columns import crop_by_columns, to_image
from ssl_jax.augment.geometry import sample_crop_box
from ssl_jax.augment.views import multi_crop, photo_views, simclr_views, standardize
from ssl_jax.data import Batches, open_data

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COLOUR = {"mean": MEAN, "std": STD}
STRONG = (0.8, 0.8, 0.8, 0.2)
TIMES = 8
WIDE, TURN = (0.2, 1.8), (-0.2, 0.2)  # The ranges of these strengths.
JPEGS = {"width": 500, "height": 375, "quality": 90}
Calls = dict[str, Callable[[], Any]]


def views_benchmark(*, images: int = 16, rounds: int = 15, files: int = 128, results: Path | None = None) -> None:
    """Prints milliseconds an image, medians over the rounds, and how many times the peer takes.

    Args:
      images: number of images of a call.
      rounds: turns of each.
      files: JPEG files of 500 x 375 pixels.
      results: file of the table.
    """
    single = len(os.sched_getaffinity(0)) == 1
    machine = about("jax", "jaxlib", "albumentations", "opencv-python-headless", "lightly", "torch", "torchvision")
    rows: list[Row] = []
    lines = [
        "# Views on one core of a CPU",
        "",
        f"{machine};",
        f"`taskset -c 1 python -m benchmarks views`{'' if single else ', on several cores'}.",
        "",
        f"Processor milliseconds an image, median of {rounds} turns, {images} images a call. SimCLR is two views, SwAV two",
        f"large and six small ones; each operation of colour and blur is applied {TIMES} times. Above 1, ours takes less.",
        "",
        "| what | ours | albumentations | ratio |",
        "|---|---|---|---|",
    ]
    print("\n".join(lines))
    peers = importlib.util.find_spec("albumentations") is not None
    for name, (ours, peer) in cases(images).items():
        calls = {"ours": ours} | ({"albumentations": peer} if peers else {})
        found = in_turn(calls, rounds=rounds)
        lines.append(row(name, found, count=images))
        rows += beside(name, found, count=images)
        print(lines[-1], flush=True)
    lines += ["", "| JPEG files | ours | lightly's DataLoader | ratio |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files)
        found = in_turn(from_files(Path(folder)), rounds=max(3, rounds // 3))
        lines.append(row("two views of 224", found, count=files))
        rows += beside("JPEG files to two views of 224", found, count=files)
    print("\n".join(lines[-3:]))
    keep(results, "\n".join(lines) + "\n", rows, name="views", about=machine)


def beside(name: str, seconds: dict[str, float], *, count: int) -> list[Row]:
    """The row of the summary; none without the peer."""
    ours, *others = (1e3 * each / count for each in seconds.values())
    peer = list(seconds)[-1]
    return [compared(name, peer, ours, theirs, unit="ms an image", digits=".3f") for theirs in others]


def row(name: str, seconds: dict[str, float], *, count: int) -> str:
    taken = [1e3 * each / count for each in seconds.values()]
    cells = [f"{each:.3f}" for each in taken] + (["-"] if len(taken) == 1 else [])
    return f"| {' | '.join([name, *cells, f'{taken[1] / taken[0]:.2f}' if len(taken) > 1 else '-'])} |"


def in_turn(calls: Calls, *, rounds: int) -> dict[str, float]:
    """Median processor seconds of each call after one that compiles."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            began = time.process_time()
            jax.block_until_ready(call())
            found[name] += [time.process_time() - began] if number else []
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def photographs(count: int, size: tuple[int, int]) -> list[Any]:
    """Smooth noise, uint8 `[H, W, 3]`."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    return [np.asarray(Image.fromarray(each).resize(size[::-1], Image.Resampling.BICUBIC)) for each in coarse]


def cases(count: int) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Our call and albumentations' of each name."""
    found = {}
    for stored, size in ((256, 224), (36, 32)):
        images = photographs(count, (stored, stored))
        blur = 0.5 if size > 32 else 0.0
        ours = simclr_views(size=size, blur=bool(blur), **COLOUR)
        found[f"SimCLR, {stored} to {size}"] = (
            made(ours, images),
            peer_views(images, [(size, (0.08, 1.0), blur, 23)] * 2),
        )
    images = photographs(count, (256, 256))
    large = photo_views(size=224, scale=(0.14, 1.0), jitter=STRONG, **COLOUR)
    small = photo_views(size=96, scale=(0.05, 0.14), jitter=STRONG, blur_kernel="pillow", views=6, **COLOUR)
    crops = [(224, (0.14, 1.0), 0.5, 23)] * 2 + [(96, (0.05, 0.14), 0.5, 13)] * 6
    found["SwAV, 256 to 224 and 96"] = made(multi_crop(large, small), images), peer_views(images, crops)
    return found | operations(count)


def made(augment: Callable[..., Any], images: list[Any]) -> Callable[[], Any]:
    keys = jax.random.split(jax.random.key(0), len(images))
    return partial(jax.jit(jax.vmap(augment)), keys, jnp.asarray(np.stack(images)))


def operations(count: int) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Single operations to and at 224 x 224, always applied, with an amount of each image.

    Those of colour and blur are applied `TIMES` times in a row, since within a view their image is in the cache.
    """
    images, stored = photographs(count, (224, 224)), photographs(count, (256, 256))
    columns = jnp.asarray(np.stack(images), jnp.float32).transpose(0, 2, 3, 1) / 255
    uniform = jnp.linspace(0, 1, count)
    factors, turns, sigmas = 0.2 + 1.6 * uniform, 0.4 * uniform - 0.2, 0.1 + 1.9 * uniform

    def each(function: Callable[..., Any], *given: Any) -> Callable[[], Any]:
        return partial(jax.jit(lambda *given: lax.map(lambda one: function(*one), given)), *given)

    def repeated(function: Callable[..., Any], amounts: Any, **options: Any) -> Callable[[], Any]:
        def of_image(image: jax.Array, amount: jax.Array) -> jax.Array:
            for _ in range(TIMES):  # By branches, as in a view.
                image = lax.cond(
                    amount > -1, lambda image: function(image, amount, **options), lambda image: image, image
                )
            return image

        return each(of_image, columns, amounts)

    def crop(image: jax.Array, rng: jax.Array) -> jax.Array:
        box = sample_crop_box(rng, image_size=image.shape[:2])
        return crop_by_columns(image.astype(jnp.float32) / 255, box, jnp.array(False), size=(224, 224))

    def blur(image: jax.Array, sigma: jax.Array) -> jax.Array:
        return blur_rows(blur_rows(image, sigma, kernel_size=23), sigma, kernel_size=23)

    keys = jax.random.split(jax.random.key(0), count)
    ours = {
        "crop, 256 to 224": each(crop, jnp.asarray(np.stack(stored)), keys),
        "brightness": repeated(adjust_brightness, factors),
        "contrast": repeated(adjust_contrast, factors, axis=1),
        "saturation": repeated(adjust_saturation, factors, axis=1),
        "hue": repeated(adjust_hue, turns, axis=1),
        "grayscale": repeated(lambda image, _: to_grayscale(image, axis=1), factors),
        "blur": repeated(blur, sigmas),
        "order of axes, standardize": each(lambda image: standardize(to_image(image), **COLOUR), columns),
    }
    if importlib.util.find_spec("albumentations") is None:
        return {name: (call, call) for name, call in ours.items()}
    library = albumentations()
    still = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0), "p": 1}
    theirs = (
        [library.RandomResizedCrop((224, 224), scale=(0.08, 1))],
        [library.ColorJitter(**still | {"brightness": WIDE})] * TIMES,
        [library.ColorJitter(**still | {"contrast": WIDE})] * TIMES,
        [library.ColorJitter(**still | {"saturation": WIDE})] * TIMES,
        [library.ColorJitter(**still | {"hue": TURN})] * TIMES,
        [library.ToGray(p=1)] * TIMES,
        [library.GaussianBlur(blur_limit=(23, 23), sigma_limit=(0.1, 2), p=1)] * TIMES,
        [library.Normalize(mean=MEAN, std=STD)],
    )
    given = {name: stored if name.startswith("crop") else images for name in ours}
    steps = zip(ours.items(), theirs, strict=True)
    return {name: (call, through(library.Compose(peer), given[name])) for (name, call), peer in steps}


def through(transform: Callable[..., Any], images: list[Any]) -> Callable[[], Any]:
    return lambda: [transform(image=image)["image"] for image in images]


def albumentations() -> Any:
    importlib.import_module("cv2").setNumThreads(0)
    return importlib.import_module("albumentations")


def peer_views(images: list[Any], crops: list[tuple[int, tuple[float, float], float, int]]) -> Callable[[], Any]:
    """Views of each image by albumentations: side, scale, probability and kernel of the blur of each."""
    if importlib.util.find_spec("albumentations") is None:
        return lambda: None
    library = albumentations()

    def view(size: int, scale: tuple[float, float], blur: float, kernel: int) -> Any:
        jitter = library.ColorJitter(brightness=WIDE, contrast=WIDE, saturation=WIDE, hue=TURN, p=0.8)
        blurred = [library.GaussianBlur(blur_limit=(kernel, kernel), sigma_limit=(0.1, 2), p=blur)] if blur else []
        steps = [library.RandomResizedCrop((size, size), scale=scale), library.HorizontalFlip(p=0.5), jitter]
        return library.Compose([*steps, library.ToGray(p=0.2), *blurred, library.Normalize(mean=MEAN, std=STD)])

    transforms = [view(*crop) for crop in crops]
    return lambda: [transform(image=image)["image"] for image in images for transform in transforms]


def write_files(folder: Path, count: int) -> None:
    for number, image in enumerate(photographs(count, (JPEGS["height"], JPEGS["width"]))):
        Image.fromarray(image).save(folder / f"{number:04}.jpg", quality=JPEGS["quality"])


def from_files(folder: Path) -> Calls:
    """An epoch from files to two views of 224.

    Ours also reads a batch that nobody takes. lightly's loader reads in this process: workers would take turns on the core.
    """
    source = open_data(str(folder), image_size=256).train
    batch = min(16, len(source))
    augment = jax.jit(jax.vmap(simclr_views(size=224, **COLOUR)))
    keys = jax.random.split(jax.random.key(0), batch)

    def ours() -> None:
        with Batches(source, batch, seed=0, load_into_memory=False, threads=1) as batches:
            for _ in range(len(source) // batch):
                jax.block_until_ready(augment(keys, next(batches)["image"]))

    if importlib.util.find_spec("lightly") is None:
        return {"ours": ours}
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    transform = importlib.import_module("lightly.transforms").SimCLRTransform(input_size=224)
    data = importlib.import_module("lightly.data").LightlyDataset(str(folder), transform=transform)
    loader = torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True)
    return {"ours": ours, "lightly": lambda: [views for views, *_ in loader] and None}


if __name__ == "__main__":
    tyro.cli(views_benchmark)
