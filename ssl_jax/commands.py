"""The commands: a whole run, the repeated evaluation of a run, and its features. Experiments call them, too."""

import contextlib
import errno
import functools
import inspect
import re
import tempfile
import time
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import jax
import numpy as np
import tyro
from jax.sharding import Mesh

from ssl_jax.data import Data, in_order, open_data, split_training
from ssl_jax.data.source import readable_indices
from ssl_jax.errors import RunError, UsageError, memory_errors, reason_of, usage_errors, writing
from ssl_jax.evaluate.crops import Augmentation, crop_and_flip
from ssl_jax.evaluate.features import (
    Features,
    Network,
    compute_features,
    compute_layers,
    feature_extractor,
    features_of,
    layer_extractor,
    pixels,
)
from ssl_jax.evaluate.fine_tune import fine_tune
from ssl_jax.evaluate.label_lists import check_share, with_share_of_labels
from ssl_jax.evaluate.layers import LAYER_PROTOCOLS
from ssl_jax.evaluate.protocols import FINE_TUNED, PROTOCOLS, chosen_protocols, without_labels
from ssl_jax.evaluate.results import evaluate_sources, rounded
from ssl_jax.evaluate.tables import results_table
from ssl_jax.files import replacing
from ssl_jax.methods.method import Params, State
from ssl_jax.options import DEFAULTS, Options, parse
from ssl_jax.prepare import MakeRecipe, check_extractor, chosen_arguments, execution_of, prepare
from ssl_jax.ranges import check_ranges
from ssl_jax.recipes import Recipe, explained, find, load
from ssl_jax.recipes.recipe import GIVEN_MARK, absolute
from ssl_jax.report import save_album, write_report
from ssl_jax.report.album import attentions_of
from ssl_jax.report.figures import write_svg
from ssl_jax.report.layers import layers_picture
from ssl_jax.runs import CHECKPOINTS, LAYERS, REPORT, add_results, open_run, read_metrics, read_request, write_results
from ssl_jax.settings import current_name
from ssl_jax.train import fit
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.log import log_line
from ssl_jax.train.mesh import batch_sharding, connect, make_mesh, on_this_process, replicated
from ssl_jax.train.state import TrainState, init_state


def read_options(
    make: Callable[..., Recipe], words: list[str], *, prog: str
) -> tuple[functools.partial[Recipe], Options]:
    """The options of a recipe's signature and of `Options`, from the arguments of a command line."""

    def arguments(**given: Any) -> dict[str, Any]:
        return given

    names = inspect.signature(make).parameters
    words = [re.sub(r"(?<=^--)[\w-]+", lambda flag: _current_flag(flag[0], names), word) for word in words]
    arguments.__signature__, arguments.__annotations__ = inspect.signature(make), get_type_hints(make)  # type: ignore[attr-defined]
    recipe_options = Annotated[dict, tyro.conf.arg(constructor=arguments)]

    def both(recipe: recipe_options, run_options: Options = DEFAULTS) -> tuple[dict[str, Any], Options]:  # type: ignore[valid-type]
        return recipe, run_options

    both.__doc__ = arguments.__doc__ = explained(make)
    given, options = parse(both, words, prog=prog)
    return functools.partial(make, **given), options


def _current_flag(flag: str, names: Container[str]) -> str:
    return current_name(flag.replace("-", "_"), names).replace("_", "-")


def repeat(path: Path, words: list[str]) -> tuple[MakeRecipe, Options]:
    """The recipe and the seed of a `run.json`; the arguments may set the folder and the execution of the new run."""
    request = read_request(path)
    make = _make_again(request)
    again = Options(run=Path("runs") / f"{request['method']}-{request['recipe']}-again", seed=request["seed"])

    def options(run_options: Options = again) -> Options:
        """Repeats a run: same recipe, same arguments, same seed."""
        return run_options

    return make, parse(options, words, prog=f"ssl-jax pretrain --from {path}")


