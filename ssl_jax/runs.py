"""A run from beginning to end: pre-train, judge the features, write the report. Commands and experiments call this."""

import functools
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import jax
import numpy as np
import tyro
from jax.sharding import Mesh

from ssl_jax.data import Batches, Data, in_order, open_data, split_training
from ssl_jax.data.source import readable_indices
from ssl_jax.errors import RunError, UsageError, above_zero
from ssl_jax.evaluate.features import Features, compute_features, embedding_of, features_of, pixels
from ssl_jax.evaluate.judge import judge, online_knn, without_labels
from ssl_jax.files import read_metrics, replacing, write_json
from ssl_jax.options import parse
from ssl_jax.recipes import Recipe, explained, find
from ssl_jax.report import save_album, write_report
from ssl_jax.report.album import attentions_of
from ssl_jax.rundir import open_run, read_request
from ssl_jax.train import fit
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.log import say
from ssl_jax.train.mesh import batch_sharding, check_batch_size, connect, make_mesh, on_this_process, replicated
from ssl_jax.train.state import TrainState, init_state

MakeRecipe = Callable[[], Recipe]


@dataclass(frozen=True)
class Options:
    """Where and how a run goes. Of these, only the seed changes what is learned.

    Attributes:
      run: folder of the run; runs/METHOD-RECIPE when not given.
      seed: decides initial weights, order of the images, and views.
      devices: how many to use; all when not given.
      shard_parameters: spread parameters and moments over the devices (FSDP) instead of copying them.
      microbatches: parts in which a batch is encoded, to save memory; the loss is that of the whole batch, but batch norms
        take the statistics of a part.
      rematerialize: keep only products and convolutions for the gradient, to save memory.
      resume: go on from the last checkpoint in the run's folder.
      workers: processes that decode images; 0 decodes in threads.
      log_every: steps between records of loss, speed and collapse gauges.
      evaluate_every: steps between online k-NN evaluations and checkpoints.
      keep: how many of the last checkpoints stay, beside the best.
      distributed: join the hosts of a TPU pod, Slurm or Kubernetes job, which JAX finds itself; elsewhere give the next three.
      coordinator: address of process 0, host:port.
      processes: how many processes the run has.
      process: number of this one.
    """

    run: Path | None = None
    seed: int = 0
    devices: int | None = None
    shard_parameters: bool = False
    microbatches: int = 1
    rematerialize: bool = False
    resume: bool = True
    workers: int = 0
    log_every: int = 50
    evaluate_every: int = 250
    keep: int = 2
    distributed: bool = False
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None

    def __post_init__(self) -> None:
        above_zero(log_every=self.log_every, evaluate_every=self.evaluate_every, keep=self.keep)
        if not 0 <= self.seed < 2**32 or self.workers < 0:
            raise UsageError(f"seed must be 0 to 2**32 - 1 and workers 0 or more, got {self.seed} and {self.workers}.")


def read_options(
    make: Callable[..., Recipe], words: list[str], *, prog: str
) -> tuple[functools.partial[Recipe], Options]:
    """The options of a recipe's signature and of `Options`, from the words of a command line."""

    def arguments(**given: Any) -> dict[str, Any]:
        return given

    arguments.__signature__, arguments.__annotations__ = inspect.signature(make), get_type_hints(make)  # type: ignore[attr-defined]
    recipe_options = Annotated[dict, tyro.conf.arg(constructor=arguments)]

    def both(recipe: recipe_options, run_options: Options = Options()) -> tuple[dict[str, Any], Options]:  # type: ignore[valid-type]
        return recipe, run_options

    both.__doc__ = arguments.__doc__ = explained(make)
    given, options = parse(both, words, prog=prog)
    return functools.partial(make, **given), options


def repeat(path: Path, words: list[str]) -> tuple[MakeRecipe, Options]:
    """The recipe and the seed of a `run.json`; the words may say where and how the run goes this time."""
    request = read_request(path)
    make = functools.partial(find(request["method"], request["recipe"]), **request["arguments"])
    again = Options(run=Path("runs") / f"{request['method']}-{request['recipe']}-again", seed=request["seed"])

    def options(run_options: Options = again) -> Options:
        """Repeats a run: same recipe, same arguments, same seed."""
        return run_options

    return make, parse(options, words, prog=f"ssl-jax pretrain --from {path}")


