"""The model card beside exported weights: what the network is, how it is loaded, and what was measured."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax import __version__
from ssl_jax.evaluate.tables import sources_rows
from ssl_jax.files import printable
from ssl_jax.interop.loading import FILE
from ssl_jax.recipes import IMPORTED

LOCAL = ("data", "features", "checkpoint")  # Arguments of recipes that may be paths of the machine.


class Pixels(NamedTuple):
    """What a recipe's `prepare` makes of an image: `[H, W, C]`, and by channel the mean and deviation of pixels in [0, 1].

    mean and std are None where it does something else than to standardise each channel.
    """

    shape: tuple[int, ...]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


def pixels_of(prepare: Callable[[Array], Array], image_shape: Sequence[int]) -> Pixels:
    """How `prepare` standardises images of this shape, measured on images of one colour each."""
    channels = image_shape[-1]
    colours = np.stack([np.zeros(channels), np.full(channels, 255), 51.0 * (1 + np.arange(channels))]).astype(np.uint8)
    images = jnp.asarray(np.broadcast_to(colours[:, None, None], (3, *image_shape)))
    outputs = np.asarray(jax.jit(jax.vmap(prepare))(images), np.float64)
    shape, centre = outputs.shape[1:], (slice(None), *(side // 2 for side in outputs.shape[1:-1]))
    black, white, colour = outputs[centre]
    if shape[-1] != channels or np.ptp(outputs, axis=(1, 2)).max() > 1e-4:
        return Pixels(shape, None, None)
    std = 1 / (white - black)
    mean = -black * std
    if not np.allclose(colour, (colours[2] / 255 - mean) / std, atol=1e-4):
        return Pixels(shape, None, None)
    mean, std = (tuple(float(f"{value:.6f}") for value in values) for values in (mean, std))
    return Pixels(shape, mean, std)


def model_card(
    *,
    file: Path,
    lines: Sequence[str],
    layout: str,
    request: Mapping[str, Any],
    paper: str,
    data: str,
    steps: int,
    pixels: Pixels,
    results: Mapping[str, Any],
    own_features: bool = False,
) -> str:
    """Markdown about exported weights.

    Args:
      file: of the weights.
      lines: that load it, from `loading_lines`.
      layout: of the file.
      request: method, recipe, arguments and seed of the run; "init" of an imported one.
      paper: of the method, its identifier at arxiv.org, or "-".
      data: name of the data set of pre-training.
      steps: optimizer steps of these weights.
      pixels: the input.
      results: source -> protocol -> fields, from results.json; empty where these weights were not evaluated.
      own_features: whether the figures are of features that the method makes of several layers.

    Example:
      >>> about = {"method": "simclr", "recipe": "demo", "seed": 0, "arguments": {"epochs": 10}}
      >>> card = model_card(
      ...     file=Path("encoder.safetensors"), lines=["import timm"], layout="timm", request=about, paper="2002.05709",
      ...     data="digits", steps=700, pixels=Pixels((28, 28, 1), (0.5,), (0.5,)), results={},
      ... )
      >>> print(card.splitlines()[0])
      # encoder
    """
    source = f" ([arXiv:{paper}](https://arxiv.org/abs/{paper}))" if paper != "-" else ""
    origin = (
        f"The encoder of {request['method']}, recipe {request['recipe']}{source}, after {steps:,} steps on {printable(data)}, "
        f"seed {request['seed']}. Pre-trained by ssl_jax {__version__}"
    )
    if request["method"] == IMPORTED:
        origin = f"The encoder {request['arguments']['encoder']}, imported from {printable(_file_of(request))}"
    arguments = {name: value for name, value in request["arguments"].items() if name not in LOCAL}
    parts = [
        f"# {printable(file.stem)}",
        f"{origin}; names and arrays as in {layout}.",
        "## Load",
        "```python\n" + "\n".join(line.replace(FILE, json.dumps(file.name)) for line in lines) + "\n```",
        "## Images",
        _about_images(pixels),
        "## Results",
        _about_results(results) + (OWN if own_features and results else ""),
        "## Options of the recipe",
        "```json\n" + json.dumps(arguments, indent=2) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


OWN = " They are of features that the method makes of several layers of this network, not of the output above."


def _file_of(request: Mapping[str, Any]) -> str:
    """The name of the file that a run's weights come from."""
    return Path(str(request.get("init", {}).get("path", "a file"))).name


def _about_images(pixels: Pixels) -> str:
    height, width, channels = pixels.shape
    shape = f"`images` are float32 `[B, {channels}, {height}, {width}]`"
    if pixels.mean is None or pixels.std is None:
        return f"{shape}, what the recipe's `prepare` makes of them: it does more than to standardise each channel."
    return (
        f"{shape}: pixels in [0, 1], less the mean {list(pixels.mean)}, over the deviation {list(pixels.std)}, as by "
        f"`torchvision.transforms.Normalize({list(pixels.mean)}, {list(pixels.std)})`."
    )


def _about_results(results: Mapping[str, Any]) -> str:
    head, *rows = sources_rows(results)
    if len(head) == 1:
        return "These weights were not evaluated."
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
    return f"{table}\n\nFrozen features, in percent, with half the 95 % interval (few labels: the deviation of draws)."