def pretrain(make: MakeRecipe, options: Options) -> dict[str, Any] | None:
    """Pre-trains, evaluates, reports; returns what `results.json` holds, or None on all processes but the first."""
    began = time.perf_counter()
    if options.distributed or options.coordinator:
        _connect(options)
    recipe, mesh, batches, hook, program = prepare(make, options)
    run, first = options.run or Path("runs") / recipe.name.replace("/", "-"), jax.process_index() == 0
    request = _request(recipe, options.seed)
    opened = (
        open_run(run, request, resume=options.resume, update=functools.partial(_as_recorded_today, recipe.arguments))
        if first
        else contextlib.nullcontext()
    )
    with opened, memory_errors():
        with batches:
            state = fit(
                recipe.method, recipe.augment, recipe.optimizer(recipe.steps), batches,
                steps=recipe.steps, seed=options.seed, run=run, mesh=mesh, execution=execution_of(options),
                hook=hook, log_every=options.log_every, hook_every=options.evaluate_every,
                save_every=options.evaluate_every, keep=options.keep, program=program,
            )  # fmt: skip
        if jax.process_count() == 1:
            return _finish(run, recipe, state, mesh, seed=options.seed, began=began)
        state = on_this_process(state, mesh)
        return _finish(run, recipe, state, None, seed=options.seed, began=began) if first else None


def _connect(options: Options) -> None:
    """Joins the processes of a run on several hosts; a `UsageError` gives the reason where they cannot be joined."""
    try:
        connect(coordinator=options.coordinator, processes=options.processes, process=options.process)
    except ValueError as fault:
        raise UsageError(
            f"distributed: JAX finds no other hosts ({reason_of(fault)}): give --coordinator host:port, --processes and "
            "--process, or leave out --distributed."
        ) from fault
    except RuntimeError as fault:
        raise RunError(
            f"coordinator: the processes cannot be joined ({reason_of(fault)}): check that all of them run, with the same "
            "--coordinator and --processes."
        ) from fault


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
) -> dict[str, Any]:
    """Evaluates the features of a run again: at its last checkpoint or at a given step, on its own or on other data."""
    check_ranges(seed=seed, epochs=epochs)
    chosen_protocols(protocols)
    _check_evaluation(layer=layer, layers=layers, protocols=protocols, held_out=held_out, step=step, save=save)
    request, recipe, state, mesh = _restore(run, step)
    names = () if "all" in layers else layers
    opened = _open(data, recipe, state, layer=layer, layers=names if layers else None)
    opened = split_training(opened) if held_out else opened
    opened = with_share_of_labels(opened, labels, seed=seed)
    about = {"method": request["method"], "recipe": request["recipe"], "steps": int(state.step), "data": opened.name}
    if layers:
        of_layers = _evaluate_layers(
            recipe, opened, state, mesh, layers=names, protocols=protocols, seed=seed, init_seed=request["seed"]
        )
        found: dict[str, Any] = {"layers": of_layers}
    else:
        features, _, _ = _evaluate(
            recipe, opened, state, mesh,
            layer=layer, protocols=protocols, seed=seed, init_seed=request["seed"], epochs=epochs,
            augment=_augmentation(opened, min_scale=min_scale, flip=flip),
        )  # fmt: skip
        found = {"layer": layer, "features": features}
    if save:
        _save(run, {name: part for name, part in found.items() if name != "layer"}, opened, recipe)
    return about | found | {"run": str(run)}


def transfer(
    run: Path, *, data: Sequence[str], protocols: Sequence[str] = (), seed: int = 0, save: bool = False, **options: Any
) -> dict[str, Any]:
    """`evaluate` on each of several data sets: data set -> source -> protocol -> field, and a table of all."""
    results: dict[str, Any] = {}
    about: dict[str, Any] = {}
    check_share(options.get("labels", 1.0))
    for name in data:
        log_line(f"evaluating on {name}")
        about = evaluate(run, data=name, protocols=protocols, seed=seed, **options)
        if about["features"]:
            results[about["data"]] = about["features"]
    if results:
        log_line(results_table("data", results))
    if save:
        with writing("run", run, "free disk space, or leave out --save"):
            add_results(run if run.is_dir() else run.parent, {"datasets": results})
    kept = {name: value for name, value in about.items() if name not in ("data", "features", "layer", "run")}
    return kept | {"datasets": results, "run": str(run)}