def pretrain(make: MakeRecipe, options: Options) -> dict[str, Any] | None:
    """Pre-trains, judges, reports; returns what `results.json` holds, or None on all processes but the first."""
    began = time.perf_counter()
    if options.distributed or options.coordinator:
        connect(coordinator=options.coordinator, processes=options.processes, process=options.process)
    recipe = make()
    mesh = make_mesh(options.devices)
    check_batch_size(recipe.batch_size, mesh, microbatches=options.microbatches)
    run = options.run or Path("runs") / recipe.name.replace("/", "-")
    if jax.process_index() == 0:
        open_run(run, _request(recipe, options.seed), resume=options.resume)
    embed = embedding_of(recipe.method, recipe.prepare)
    hook = online_knn(embed, recipe.data, mesh=mesh) if recipe.data.test else None
    sharding = batch_sharding(mesh)
    with Batches(
        recipe.data.train, recipe.batch_size, seed=options.seed, sharding=sharding, workers=options.workers
    ) as batches:
        state = fit(
            recipe.method, recipe.augment, recipe.optimizer(recipe.steps), batches,
            steps=recipe.steps, seed=options.seed, run=run, mesh=mesh, shard_parameters=options.shard_parameters,
            microbatches=options.microbatches, rematerialize=options.rematerialize,
            hook=hook, log_every=options.log_every, hook_every=options.evaluate_every,
            save_every=options.evaluate_every, keep=options.keep,
        )  # fmt: skip
    if jax.process_count() == 1:
        return _finish(run, recipe, state, mesh, seed=options.seed, began=began)
    state = on_this_process(state, mesh)
    return _finish(run, recipe, state, None, seed=options.seed, began=began) if jax.process_index() == 0 else None


