"""The cost of views, and a comparison with dm_pix for colour and blur: speed, and distance from the definitions.

    pip install dm-pix
    python -m benchmarks augment --results benchmarks/results/augment-cpu.md

Milliseconds are the best of interleaved repeats of one jitted program over a batch. Errors are the largest differences
from torchvision's definitions, written below in float64, on images in [0, 1]; "clipped" brings dm_pix back into [0, 1]
first. "strict" states whether dm_pix runs without implicit promotion of ranks and types.
"""

import colorsys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from machine import about
from summary import Row, compared, keep
from timing import best_times

from ssl_jax.augment.blur import gaussian_blur, simclr_kernel
from ssl_jax.augment.color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from ssl_jax.augment.views import digit_views, simclr_views

try:
    import dm_pix
except ImportError:
    dm_pix = None

SHAPES = ((256, 28, 28, 1), (256, 32, 32, 3), (16, 224, 224, 3))
GREY = {"mean": (0.5,), "std": (0.25,)}
COLOUR = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
VIEWS = (
    ("digit_views 28", digit_views(size=28, **GREY), 0),
    ("simclr_views 32", simclr_views(size=32, **COLOUR), 1),
    ("simclr_views 32, strength 0.5, no blur", simclr_views(size=32, strength=0.5, blur=False, **COLOUR), 1),
    ("simclr_views 224", simclr_views(size=224, **COLOUR), 2),
)


def luma(image):
    return image if image.shape[-1] == 1 else (image @ [0.299, 0.587, 0.114])[..., None]


def blend(image, dull, amount):
    return np.clip(amount * image + (1 - amount) * dull, 0, 1)


def turned(pixel, amount):
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    return colorsys.hsv_to_rgb((hue + amount) % 1, saturation, value)


def blurred(image, sigma):
    radius = simclr_kernel(image.shape[0]) // 2
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    for axis in range(2):
        mirrored = np.pad(image, [(radius, radius) if i == axis else (0, 0) for i in range(3)], mode="reflect")
        image = np.apply_along_axis(np.convolve, axis, mirrored, weights / weights.sum(), mode="valid")
    return image


def plain_blur(image, sigma):
    return gaussian_blur(image, sigma, kernel_size=simclr_kernel(image.shape[0]))


def pix_brightness(image, amount):
    return dm_pix.adjust_brightness(image, (amount - 1) / 2)


def pix_blur(image, sigma):
    return dm_pix.gaussian_blur(image, sigma, simclr_kernel(image.shape[0]))


# Name, amount, definition, ours, dm_pix's nearest. Its brightness adds; the amount preserves the mean of the images.
OPERATIONS = (
    ("brightness", 1.3, lambda i, a: blend(i, 0, a), adjust_brightness, pix_brightness),
    (
        "contrast",
        1.3,
        lambda i, a: blend(i, luma(i).mean(), a),
        adjust_contrast,
        lambda *ia: dm_pix.adjust_contrast(*ia),
    ),
    (
        "saturation",
        1.3,
        lambda i, a: blend(i, luma(i), a),
        adjust_saturation,
        lambda *ia: dm_pix.adjust_saturation(*ia),
    ),
    ("hue", 0.1, lambda i, a: np.apply_along_axis(turned, -1, i, a), adjust_hue, lambda *ia: dm_pix.adjust_hue(*ia)),
    ("blur", 1.0, blurred, plain_blur, pix_blur),
)


def milliseconds(programs: list[Callable], *inputs, repeats: int) -> list[float]:
    """The best time of each program."""
    calls = {number: partial(program, *inputs) for number, program in enumerate(programs)}
    return [1e3 * seconds for seconds in best_times(calls, repeats).values()]


def strict(function: Callable, image: jax.Array, amount: jax.Array) -> str:
    try:
        with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
            jax.eval_shape(function, image, amount)
    except Exception as error:
        return type(error).__name__
    return "yes"


def compare(*, repeats: int = 20, images: tuple[int, ...] = (256, 256, 16), results: Path | None = None) -> None:
    """Prints a table of single operations, and one of whole views.

    Args:
      repeats: turns of each.
      images: of a batch of 28, of 32 and of 224 pixels.
      results: file of the tables.
    """
    machine, rows = about("jax", "jaxlib", "dm-pix"), []
    shapes = [(count, *shape[1:]) for count, shape in zip(images, SHAPES, strict=True)]
    head = ["# Colour, blur and views, on CPU", "", f"{machine}; `python -m benchmarks augment`", ""]
    text = "\n".join([*head, *operations(shapes, repeats, rows), "", *views(shapes, repeats), ""])
    keep(results, text, rows, name="augment", about=machine)


def operations(shapes: list[tuple[int, ...]], repeats: int, rows: list[Row]) -> list[str]:
    """The table of operations; adds to the rows of the summary."""
    lines = [
        "| operation | batch | ours ms | dm_pix ms | ours error | dm_pix error | dm_pix clipped error | strict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shape in shapes:
        images = jnp.asarray(np.random.default_rng(0).random(shape, np.float32))
        for name, amount, definition, ours, pix in OPERATIONS:
            if shape[-1] == 1 and name in ("saturation", "hue"):
                continue
            functions = [ours] + [pix] * (dm_pix is not None)
            # A different amount for each image, as in training: it is a traced number, not a constant.
            amounts = jnp.linspace(0.9 * amount, 1.1 * amount, shape[0])
            taken = milliseconds([jax.jit(jax.vmap(f)) for f in functions], images, amounts, repeats=repeats)
            right = definition(np.asarray(images[0], np.float64), amount)
            made = [np.asarray(f(images[0], amount)) for f in functions]
            errors = [abs(one - right).max() for one in made] + [
                abs(np.clip(one, 0, 1) - right).max() for one in made[1:]
            ]
            cells = [f"{ms:.1f}" for ms in taken], [f"{error:.1e}" for error in errors]
            if dm_pix is None:
                cells = [*cells[0], "-"], [*cells[1], "-", "-"]
            kept = strict(pix, images[0], amounts[0]) if dm_pix else "-"
            lines.append(f"| {' | '.join([name, str(shape), *cells[0], *cells[1], kept])} |")
            print(lines[-1], flush=True)
            for theirs in taken[1:]:
                rows.append(compared(f"{name}, {' x '.join(map(str, shape))}", "dm_pix", taken[0], theirs, unit="ms"))
    return lines


def views(shapes: list[tuple[int, ...]], repeats: int) -> list[str]:
    lines = ["| two views of each image | batch | ms | views/s |", "|---|---|---|---|"]
    for name, augment, number in VIEWS:
        shape = shapes[number]
        images = jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
        keys = jax.random.split(jax.random.key(0), shape[0])
        [taken] = milliseconds([jax.jit(jax.vmap(augment))], keys, images, repeats=repeats)
        lines.append(f"| {name} | {shape} | {taken:.1f} | {2e3 * shape[0] / taken:,.0f} |")
        print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    tyro.cli(compare)
