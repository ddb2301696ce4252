"""Spelling to sound: a transformer and recurrent networks with and without attention, of one size and on one budget.

    python experiments/attention/speller.py --seeds 0 1 2
    python experiments/attention/speller.py --task denoising
    python experiments/attention/speller.py --size full --network transformer

Words of the CMU Pronouncing Dictionary (`pip install 'ssl_jax[speech]'`). Every network predicts the sounds of a word;
with `--task denoising` it predicts the word from the word with noise, without pronunciations. Runs that are missing in
the results file follow one another, so that the script can be stopped at any time and started again.
"""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro
from speller_evaluation import by_chunks, draw_alignment, evaluate
from speller_setup import (
    NETWORKS,
    PUBLISHED,
    SIZES,
    WITH_ATTENTION,
    Pairs,
    Size,
    Task,
    of_one_size,
    parameters,
    prepare,
    untouched,
)

from ssl_jax.data import Batches
from ssl_jax.files import write_json
from ssl_jax.networks.functional import Net
from ssl_jax.optimizers import adamw, warmup_cosine
from ssl_jax.runs import open_run, read_record
from ssl_jax.sequences.spelling import open_spelling
from ssl_jax.sequences.transcription import Transcription
from ssl_jax.sequences.vocabulary import PADDING
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.state import TrainState

RESULTS = Path(__file__).parents[1] / "results" / "speller.json"
PICTURES = Path(__file__).parent / "pictures"


def speller(
    *,
    network: tuple[Literal["transformer", "recurrent", "recurrent-without-attention"], ...] = (),
    size: Literal["demo", "full"] = "demo",
    task: Literal["spelling", "denoising"] = "spelling",
    stress: bool = False,
    seeds: tuple[int, ...] = (0,),
    run: Path = Path("runs/speller"),
    results: Path = RESULTS,
    pictures: Path = PICTURES,
    steps: int | None = None,
    words: int | None = None,
    dim: int | None = None,
) -> None:
    """Trains each network once for each seed, and prints error rates on unseen words, in percent.

    Args:
      network: names of networks; all when none is given.
      size: "demo", some minutes each on two cores, or "full".
      task: "spelling" predicts sounds; "denoising" predicts the word from the word with noise, without labels.
      stress: mark the stress of vowels.
      seeds: one run each, in RUN/SETTING/NETWORK-seed0, ...
      run: folder of the runs.
      results: file of the measurements.
      pictures: folder for the alignments of the networks with attention.
      steps, words, dim: training steps, words for training and test, and size of the transformer; for a trial.
    """
    changes = {"steps": steps, "train_words": words, "test_words": words, "dim": dim}
    chosen = SIZES[size]._replace(**{name: value for name, value in changes.items() if value is not None})
    setting = f"{size}-{task}" + ("-stress" if stress else "")
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    of_setting = found.setdefault(setting, {})
    names = network or tuple(NETWORKS)
    missing = [(name, seed) for seed in seeds for name in names if str(seed) not in of_setting.get(name, {})]
    if missing:
        dictionary = open_spelling(
            stress=stress, longest=chosen.longest, train_words=chosen.train_words, test_words=chosen.test_words
        )
        prepared = prepare(task, dictionary)
        nets = of_one_size(names, chosen, read=prepared.sources, written=len(prepared.written))
    for name, seed in missing:
        folder = run / setting / f"{name}-seed{seed}"
        request = {"method": "transcription", "recipe": setting, "arguments": chosen._asdict(), "seed": seed}
        with open_run(folder, request, resume=True):
            state, kept = train_and_evaluate(nets[name], prepared, chosen, seed=seed, folder=folder)
        if seed == 0 and name in WITH_ATTENTION:
            draw_alignment(nets[name], state, prepared, pictures / f"alignment_{setting}_{name}.svg")
        if task == "denoising":
            kept["untouched"] = round(untouched(prepared), 4)
        about = read_record(folder) or {}
        kept |= {"train_words": len(dictionary.train.words), "device": about["device"], "started": about["started"]}
        of_setting.setdefault(name, {})[str(seed)] = kept
        results.parent.mkdir(parents=True, exist_ok=True)
        write_json(results, found)
    report(of_setting, compare=task == "spelling" and not stress)


def train_and_evaluate(
    net: Net, task: Task, size: Size, *, seed: int, folder: Path
) -> tuple[TrainState, dict[str, Any]]:
    """Trains, or resumes, and returns the state and its results."""
    method, mesh = Transcription(net=net, label_smoothing=size.label_smoothing), make_mesh()
    rate = warmup_cosine(size.learning_rate, steps=size.steps, warmup=size.warmup)
    energies = jax.jit(method.energies)

    def nats_per_symbol(state: TrainState, pairs: Pairs) -> float:
        nats = by_chunks(partial(energies, state.params, state.method_state), *pairs)
        return round(float(nats.sum() / (pairs[1] != PADDING).sum()), 4)

    started = time.perf_counter()
    with Batches(task.train, size.batch_size, seed=seed, sharding=batch_sharding(mesh)) as batches:
        state = fit(
            method,
            task.augment,
            adamw(rate, weight_decay=0.01, second_decay=0.98),
            batches,
            steps=size.steps,
            seed=seed,
            run=folder,
            mesh=mesh,
            hook=lambda state: {"validation_nats": nats_per_symbol(state, task.validation)},
        )
    kept: dict[str, Any] = {"parameters": parameters(net), "width": net.width, "steps": size.steps}
    kept["seconds"] = round(time.perf_counter() - started, 1)
    kept |= {"validation_nats": nats_per_symbol(state, task.validation), "test_nats": nats_per_symbol(state, task.test)}
    return state, kept | evaluate(net, state, task, size)


def report(of_setting: dict[str, Any], *, compare: bool) -> None:
    """Means and standard deviations over seeds."""
    print(f"{'':<28} {'parameters':>10}  {'symbols wrong':>25}  {'words wrong':>25}  nats a symbol")
    print(f"{'':<28} {'':>10}  {'greedily':>12} {'with a beam':>12}  {'greedily':>12} {'with a beam':>12}")
    for name, of_seeds in of_setting.items():
        runs = list(of_seeds.values())
        cells = [
            f"{percent([kept[how][rate] for kept in runs]):>12}"
            for rate in ("symbol_error_rate", "word_error_rate")
            for how in ("greedy", "beam")
        ]
        nats = np.mean([kept["test_nats"] for kept in runs])
        print(f"{name:<28} {runs[0]['parameters']:10,}  {' '.join(cells[:2])}  {' '.join(cells[2:])}  {nats:13.3f}")
    if compare:
        print("\npublished, for the whole dictionary in another split:")
        for name, (sounds, words) in PUBLISHED.items():
            print(f"{name:<82} {'-' if sounds is None else sounds:>5} {words:>6}")


def percent(shares: Sequence[float]) -> str:
    return f"{100 * np.mean(shares):.1f} ± {100 * np.std(shares):.1f}"


if __name__ == "__main__":
    tyro.cli(speller)
