"""Which clips are positives of each other: alike in sight and sound, or in one alone; and what each choice does to CMA.

    python experiments/lecture/agreement.py
    python experiments/lecture/agreement.py --only AVID CMA "CMA, video"

The first 372 steps (12 epochs) of AVID's demo. Its banks then give the positives of each clip by agreement of both modalities,
by either, and by one: measured is the share of them in the clip's class, and a picture shows some. 248 more steps, the last
two fifths of a cosine of 20 epochs, are AVID alone or CMA. Accuracies are of probes on four fifths of the training clips, on
the other fifth: no choice has seen the test clips. Runs that are missing in the results file follow one another. The tables
of README.md in this folder are made of them.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from agreement_picture import banks, write_picture
from jax import Array

from ssl_jax.data import Batches
from ssl_jax.data.subsets import split_training
from ssl_jax.evaluate.features import compute_features, feature_extractor
from ssl_jax.evaluate.protocols import evaluate_features
from ssl_jax.files import filled, write_atomically, write_json
from ssl_jax.losses.audiovisual import AGREEMENTS, agreeing_clips
from ssl_jax.methods.cma import CMA
from ssl_jax.recipes import Recipe, find
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.state import TrainState
from ssl_jax.train.step import make_step

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "results/agreement.json", HERE / "pictures/agreement.svg"
PROTOCOLS = {"few_labels": "10 labels per class", "linear": "linear", "knn": "k-NN"}
NEVER = 2**30

# Name -> the loss after the first steps, with the settings of CMA's demo but for these.
CASES: dict[str, dict[str, Any]] = {
    "AVID": {"start_step": NEVER},
    "CMA": {},
    "CMA, NCE within": {"estimator_within": "nce", "positives_per_clip": 8},
    "CMA, either": {"agreement": "either"},
    "CMA, video": {"agreement": "video"},
    "CMA, audio": {"agreement": "audio"},
}


def agreement(
    *,
    only: tuple[str, ...] = (),
    seed: int = 0,
    start: int = 372,
    epochs: float = 20,
    run: Path = Path("runs/agreement"),
    results: Path = RESULTS,
    picture: Path = PICTURE,
) -> None:
    """Runs what is missing, writes results and the picture.

    Args:
      only: names of cases; all when none is given.
      seed: seed of the runs.
      start: number of the first steps, with AVID.
      epochs: passes over the clips, the first steps included.
      run: folder of the first steps, which are made once.
      results: file of the measurements.
      picture: file of the picture.
    """
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {"shares": {}, "cases": {}}
    first, recipe = find("avid", "demo")(), find("cma", "demo")(epochs=epochs)
    state, position = first_steps(first, steps=start, seed=seed, run=run)
    found["shares"] = shares(recipe, state)
    write_json(results, found)
    write_picture(picture, recipe, state)
    for name in only or CASES:
        if name not in found["cases"]:
            changes = {"start_step": start} | CASES[name]
            method = replace(cast(CMA, recipe.method), **changes)
            last = continued(recipe, method, state, position, start=start, seed=seed)
            positives = np.asarray(last.method_state["agreeing"])
            found["cases"][name] = accuracies(recipe, method, last) | {"class": class_share(recipe, positives)}
            write_json(results, found)
        print(name, found["cases"][name], flush=True)
    if results == RESULTS:
        readme = HERE / "README.md"
        parts = {"agreement": shares_table(found), "agreement-cases": cases_table(found)}
        write_atomically(readme, filled(readme.read_text(), parts))


def first_steps(recipe: Recipe, *, steps: int, seed: int, run: Path) -> tuple[TrainState, Any]:
    """AVID's state after these steps, and the position in the input."""
    mesh = make_mesh(1)
    with Batches(recipe.data.train, recipe.batch_size, seed=seed, sharding=batch_sharding(mesh)) as batches:
        state = fit(
            recipe.method, recipe.augment, recipe.optimizer(recipe.steps), batches, steps=steps, seed=seed, run=run,
            mesh=mesh, save_every=100, log_every=100, quiet=True,
        )  # fmt: skip
        return state, batches.state()


def continued(recipe: Recipe, method: CMA, state: TrainState, position: Any, *, start: int, seed: int) -> TrainState:
    """The rest of the run, with positives of the banks as AVID left them."""
    unknown = jnp.zeros((method.clips, method.positive_pool), jnp.int32)
    carried = {**state.method_state, "agreeing": unknown}
    mining = replace(method, start_step=start)
    _, carried = mining.after_step(state.params, carried, jnp.int32(start - 1))
    state = jax.tree.map(jnp.copy, state._replace(method_state=carried))
    step = jax.jit(make_step(method, recipe.augment, recipe.optimizer(recipe.steps), seed=seed), donate_argnums=0)
    with Batches(recipe.data.train, recipe.batch_size, seed=seed, sharding=batch_sharding(make_mesh(1))) as batches:
        batches.restore(position)
        for _ in range(start, recipe.steps):
            state, _ = step(state, next(batches))
    return state