def finetune(
    run: Path,
    *,
    data: str | None = None,
    labels: float = 1.0,
    learning_rates: Sequence[float] = (0.001,),
    epochs: float = 50,
    batch_size: int = 256,
    optimizer: Literal["sgd", "adamw"] = "adamw",
    layer_decay: float = 0.75,
    min_scale: float = 0.08,
    flip: bool = True,
    held_out: bool = False,
    step: int | None = None,
    seed: int = 0,
    save: bool = True,
) -> dict[str, Any]:
    """Fine-tunes the encoder of a run, and the same encoder untrained, and evaluates both on the test images."""
    check_ranges(seed=seed, epochs=epochs, batch_size=batch_size, layer_decay=layer_decay)
    for rate in learning_rates or [0.0]:
        check_ranges(learning_rate=rate)
    save = save and step is None and not held_out
    request, recipe, state, mesh = _restore(run, step)
    opened = _open(data, recipe, state, layer="features")
    opened = split_training(opened) if held_out else opened
    if opened.test is None:
        raise UsageError(f"data: {opened.name} has no labelled test images: choose data that have.")
    opened = with_share_of_labels(opened, labels, seed=seed)
    results: dict[str, Any] = {}
    for source, (params, method_state) in _weights(recipe, state, mesh, request["seed"]).items():
        backbone = recipe.method.backbone(params, method_state)
        if backbone is None:
            raise UsageError(
                f"run: {request['method']} has no network of whole images to fine-tune: choose another method."
            )
        log_line(f"fine-tuning {source} weights on {len(opened.train)} images of {opened.name}")
        found = fine_tune(
            backbone, recipe.prepare, opened,
            learning_rates=learning_rates, epochs=epochs, batch_size=batch_size, optimizer=optimizer,
            layer_decay=layer_decay, augment=_augmentation(opened, min_scale=min_scale, flip=flip), mesh=mesh, seed=seed,
        )  # fmt: skip
        chosen = {"learning_rate": found.learning_rate}
        fields = {"accuracy": found.accuracy, "interval": list(found.interval), "epochs": epochs, "chosen": chosen}
        results[source] = {FINE_TUNED: rounded(fields)}
    log_line(results_table("data", {opened.name: results}, chance=1 / len(opened.classes)))
    if save:
        _save(run, {"features": results}, opened, recipe)
    about = {"method": request["method"], "recipe": request["recipe"], "steps": int(state.step), "data": opened.name}
    return about | {"features": results, "run": str(run)}


def _check_evaluation(
    *, layer: str, layers: Sequence[str], protocols: Sequence[str], held_out: bool, step: int | None, save: bool
) -> None:
    """Refuses options that exclude each other."""
    encoding = [name for name in protocols if PROTOCOLS[name].needs_network]
    if layers and encoding:
        raise UsageError(
            f"protocols: {encoding[0]} encodes further images, which layers cannot: leave it or --layers out."
        )
    if layers and layer != "features":
        raise UsageError(f"layer: got {layer} beside layers: name it in --layers, or leave --layers out.")
    given = {"layer": layer != "features", "held_out": held_out, "step": step is not None}
    others = " and ".join(name for name, is_given in given.items() if is_given)
    if save and others:
        raise UsageError(
            f"save: results.json holds results on test images at the last step, got {others}: leave out --save, or {others}."
        )


def _save(run: Path, results: dict[str, Any], data: Data, recipe: Recipe) -> None:
    """Adds results to results.json, on other data than the run's own under their name, and writes the pages that show them."""
    run = run if run.is_dir() else run.parent
    with writing("run", run, "free disk space, or leave out --save"):
        if data.name == recipe.data.name:
            add_results(run, results)
            if picture := layers_picture(results.get("layers", {})):
                write_svg(run / LAYERS, picture)
        elif "features" in results:
            add_results(run, {"datasets": {data.name: results["features"]}})
    write_report(run)


def embed(
    run: Path, *, output: Path, data: str | None = None, layer: str = "features", step: int | None = None
) -> None:
    """Writes the frozen features of all training images, in their order: a .npy file, float32 `[N, D]`.

    The rows of unreadable images are NaN.
    """
    if output.suffix != ".npy":
        raise UsageError(f"output: got {output}, expected a file that ends in .npy: name it {output.stem}.npy.")
    _, recipe, state, mesh = _restore(run, step)
    images = _open(data, recipe, state, layer=layer).train
    with writing(
        "output", output, "name a file in a folder that can be written"
    ):  # Checked before minutes of computation.
        if output.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    log_line(f"computing {layer} of the {len(images)} images of {images.name}")
    of_images = functools.partial(
        jax.jit(feature_extractor(recipe.method, recipe.prepare, layer=layer)), state.params, state.method_state
    )
    readable, _ = features_of(of_images, in_order(images, batch_size=512), sharding=batch_sharding(mesh))
    features = np.full((len(images), readable.shape[1]), np.nan, np.float32)
    features[readable_indices(images)] = readable
    with writing("output", output, "free disk space, or name another file"), replacing(output) as draft:
        np.save(draft, features)


