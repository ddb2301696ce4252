"""`ssl-jax export`: the encoder of a run as safetensors that other libraries load, and a model card beside them."""

from pathlib import Path

import jax

from ssl_jax.commands.output import check_ending, check_writable
from ssl_jax.commands.saved_run import restore
from ssl_jax.errors import UsageError, writing
from ssl_jax.files import write_atomically
from ssl_jax.interop import loading_lines, model_card, write_weights
from ssl_jax.interop.card import pixels_of
from ssl_jax.methods.method import Method
from ssl_jax.runs import read_results
from ssl_jax.sizes import size_of
from ssl_jax.train.log import log_line

REMEDY = "free disk space, or name another file"


def export(run: Path, *, layout: str, output: Path, step: int | None = None) -> None:
    """Writes the encoder of a run in the layout of another library, and `output` with the ending .md, its model card.

    Example:
      >>> export(run, layout="timm", output=folder / "encoder.safetensors")
      >>> print((folder / "encoder.md").exists())
      True
    """
    check_ending(output, ".safetensors")
    request, recipe, state, _ = restore(run, step)
    backbone = recipe.method.backbone(state.params, state.method_state)
    if backbone is None:
        raise UsageError(f"run: {request['method']} has no network of whole images to export: choose another method.")
    pixels = pixels_of(recipe.prepare, recipe.data.train.image_shape)
    height, width, _ = pixels.shape
    size = size_of(height, width)
    lines = loading_lines(backbone.net, layout, image_size=size)
    check_writable(output)
    backbone = backbone._replace(params=jax.device_get(backbone.params), stats=jax.device_get(backbone.stats))
    with writing("output", output, REMEDY):
        write_weights(output, layout, backbone, image_size=size)
    results = read_results(run if run.is_dir() else run.parent) or {}
    of_these = results.get("steps") == int(state.step)
    card = model_card(
        file=output,
        lines=lines,
        layout=layout,
        request=request,
        paper=getattr(getattr(recipe.method, "facts", None), "paper", "-"),  # Methods of one's own may have none.
        data=recipe.data.name,
        steps=int(state.step),
        pixels=pixels,
        results=results.get("features", {}) if of_these else {},
        own_features=type(recipe.method).features is not Method.features,
    )
    with writing("output", output.with_suffix(".md"), REMEDY):
        write_atomically(output.with_suffix(".md"), card)
    log_line(f"the model card is {output.with_suffix('.md')}")