def accuracies(recipe: Recipe, method: CMA, state: TrainState) -> dict[str, float]:
    """Accuracy of the frozen features on the training clips held out, by protocol."""
    extract = feature_extractor(method, recipe.prepare)
    features = compute_features(extract, state.params, state.method_state, split_training(recipe.data))
    return {
        name: fields["accuracy"] for name, fields in evaluate_features(features, protocols=tuple(PROTOCOLS)).items()
    }


def class_share(recipe: Recipe, positives: Any) -> float:
    """Share of the positives `[L, P]` that are of the class of their clip."""
    labels = np.array([int(recipe.data.train[row]["label"]) for row in range(len(positives))])
    return float((labels[positives] == labels[:, None]).mean())


def shares(recipe: Recipe, state: TrainState) -> dict[str, Any]:
    """For each agreement, the shares of positives of the same class, outline and timbre; and what NCE makes of them.

    "log_mean_exp" is the logarithm of the mean of exp(similarity / temperature) over pairs of clips, within each modality and
    between them: what the constant of noise-contrastive estimation stands for.
    """
    method: Any = recipe.method
    video, audio = banks(state)
    labels = np.array([int(recipe.data.train[row]["label"]) for row in range(len(video))])
    outline, timbre = (np.array([name.split()[part] for name in recipe.data.classes])[labels] for part in (0, 1))
    log_partition = float(state.method_state["log_partition"])
    found: dict[str, Any] = {"log_partition": log_partition}
    for name in AGREEMENTS:
        positives = np.asarray(agreeing_clips(video, audio, count=method.positive_pool, agreement=name))
        kinds = {"class": labels, "outline": outline, "timbre": timbre}
        found[name] = {kind: float((of[positives] == of[:, None]).mean()) for kind, of in kinds.items()}
    pairs = {"video": (video, video), "audio": (audio, audio), "between": (video, audio)}
    found["log_mean_exp"] = {name: log_mean_exp(*pair, method.temperature) for name, pair in pairs.items()}
    both = agreeing_clips(video, audio, count=method.positive_pool)
    for name, bank in {"video": video, "audio": audio}.items():
        found[f"forces_{name}"] = forces(bank, both, method, log_partition)
    return found


def forces(bank: Array, positives: Array, method: Any, log_partition: float) -> dict[str, float]:
    """Of noise-contrastive estimation within a modality, in units of 1 / temperature: of the positives, and of all negatives.

    That of a positive is the probability that it is noise, that of a negative the probability that it is data.
    """
    scores = jnp.dot(bank, bank.T, precision="highest") / method.temperature
    data = jax.nn.sigmoid(scores - jnp.log(method.negatives_within) - log_partition)
    noise = 1 - jnp.take_along_axis(data, positives, axis=1)
    others = ~jnp.eye(len(bank), dtype=bool)
    return {"positives": float(noise.mean()), "negatives": method.negatives_within * float(data.mean(where=others))}


def log_mean_exp(first: Array, second: Array, temperature: float) -> float:
    """Over pairs of different clips."""
    scores = jnp.dot(first, second.T, precision="highest") / temperature
    others = ~jnp.eye(len(first), dtype=bool)
    return float(jax.nn.logsumexp(scores, where=others) - jnp.log(others.sum()))


def shares_table(found: dict[str, Any]) -> str:
    """In percent."""
    words = {"both": "both", "either": "either (the authors' union)", "video": "video alone", "audio": "audio alone"}
    head = ["| positives by | of the class, % | of the outline, % | of the timbre, % |", "|---|---|---|---|"]
    kinds = ("class", "outline", "timbre")
    rows = [
        f"| {word} | " + " | ".join(f"{100 * found['shares'][name][kind]:.1f}" for kind in kinds) + " |"
        for name, word in words.items()
    ]
    return "\n".join([*head, *rows])


def cases_table(found: dict[str, Any]) -> str:
    """In percent."""
    head = ["| run | " + " | ".join(PROTOCOLS.values()) + " |", "|---|" + "---|" * len(PROTOCOLS)]
    rows = [
        f"| {name} | " + " | ".join(f"{100 * kept[protocol]:.1f}" for protocol in PROTOCOLS) + " |"
        for name, kept in found["cases"].items()
    ]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    tyro.cli(agreement)