def _open(
    data: str | None, recipe: Recipe, state: TrainState, *, layer: str, layers: Sequence[str] | None = None
) -> Data:
    """The run's own data, or others of the same kind, with the size and the channels that the run's encoder takes.

    layers: as in `layer_extractor`, where layers are evaluated.
    """
    own = recipe.data
    with usage_errors({"data": data or own.name, "layer": layer}):
        width, channels = own.train.image_shape[-2:]
        opened = open_data(data, image_size=width, channels=3 if channels == 3 else 1) if data is not None else own
        kinds = [
            ("clips" if len(source.image_shape) == 4 else "images") + (" with sound" if "audio" in source[0] else "")
            for source in (opened.train, own.train)
        ]
        if kinds[0] != kinds[1]:
            raise UsageError(
                f"data: {data} holds {kinds[0]}, but the run was pre-trained on {kinds[1]}: choose data that hold {kinds[1]}."
            )
        check_extractor(feature_extractor(recipe.method, recipe.prepare, layer=layer), state, opened.train)
        if layers is not None:
            check_extractor(layer_extractor(recipe.method, recipe.prepare, layers=layers), state, opened.train)
    return opened


def _restore(run: Path, step: int | None) -> tuple[dict[str, Any], Recipe, TrainState, Mesh]:
    """The request of a run, its recipe, and its state at the checkpoint of `step`, the last one when None."""
    request = read_request(run)
    run = run if run.is_dir() else run.parent  # `read_request` takes a run.json, too.
    make = _make_again(request)
    with usage_errors(chosen_arguments(make)):
        recipe = make()
    like = jax.eval_shape(lambda: init_state(recipe.method, recipe.optimizer(recipe.steps).transformation, seed=0))
    mesh = make_mesh()
    like = jax.tree.map(lambda leaf: leaf.update(sharding=replicated(mesh)), like)
    with Checkpoints(run / CHECKPOINTS) as checkpoints:
        restored = checkpoints.restore(like, step=step)
    if restored is None:
        raise RunError(f"run: {run} holds no checkpoint yet: run `ssl-jax pretrain` until it writes the first one.")
    return request, recipe, restored[0], mesh


def _make_again(request: dict[str, Any]) -> functools.partial[Recipe]:
    """The recipe of a `run.json`, not yet made; a `UsageError` where it is one of another version."""
    file = request.get("file")
    make = load(f"{file}:{request['recipe']}") if file else find(request["method"], request["recipe"])
    names = inspect.signature(make).parameters
    arguments = {current_name(name, names): value for name, value in request["arguments"].items()}
    given = [name for name, value in arguments.items() if str(value).startswith(GIVEN_MARK)]
    if given:
        raise UsageError(
            f"run: its {' and '.join(given)} came from Python and cannot be read from run.json: repeat the program "
            "that made it, or write a recipe in a file, see docs/own.md."
        )
    unknown = sorted(arguments.keys() - names.keys())
    if unknown:
        raise UsageError(
            f"run: its run.json has {', '.join(unknown)}, which {request['method']}/{request['recipe']} does not take: use the "
            "version of ssl_jax that it names."
        )
    return functools.partial(make, **arguments)


def _as_recorded_today(names: Container[str], arguments: dict[str, Any]) -> dict[str, Any]:
    """Older runs recorded relative paths, and options under older names."""
    return absolute({current_name(name, names): value for name, value in arguments.items()})


def _request(recipe: Recipe, seed: int) -> dict[str, Any]:
    method, _, name = recipe.name.partition("/")
    file = {"file": recipe.file} if recipe.file else {}
    return {"method": method, "recipe": name, "arguments": recipe.arguments, "seed": seed} | file


