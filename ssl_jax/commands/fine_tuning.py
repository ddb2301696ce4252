"""`ssl-jax finetune`: encoder and classifier trained on labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ssl_jax.commands.classifiers import save_fine_tuned
from ssl_jax.commands.evaluation import save_results
from ssl_jax.commands.judging import augmentation_for, described, weights_of
from ssl_jax.commands.output import check_saves
from ssl_jax.commands.saved_run import open_for, restore
from ssl_jax.data import split_training
from ssl_jax.errors import UsageError
from ssl_jax.evaluate.crops import crop_and_flip
from ssl_jax.evaluate.fine_tune import fine_tune
from ssl_jax.evaluate.label_lists import check_share, with_share_of_labels
from ssl_jax.evaluate.protocols import FINE_TUNED
from ssl_jax.evaluate.results import rounded
from ssl_jax.evaluate.tables import results_table
from ssl_jax.ranges import check_ranges
from ssl_jax.runs import read_request
from ssl_jax.train.log import log_line


def finetune(
    run: Path,
    *,
    data: str | None = None,
    labels: float = 1.0,
    learning_rates: Sequence[float] | None = None,
    epochs: float | None = None,
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
    """Fine-tunes the encoder of a run, and the same encoder untrained, and evaluates both on the test images.

    Example:
      >>> results = finetune(run, learning_rates=[0.01], epochs=0.1, batch_size=64, optimizer="sgd", save=False)
      >>> print(list(results))
      ['method', 'recipe', 'steps', 'data', 'chance', 'features', 'run']
    """
    given = {} if epochs is None else {"epochs": epochs}
    check_ranges(seed=seed, batch_size=batch_size, layer_decay=layer_decay, **given)
    check_share(labels)
    crop_and_flip(min_scale=min_scale, flip=flip)
    if learning_rates is not None and not learning_rates:
        raise UsageError(
            "learning_rates: none was given: give one or more, such as 0.001 0.003, or leave the option out."
        )
    for rate in learning_rates or ():
        check_ranges(learning_rate=rate)
    save = save and step is None and not held_out
    if save:
        read_request(run)
        check_saves(run, "give --no-save")
    request, recipe, state, mesh = restore(run, step)
    opened = open_for(data, recipe, state, layer="features")
    opened = split_training(opened) if held_out else opened
    if opened.test is None:
        raise UsageError(f"data: {opened.name} has no labelled test images: choose data that have.")
    opened = with_share_of_labels(opened, labels, seed=seed)
    results: dict[str, Any] = {}
    for source, (params, method_state) in weights_of(recipe, state, mesh, request["seed"]).items():
        backbone = recipe.method.backbone(params, method_state)
        if backbone is None:
            raise UsageError(
                f"run: {request['method']} has no network of whole images to fine-tune: choose another method."
            )
        log_line(f"fine-tuning {source} weights on {len(opened.train)} images of {opened.name}")
        found = fine_tune(
            backbone, recipe.prepare, opened,
            learning_rates=learning_rates, epochs=epochs, batch_size=batch_size, optimizer=optimizer,
            layer_decay=layer_decay, augment=augmentation_for(opened, min_scale=min_scale, flip=flip), mesh=mesh, seed=seed,
        )  # fmt: skip
        chosen = {"learning_rate": found.learning_rate}
        fields = {
            "accuracy": found.accuracy,
            "interval": list(found.interval),
            "epochs": found.epochs,
            "chosen": chosen,
        }
        results[source] = {FINE_TUNED: rounded(fields)}
        if save and source == "pretrained":
            save_fine_tuned(run if run.is_dir() else run.parent, found, opened, steps=int(state.step))
    log_line(results_table("data", {opened.name: results}, chance=1 / len(opened.classes)))
    if save:
        save_results(run, {"features": results}, opened, recipe)
    return described(request, state, opened) | {"features": results, "run": str(run)}
