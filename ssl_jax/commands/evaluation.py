"""`ssl-jax evaluate`: frozen features of a run, on its own or on other data, at one layer or at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from ssl_jax.commands.judging import augmentation_for, described, evaluate_trained, weights_of
from ssl_jax.commands.kept_features import KeptFeatures
from ssl_jax.commands.output import check_saves
from ssl_jax.commands.patch_pictures import save_patch_pictures
from ssl_jax.commands.saved_run import open_for, restore
from ssl_jax.data import Data, split_training
from ssl_jax.errors import UsageError, writing
from ssl_jax.evaluate.crops import crop_and_flip
from ssl_jax.evaluate.features import MOST_TRAINING_IMAGES, Encode, compute_layers, few_of, layer_extractor
from ssl_jax.evaluate.label_lists import check_share, with_share_of_labels
from ssl_jax.evaluate.layers import LAYER_PROTOCOLS
from ssl_jax.evaluate.protocols import PROTOCOLS, chosen_protocols
from ssl_jax.evaluate.results import evaluate_sources
from ssl_jax.evaluate.tables import results_table, sources_table
from ssl_jax.ranges import check_ranges
from ssl_jax.recipes import Recipe
from ssl_jax.report import write_report
from ssl_jax.report.figures import write_svg
from ssl_jax.report.layers import layers_picture
from ssl_jax.runs import LAYERS, add_results, read_request
from ssl_jax.train.log import log_line
from ssl_jax.train.state import TrainState

LEAVE_OUT = "leave out --save"


def evaluate(
    run: Path,
    *,
    data: str | None = None,
    layer: str = "features",
    layers: Sequence[str] = (),
    protocols: Sequence[str] = (),
    labels: float = 1.0,
    held_out: bool = False,
    step: int | None = None,
    seed: int = 0,
    epochs: float = 100,
    min_scale: float = 0.08,
    flip: bool = True,
    save: bool = False,
    train_images: int = MOST_TRAINING_IMAGES,
) -> dict[str, Any]:
    """Evaluates the features of a run again: at its last checkpoint or at a given step, on its own or on other data.

    Example:
      >>> results = evaluate(run, protocols=["knn"])
      >>> print(list(results["features"]))
      ['pretrained', 'untrained', 'pixels']
    """
    check_ranges(seed=seed, epochs=epochs, train_images=train_images)
    check_share(labels)
    crop_and_flip(min_scale=min_scale, flip=flip)
    chosen_protocols(protocols)
    _check_evaluation(layer=layer, layers=layers, protocols=protocols)
    if save:
        _check_saved(layer=layer, held_out=held_out, step=step, train_images=train_images)
        read_request(run)
        check_saves(run, LEAVE_OUT)
    request, recipe, state, mesh = restore(run, step)
    names = () if "all" in layers else layers
    opened = open_for(data, recipe, state, layer=layer, layers=names if layers else None)
    opened = split_training(opened) if held_out else opened
    opened = with_share_of_labels(opened, labels, seed=seed)
    about, encode = described(request, state, opened), KeptFeatures(run).encode
    if layers:
        of_layers = _evaluate_layers(
            recipe, opened, state, mesh,
            layers=names, protocols=protocols, seed=seed, init_seed=request["seed"], encode=encode,
            train_images=train_images,
        )  # fmt: skip
        found: dict[str, Any] = {"layers": of_layers}
    else:
        features, _, _ = evaluate_trained(
            recipe, opened, state, mesh,
            layer=layer, protocols=protocols, seed=seed, init_seed=request["seed"], epochs=epochs,
            augment=augmentation_for(opened, min_scale=min_scale, flip=flip), encode=encode,
            train_images=train_images,
        )  # fmt: skip
        found = {"layer": layer, "features": features}
        if features:
            log_line(sources_table(features, chance=about["chance"]))
    if save and opened.name == recipe.data.name and any(PROTOCOLS[name].needs_masks for name in protocols):
        save_patch_pictures(run, recipe, opened, state, mesh, layer=layer, init_seed=request["seed"])
    if save:
        save_results(run, {name: part for name, part in found.items() if name != "layer"}, opened, recipe)
    return about | found | {"run": str(run)}


def transfer(
    run: Path, *, data: Sequence[str], protocols: Sequence[str] = (), seed: int = 0, save: bool = False, **options: Any
) -> dict[str, Any]:
    """`evaluate` on each of several data sets: data set -> source -> protocol -> field, and a table of all.

    Example:
      >>> results = transfer(run, data=["synthetic"], protocols=["knn"])
      >>> print(list(results["datasets"]))
      ['synthetic']
    """
    results: dict[str, Any] = {}
    about: dict[str, Any] = {}
    check_share(options.get("labels", 1.0))
    if save:
        _check_saved(**options)
        read_request(run)
        check_saves(run, LEAVE_OUT)
    for name in data:
        log_line(f"evaluating on {name}")
        about = evaluate(run, data=name, protocols=protocols, seed=seed, **options)
        if about["features"]:
            results[about["data"]] = about["features"]
    if results:
        log_line(results_table("data", results))
    if save:
        with writing("run", run, f"free disk space, or {LEAVE_OUT}"):
            add_results(run if run.is_dir() else run.parent, {"datasets": results})
    kept = {name: value for name, value in about.items() if name not in ("data", "chance", "features", "layer", "run")}
    return kept | {"datasets": results, "run": str(run)}


def _check_evaluation(*, layer: str, layers: Sequence[str], protocols: Sequence[str]) -> None:
    """Refuses options that exclude each other."""
    encoding = [name for name in protocols if PROTOCOLS[name].needs_network]
    if layers and encoding:
        raise UsageError(
            f"protocols: {encoding[0]} encodes further images, which layers cannot: leave it or --layers out."
        )
    if layers and layer != "features":
        raise UsageError(f"layer: got {layer} beside layers: name it in --layers, or leave --layers out.")


def _check_saved(
    *,
    layer: str = "features",
    held_out: bool = False,
    step: int | None = None,
    train_images: int = MOST_TRAINING_IMAGES,
    **_: Any,
) -> None:
    """Refuses to save results that cannot stand beside those of `results.json`."""
    few = train_images < MOST_TRAINING_IMAGES
    given = {"layer": layer != "features", "held_out": held_out, "step": step is not None, "train_images": few}
    others = " and ".join(name for name, is_given in given.items() if is_given)
    if others:
        raise UsageError(
            "save: results.json holds results of all training images, on test images, at the last step, "
            f"got {others}: leave out --save, or {others}."
        )


def save_results(run: Path, results: dict[str, Any], data: Data, recipe: Recipe) -> None:
    """Adds results to results.json, on other data than the run's own under their name, and writes the pages that show them."""
    run = run if run.is_dir() else run.parent
    with writing("run", run, f"free disk space, or {LEAVE_OUT}"):
        if data.name == recipe.data.name:
            add_results(run, results)
            if picture := layers_picture(results.get("layers", {})):
                write_svg(run / LAYERS, picture)
        elif "features" in results:
            add_results(run, {"datasets": {data.name: results["features"]}})
    write_report(run)


def _evaluate_layers(
    recipe: Recipe,
    data: Data,
    state: TrainState,
    mesh: Mesh,
    *,
    layers: Sequence[str],
    protocols: Sequence[str],
    seed: int,
    init_seed: int,
    encode: Encode,
    train_images: int,
) -> dict[str, Any]:
    """Layer -> source -> protocol -> fields, of trained and of untrained weights; all layers when none is named."""
    if data.test is None:
        log_line(f"{data.name} has no labelled test images: the layers are not evaluated")
        return {}
    if sentence := few_of(data, train_images):
        log_line(sentence)
    extract = layer_extractor(recipe.method, recipe.prepare, layers=layers)
    results: dict[str, Any] = {}
    for source, (params, method_state) in weights_of(recipe, state, mesh, init_seed).items():
        log_line(f"computing the layers of {source} weights")
        of_layers = compute_layers(
            extract, params, method_state, data, mesh=mesh, encode=encode, train_images=train_images
        )
        for name, features in of_layers.items():
            found = evaluate_sources({source: features}, protocols=protocols or LAYER_PROTOCOLS, seed=seed)
            results.setdefault(name, {}).update(found)
    log_line(results_table("layer", results, chance=1 / len(data.classes)))
    return results