def _finish(
    run: Path, recipe: Recipe, state: TrainState, mesh: Mesh | None, *, seed: int, began: float
) -> dict[str, Any]:
    """Evaluates the features, and writes `results.json` and `report.html`."""
    log_line("evaluating the features, those of untrained weights, and raw pixels")
    features, before, after = _evaluate(recipe, recipe.data, state, mesh, seed=seed, init_seed=seed)
    attend = functools.partial(jax.jit(attentions_of(recipe.method, recipe.prepare)), state.params, state.method_state)
    save_album(
        run, data=recipe.data, augment=recipe.augment, prepare=recipe.prepare,
        before=before, after=after, attend=attend, seed=seed,
    )  # fmt: skip
    speeds = [speed for record in read_metrics(run) if (speed := record.get("images_per_second")) is not None]
    results = {
        **{name: _request(recipe, seed)[name] for name in ("method", "recipe")},
        "steps": int(state.step),
        "images_per_second": round(float(np.median(speeds)), 1) if speeds else None,  # The median excludes compilation.
        "features": features,
        "seconds": round(time.perf_counter() - began, 1),
        "run": str(run),
        "report": str(run / REPORT),
    }
    write_results(run, results)
    write_report(run)
    return results


def _evaluate(
    recipe: Recipe,
    data: Data,
    state: TrainState,
    mesh: Mesh | None,
    *,
    layer: str = "features",
    protocols: Sequence[str] = (),
    seed: int,
    init_seed: int,
    epochs: float = 100,
    augment: Augmentation | None = None,
) -> tuple[dict[str, Any], Features | None, Features | None]:
    """The results of trained weights, untrained weights and pixels; and the features before and after training.

    Without labels, the results are empty.
    """
    if data.test is None:
        log_line(f"{data.name} has no labelled test images: the features are not evaluated")
        return {}, None, None
    embed = feature_extractor(recipe.method, recipe.prepare, layer=layer)
    networks = {
        source: Network(embed, params, method_state, data, mesh, augment, epochs)
        for source, (params, method_state) in _weights(recipe, state, mesh, init_seed).items()
    }
    networks["pixels"] = Network(pixels, None, None, data, mesh, augment, epochs)
    after, before = (
        compute_features(embed, networks[source].params, networks[source].state, data, mesh=mesh)
        for source in ("pretrained", "untrained")
    )
    if unlabelled := without_labels(after):
        log_line(
            f"{data.name} has no labelled {' and no labelled '.join(unlabelled)} images: the features are not evaluated"
        )
        return {}, before, after
    raw = compute_features(pixels, None, None, data, mesh=mesh)
    sources = {"pretrained": after, "untrained": before, "pixels": raw}
    return evaluate_sources(sources, protocols=protocols, networks=networks, seed=seed), before, after


def _augmentation(data: Data, *, min_scale: float, flip: bool) -> Augmentation | None:
    """Crops and flips of images; None for clips."""
    return crop_and_flip(min_scale=min_scale, flip=flip) if len(data.train.image_shape) == 3 else None


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
) -> dict[str, Any]:
    """Layer -> source -> protocol -> fields, of trained and of untrained weights; all layers when none is named."""
    if data.test is None:
        log_line(f"{data.name} has no labelled test images: the layers are not evaluated")
        return {}
    extract = layer_extractor(recipe.method, recipe.prepare, layers=layers)
    results: dict[str, Any] = {}
    for source, (params, method_state) in _weights(recipe, state, mesh, init_seed).items():
        log_line(f"computing the layers of {source} weights")
        for name, features in compute_layers(extract, params, method_state, data, mesh=mesh).items():
            found = evaluate_sources({source: features}, protocols=protocols or LAYER_PROTOCOLS, seed=seed)
            results.setdefault(name, {}).update(found)
    log_line(results_table("layer", results, chance=1 / len(data.classes)))
    return results


def _weights(recipe: Recipe, state: TrainState, mesh: Mesh | None, seed: int) -> dict[str, tuple[Params, State]]:
    """The parameters and the state of the method after and before training, by source."""
    untrained = jax.jit(lambda: recipe.method.init(jax.random.key(seed)))()
    untrained = untrained if mesh is None else jax.device_put(untrained, replicated(mesh))
    return {"pretrained": (state.params, state.method_state), "untrained": untrained}