def evaluate(
    run: Path,
    *,
    data: str | None = None,
    layer: str = "features",
    held_out: bool = False,
    step: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Judges the features of a run again: of its last checkpoint or of a given step, on its own or on other data."""
    request, recipe, state, mesh = _restore(run, step)
    judged = open_data(data, image_size=request["arguments"].get("image_size")) if data else recipe.data
    judged = split_training(judged) if held_out else judged
    results, _, _ = _judge(recipe, judged, state, mesh, layer=layer, seed=seed, init_seed=request["seed"])
    about = {"method": request["method"], "recipe": request["recipe"], "steps": int(state.step)}
    about |= {"data": judged.name, "layer": layer}
    return about | results | {"run": str(run)}


def embed(
    run: Path, *, output: Path, data: str | None = None, layer: str = "features", step: int | None = None
) -> None:
    """Writes the frozen features of all training images, in their order: a .npy file, float32 `[N, D]`.

    The rows of unreadable images are NaN.
    """
    if output.suffix != ".npy":
        raise UsageError(f"output: got {output}, expected a file that ends in .npy: name it {output.stem}.npy.")
    request, recipe, state, mesh = _restore(run, step)
    images = (open_data(data, image_size=request["arguments"].get("image_size")) if data else recipe.data).train
    say(f"computing {layer} of the {len(images)} images of {images.name}")
    of_images = functools.partial(
        jax.jit(embedding_of(recipe.method, recipe.prepare, layer=layer)), state.params, state.state
    )
    found, _ = features_of(of_images, in_order(images, batch_size=512), sharding=batch_sharding(mesh))
    features = np.full((len(images), found.shape[1]), np.nan, np.float32)
    features[readable_indices(images)] = found
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as draft:
        np.save(draft, features)


def _restore(run: Path, step: int | None) -> tuple[dict[str, Any], Recipe, TrainState, Mesh]:
    """What a run was asked for, its recipe, and its state at a checkpoint, the last one when none is named."""
    request = read_request(run)
    recipe = find(request["method"], request["recipe"])(**request["arguments"])
    like = jax.eval_shape(lambda: init_state(recipe.method, recipe.optimizer(recipe.steps).transformation, seed=0))
    mesh = make_mesh()
    like = jax.tree.map(lambda leaf: leaf.update(sharding=replicated(mesh)), like)
    with Checkpoints(run / "checkpoints") as checkpoints:
        found = checkpoints.restore(like, step=step)
    if found is None:
        raise RunError(f"run: {run} holds no checkpoint yet: let `ssl-jax pretrain` reach its first one.")
    return request, recipe, found[0], mesh


def _request(recipe: Recipe, seed: int) -> dict[str, Any]:
    method, name = recipe.name.split("/")
    return {"method": method, "recipe": name, "arguments": recipe.arguments, "seed": seed}


def _finish(
    run: Path, recipe: Recipe, state: TrainState, mesh: Mesh | None, *, seed: int, began: float
) -> dict[str, Any]:
    """Judges, draws, writes `results.json` and `report.html`."""
    say("judging the features, beside untrained weights and raw pixels")
    judged, before, after = _judge(recipe, recipe.data, state, mesh, seed=seed, init_seed=seed)
    attend = functools.partial(jax.jit(attentions_of(recipe.method, recipe.prepare)), state.params, state.state)
    save_album(
        run, data=recipe.data, augment=recipe.augment, prepare=recipe.prepare,
        before=before, after=after, attend=attend, seed=seed,
    )  # fmt: skip
    speeds = [
        speed
        for record in read_metrics(run / "metrics.jsonl")
        if (speed := record.get("images_per_second")) is not None
    ]
    results = {
        **{name: _request(recipe, seed)[name] for name in ("method", "recipe")},
        "steps": int(state.step),
        "images_per_second": round(float(np.median(speeds)), 1)
        if speeds
        else None,  # The median leaves compilation out.
        **judged,
        "seconds": round(time.perf_counter() - began, 1),
        "run": str(run),
        "report": str(run / "report.html"),
    }
    write_json(run / "results.json", results)
    write_report(run)
    return results


def _judge(
    recipe: Recipe,
    data: Data,
    state: TrainState,
    mesh: Mesh | None,
    *,
    layer: str = "features",
    seed: int,
    init_seed: int,
) -> tuple[dict[str, Any], Features | None, Features | None]:
    """The verdict on trained weights, untrained weights and pixels; and the features before and after training."""
    names = ("knn", "linear_probe", "few_label_probe")
    nothing = dict.fromkeys(f"{name}{of}" for of in ("", "_random_init", "_pixels") for name in names)
    if data.test is None:
        say(f"{data.name} has no labelled test images: nothing to evaluate by")
        return nothing, None, None
    embed = embedding_of(recipe.method, recipe.prepare, layer=layer)
    untrained = jax.jit(lambda: recipe.method.init(jax.random.key(init_seed)))()
    if mesh is not None:
        untrained = jax.device_put(untrained, replicated(mesh))
    after = compute_features(embed, state.params, state.state, data, mesh=mesh)
    before = compute_features(embed, untrained[0], untrained[1], data, mesh=mesh)
    if unlabelled := without_labels(after):
        say(f"{data.name} has no labelled {' and no labelled '.join(unlabelled)} images: nothing to evaluate by")
        return nothing, before, after
    raw = compute_features(pixels, None, None, data, mesh=mesh)
    results: dict[str, Any] = {}
    for suffix, features in {"": after, "_random_init": before, "_pixels": raw}.items():
        results |= {_named(name, suffix): _rounded(value) for name, value in judge(features, seed=seed).items()}
    return results, before, after


def _named(name: str, suffix: str) -> str:
    """`linear_probe_interval` with `_pixels` is `linear_probe_pixels_interval`."""
    for ending in ("_std", "_interval"):
        if name.endswith(ending):
            return name.removesuffix(ending) + suffix + ending
    return name + suffix


def _rounded(value: Any) -> Any:
    """Accuracies to a hundredth of a percent: finer than any test set here can tell."""
    return [_rounded(part) for part in value] if isinstance(value, list) else value and round(value, 4)
