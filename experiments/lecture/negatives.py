"""Negatives: where they come from, how hard and how old they are, and PIRL's two terms.

    python experiments/lecture/negatives.py

On the embedded digits. Steps are chosen so that all methods compute about as much in the networks: a view with its gradient
counts 3, a teacher's view 1, nine tiles of 8 x 8 pixels three quarters of a view. Staleness is measured, too: the cosine of an
embedding with that of the same image some steps earlier, for an encoder that learns and for its slow teacher.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array
from runs import (
    Budget,
    Claim,
    Found,
    Script,
    accuracies,
    compare,
    curve,
    demo,
    features_of,
    mean,
    percent,
    table,
    trained,
    values,
)

from ssl_jax.data import load_into_memory
from ssl_jax.losses import info_nce
from ssl_jax.methods.moco import MoCo
from ssl_jax.methods.pirl import PIRL
from ssl_jax.ops import queue
from ssl_jax.ops.bank import read
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.normalize import unit_length
from ssl_jax.report.figures import lines
from ssl_jax.report.html import Html

BATCH = 128
IMAGES = 2000  # In training.
QUEUE = 1024  # Eight batches: no key of the query's own image is in it.
COST = {"simclr": 6.0, "moco": 4.0, "npid": 3.0, "pirl": 5.2}  # Of an image, in passes forward.
SHARE = 8  # An eighth of the queue is kept.
EPOCH = 16  # Steps after which an entry of a bank is written again, about.
AGES = (1, 2, 4, 8, 16, 32)  # Steps.
Part = Literal["hardest", "easiest", "random", "oldest", "newest"]


@dataclass(frozen=True, kw_only=True)
class MoCoPart(MoCo):
    """Of its queue, each query meets an eighth: the most or least similar keys, the oldest or newest ones, or random ones."""

    part: Part

    def objective(self, embeddings: Any, state: Any, rng: Any, step: Any, *, axis_name: str | None = None) -> Any:
        former = state["queues"]["0"]
        query, key = unit_length(embeddings["embedding"][:, 0]), unit_length(embeddings["target"][:, 0])
        times = len(former.rows) // len(query)
        wrong = query @ queue.read(former, axis_name=axis_name).T
        wrong = part_of(wrong, self.part, times=times, pushes=former.pushes)
        nats = jax.nn.logsumexp(wrong / self.temperature, axis=1) - jnp.sum(query * key, axis=1) / self.temperature
        loss = mean_over_shards(jax.nn.softplus(nats).mean(), axis_name)
        return loss, {"queues": {"0": queue.push(former, key)}}, {}


def part_of(similarities: Array, part: Part, *, times: int, pushes: Array | int) -> Array:
    """An eighth of the similarities `[B, K]` of queries and a queue of `times` batches, `[B, K / 8]`.

    The queue's rows are [keys of a batch, times] (`ssl_jax.ops.queue`), and slot `pushes % times` holds the oldest keys.
    """
    by_time = similarities.reshape(len(similarities), -1, times)
    kept = max(1, times // SHARE)
    if part in ("hardest", "easiest"):
        sign = 1 if part == "hardest" else -1
        return sign * jax.lax.top_k(sign * similarities, kept * by_time.shape[1])[0]
    if part == "random":
        return by_time[:, : by_time.shape[1] // SHARE].reshape(len(similarities), -1)
    slots = (pushes - (0 if part == "oldest" else kept) + jnp.arange(kept)) % times
    return jnp.take(by_time, slots, axis=2).reshape(len(similarities), -1)


@dataclass(frozen=True, kw_only=True)
class PIRLDirect(PIRL):
    """The tiles' embedding meets the image's own one, not the memory: one term, both sides with gradient."""

    def objective(self, embeddings: Any, state: Any, rng: Any, step: Any, *, axis_name: str | None = None) -> Any:
        _, changes = self.compare(embeddings, state, step, axis_name=axis_name)
        image, transformed = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        negatives = read(state["bank"], embeddings["negatives"])
        loss = info_nce(transformed, image, negatives, temperature=self.temperature, axis_name=axis_name)
        return loss, changes, {}


def in_part(method: MoCo, part: Part) -> MoCo:
    return MoCoPart(**vars(method), part=part)


def direct(method: PIRL) -> PIRL:
    return PIRLDirect(**vars(method))


def made(name: str, budget: Budget) -> Any:
    """The demo for an equal amount of computation."""
    steps = max(2, round(budget.steps * COST["simclr"] / COST[name]))
    options = {"queue_length": QUEUE} if name == "moco" else {}
    return demo(name, budget._replace(steps=steps), batch_size=BATCH, images=IMAGES, **options)


def measured(
    budget: Budget, seed: int, *, name: str, exchange: Callable[[Any], Any] = lambda method: method
) -> dict[str, Any]:
    recipe = made(name, budget)
    recipe = replace(recipe, method=exchange(recipe.method))
    state, records = trained(recipe, seed=seed, every=recipe.steps)
    return {**accuracies(features_of(recipe, state)), "loss": curve(records, "loss")[-1][1], "steps": recipe.steps}


def staleness(budget: Budget, seed: int) -> dict[str, Any]:
    """Cosines with former embeddings by age, at the middle and the end of MoCo's training: `[[age, cosine], ...]`."""
    recipe = made("moco", budget)
    method, images = recipe.method, load_into_memory(recipe.data.train)["image"][:256]
    seen = {"student": [], "teacher": []}  # type: dict[str, list[np.ndarray]]

    @jax.jit
    def embeddings(params: Any, stats: Any, images: Array) -> Array:
        layers, _ = method.encoder.apply(
            params["encoder"], stats["encoder"], jax.vmap(recipe.prepare)(images), train=False
        )
        rows, _ = method.head.apply(params["head"], stats["head"], layers["features"], train=False)
        return unit_length(rows)

    shown = jax.device_put(images)

    def hook(state: Any) -> dict[str, float]:
        teacher = state.method_state["teacher"]
        for name, (params, stats) in {
            "student": (state.params, state.method_state), "teacher": (teacher["params"], teacher["stats"]),
        }.items():  # fmt: skip
            seen[name].append(np.asarray(jax.device_get(embeddings(params, stats, shown))))
        return {}

    trained(recipe, seed=seed, every=recipe.steps, hook=hook, hook_every=1)
    found = {}
    for moment, now in {"middle": len(seen["student"]) // 2, "end": len(seen["student"]) - 1}.items():
        for name, rows in seen.items():
            found[f"{name}, {moment}"] = [
                [age, round(float((rows[now] * rows[now - age]).sum(axis=1).mean()), 4)] for age in AGES if age <= now
            ]
    return found


NAMES = {"batch (SimCLR)": "simclr", "queue (MoCo)": "moco", "bank (NPID)": "npid", "bank (PIRL)": "pirl"}
PARTS: tuple[Part, ...] = ("random", "hardest", "easiest", "newest", "oldest")
TERMS: dict[str, Callable[[Any], Any]] = {
    "PIRL, the tiles' term alone": partial(replace, weight=1.0),
    "PIRL, tiles against image": direct,
}
CASES: dict[str, Callable[[Budget, int], dict[str, Any]]] = {
    **{title: partial(measured, name=name) for title, name in NAMES.items()},
    **{title: partial(measured, name="pirl", exchange=exchange) for title, exchange in TERMS.items()},
    **{f"MoCo, {part} eighth": partial(measured, name="moco", exchange=partial(in_part, part=part)) for part in PARTS},
    "staleness": staleness,
}


def the_table(found: Found) -> str:
    rows = [
        [
            name,
            str(values(found, name, "steps")[0]),
            percent(values(found, name, "linear")),
            percent(values(found, name)),
        ]
        for name in CASES
        if name != "staleness"
    ]
    return table(["negatives", "steps", "linear, %", "k-NN, %"], rows)


def age(found: Found, curve: str, steps: int) -> list[float]:
    """Cosine with the embedding so many steps earlier, or the oldest measured, over seeds."""
    return [dict(of_seed[curve]).get(steps, of_seed[curve][-1][1]) for of_seed in found["staleness"].values()]


def claims(found: Found) -> Sequence[Claim]:
    def pair(first: str, second: str) -> str:
        return f"{first} {percent(values(found, first))}, {second} {percent(values(found, second))} k-NN"

    def above(items: str, claim: str, first: str, second: str) -> Claim:
        return Claim(items, claim, compare(values(found, first), values(found, second)), pair(first, second))

    old = age(found, "student, middle", EPOCH)
    return [
        above("71, 76", "at equal computation a queue is better than a batch of 128", "queue (MoCo)", "batch (SimCLR)"),
        above("72", "a bank is worse than the batch", "batch (SimCLR)", "bank (NPID)"),
        Claim("73", "the entries of a bank are stale", compare([0.95] * len(old), old),
              f"cosine with the embedding an epoch before: {mean(old):.2f} in the middle of training, "
              f"{mean(age(found, 'student, end', EPOCH)):.2f} at its end"),
        Claim("75, 77", "a slow teacher keeps keys consistent",
              compare(age(found, "teacher, middle", 16), age(found, "student, middle", 16)),
              f"cosine over 16 steps: teacher {mean(age(found, 'teacher, middle', 16)):.2f}, "
              f"student {mean(age(found, 'student, middle', 16)):.2f}"),
        above("47", "hard negatives are better than random ones", "MoCo, hardest eighth", "MoCo, random eighth"),
        above("47", "easy negatives are worse than random ones", "MoCo, random eighth", "MoCo, easiest eighth"),
        above("73", "old keys are worse than new ones", "MoCo, newest eighth", "MoCo, oldest eighth"),
        above("58", "PIRL needs both terms", "bank (PIRL)", "PIRL, the tiles' term alone"),
        above("58", "tiles against the image itself do not converge", "bank (PIRL)", "PIRL, tiles against image"),
    ]  # fmt: skip


def pictures(found: Found) -> dict[str, Html]:
    curves = {}
    for name in ("teacher, middle", "student, middle", "teacher, end", "student, end"):
        ages = [step for step, _ in next(iter(found["staleness"].values()))[name]]
        curves[name] = [(float(step), mean(age(found, name, step))) for step in ages]
    dashes = {"student, middle": "7 4", "teacher, end": "2 3", "student, end": "9 3 2 3"}
    figure = lines(
        curves, title="Staleness", across="age in steps", up="cosine with the former embedding", dashes=dashes,
        names={float(step): str(step) for step in AGES if step > 2},
    )  # fmt: skip
    return {"negatives_staleness": figure}


SCRIPT = Script(
    "negatives", CASES, the_table, claims, pictures, steps=120, seeds=(0, 1),
    budget="digits, the computation of 120 steps of SimCLR with 128 images",
)  # fmt: skip

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
