"""3 x 3 convolutions of ResNet-18 and their gradients on a CPU, beside JAX's own and PyTorch's (optional), in turn.

pip install torch
python -m benchmarks convolution --results benchmarks/results/convolution-cpu.md
"""

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from jax import Array, lax
from machine import about
from summary import compared, keep
from timing import best_times

from ssl_jax.ops.convolution import compiler_options, convolution

# Side of the images, channels in, channels out, stride.
LAYERS = [(32, 64, 64, 1), (32, 64, 128, 2), (16, 128, 128, 1), (8, 256, 256, 1), (4, 512, 512, 1)]
PARTS = "result", "gradient of the images", "gradient of the kernel"
EDGES = ((1, 1), (1, 1))


def compare(*, images: int = 128, rounds: int = 7, results: Path | None = None) -> None:
    """Prints the best milliseconds of each.

    Args:
      images: of a batch.
      rounds: turns of each.
      results: file of the table.
    """
    rows = []
    makers = {"ours": partial(of_jax, convolution), "JAX": partial(of_jax, jax_own)}
    if importlib.util.find_spec("torch"):
        makers["PyTorch, channels last"] = of_torch
    lines = [
        f"| images, kernel, stride | | {' | '.join(makers)} | fewer operations |",
        "|---" * (len(makers) + 3) + "|",
    ]
    for side, inputs, outputs, stride in LAYERS:
        rng = np.random.default_rng(0)
        batch = rng.normal(size=(images, side, side, inputs)).astype(np.float32)
        kernel = rng.normal(size=(3, 3, inputs, outputs)).astype(np.float32)
        cotangent = rng.normal(size=(images, side // stride, side // stride, outputs)).astype(np.float32)
        calls = {name: make(batch, kernel, cotangent, stride) for name, make in makers.items()}
        pairs = {(name, part): call for name, parts in calls.items() for part, call in zip(PARTS, parts, strict=True)}
        found = best_times(pairs, rounds)
        for part in PARTS:
            cells = [f"{1000 * found[name, part]:.0f}" for name in makers]
            what = f"{side}², {inputs} to {outputs}, {stride}" if part == PARTS[0] else ""
            fewer = "16/36" if stride == 1 else ""
            lines.append(f"| {what} | {part} | {' | '.join(cells)} | {fewer} |")
            print(lines[-1], flush=True)
            named = f"{side}², {inputs} to {outputs}, stride {stride}: {part}"
            times = {name: 1000 * found[name, part] for name in makers}
            peers = list(makers)[1:]
            rows += [compared(named, peer, times["ours"], times[peer], unit="ms", digits=".0f") for peer in peers]
    machine = about("jax", "jaxlib", "torch")
    heading = f"{machine}; `python -m benchmarks convolution`; ms of {images} images"
    table = "\n".join([heading, "", *lines])
    keep(results, f"# Convolutions on CPU\n\n{table}\n", rows, name="convolution", about=machine)


def jax_own(images: Array, kernel: Array, strides: tuple[int, int], padding: Any) -> Array:
    return lax.conv_general_dilated(images, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def of_jax(
    function: Callable[..., Array], images: np.ndarray, kernel: np.ndarray, cotangent: np.ndarray, stride: int
) -> list[Callable[[], Any]]:
    """Calls of the parts. The option that gives convolutions all cores is for both."""
    convolve = partial(function, strides=(stride, stride), padding=EDGES)
    parts = (
        lambda images, kernel, cotangent: convolve(images, kernel),
        lambda images, kernel, cotangent: jax.vjp(lambda images: convolve(images, kernel), images)[1](cotangent),
        lambda images, kernel, cotangent: jax.vjp(lambda kernel: convolve(images, kernel), kernel)[1](cotangent),
    )
    arrays = tuple(map(jax.device_put, (images, kernel, cotangent)))
    options = compiler_options(kernel)
    return [partial(jax.jit(part, compiler_options=options), *arrays) for part in parts]


def of_torch(images: np.ndarray, kernel: np.ndarray, cotangent: np.ndarray, stride: int) -> list[Callable[[], Any]]:
    torch: Any = importlib.import_module("torch")

    def placed(array: np.ndarray, axes: tuple[int, ...]) -> Any:
        tensor = torch.from_numpy(np.ascontiguousarray(array.transpose(axes)))
        return tensor.contiguous(memory_format=torch.channels_last)

    inputs, weights, given = placed(images, (0, 3, 1, 2)), placed(kernel, (3, 2, 0, 1)), placed(cotangent, (0, 3, 1, 2))

    def backward(wanted: list[bool]) -> Any:
        sizes = [stride] * 2, [1, 1], [1, 1]
        return torch.ops.aten.convolution_backward(given, inputs, weights, None, *sizes, False, [0, 0], 1, wanted)

    return [
        lambda: torch.nn.functional.conv2d(inputs, weights, stride=stride, padding=1),
        lambda: backward([True, False, False]),
        lambda: backward([False, True, False]),
    ]


if __name__ == "__main__":
    tyro.cli(compare)
