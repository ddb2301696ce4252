"""The collapse alarm in healthy demos: is it silent, how near do they come to its bounds, and what do the gauges cost?

    python experiments/lecture/false_alarms.py
    python experiments/lecture/false_alarms.py --only swav "cost, swav" --seeds 0

The first 200 steps of the demo of every method that the alarm checks, a record every 20 steps: the sentence of the alarm, and
the value nearest to its bound of each gauge that has one. What the alarm says where a guard is removed is measured by
`trivial_solutions.py`, with the same steps and records.

Cost: blocks of 5 steps with one record of gauges and without, in turn; the difference is divided by the time of 50 steps, the
default of `--log-every`. Blocks of 50 steps differ among themselves by more than a record costs. A seed is a repetition.
"""

import re
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import tyro
from runs import Budget, Claim, Found, Script, table, trained, values

from ssl_jax.composition.recipe import Recipe
from ssl_jax.data import Batches
from ssl_jax.evaluate.alarm import first_alarm
from ssl_jax.recipes import find
from ssl_jax.report.html import Html
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.program import make_program

# The demos whose losses compare embeddings; the alarm does not check the others.
CHECKED = (
    "barlow_twins", "byol", "clusterfit", "cpc", "dcl", "deepcluster", "dino", "dinov2", "frames", "ibot", "ijepa", "lejepa",
    "moco", "moco_v3", "nnclr", "npid", "pirl", "sela", "simclr", "simdino", "simsiam", "swav", "tracks", "vicreg",
)  # fmt: skip
COSTED = ("simclr", "swav", "dino", "pirl")  # Two views; prototypes; a teacher; a bank.
NEAREST = {"std": min, "effective_rank": min, "prototype_use": min, "assignment_entropy": max}  # Of the alarm's bounds.
LOG_EVERY, BLOCK, PAIRS = 50, 5, 6


def demo(method: str, budget: Budget) -> Recipe:
    return find(method, "demo")(**({"data": budget.data} if budget.data else {}))


def watched(budget: Budget, seed: int, *, method: str) -> dict[str, Any]:
    """The sentence of the alarm, None where it is silent; and of each gauge the value nearest to its bound."""
    recipe = demo(method, budget)
    records = [record for record in trained(recipe, seed=seed, steps=budget.steps, gauges=True)[1] if "std" in record]
    nearest = {name: [record[name] for record in records if name in record] for name in NEAREST}
    found = {name: round(NEAREST[name](values), 4) for name, values in nearest.items() if values}
    alarm = first_alarm(records, method, recipe.method.facts, examples=recipe.batch_size)
    return {"alarm": alarm, "records": len(records), **found}


def cost(budget: Budget, seed: int, *, method: str) -> dict[str, Any]:
    """Seconds of blocks of steps with and without a record of gauges, and the share that it adds to `LOG_EVERY` steps."""
    recipe, mesh, steps = demo(method, budget), make_mesh(), min(BLOCK, budget.steps)
    program = make_program(recipe.method, recipe.augment, recipe.optimizer(recipe.steps), seed=seed, mesh=mesh)
    state = program.init()
    with Batches(recipe.data.train, recipe.batch_size, seed=seed, sharding=batch_sharding(mesh)) as batches:

        def block(*, gauges: bool) -> float:
            nonlocal state
            began = time.perf_counter()
            for number in range(steps):
                batch = next(batches)
                measuring = program.gauges(state, batch) if gauges and number == steps - 1 else {}
                state, metrics = program.step(state, batch)
                jax.device_get((metrics, measuring))
            return time.perf_counter() - began

        block(gauges=True)  # Compiles.
        turns = [{gauges: block(gauges=gauges) for gauges in order} for order in ((True, False), (False, True)) * PAIRS]
    seconds = {
        name: [round(turn[gauges], 4) for turn in turns] for name, gauges in (("with", True), ("without", False))
    }
    record = statistics.median(turn[True] - turn[False] for turn in turns)
    share = record / statistics.median(turn[False] for turn in turns) * steps / LOG_EVERY
    return {"share": round(share, 4), **seconds}


CASES: dict[str, Callable[[Budget, int], dict[str, Any]]] = {
    **{method: partial(watched, method=method) for method in CHECKED},
    **{f"cost, {method}": partial(cost, method=method) for method in COSTED},
}


def kinds(found: Found, method: str) -> list[str]:
    """Kind and step of each alarm, over seeds."""
    return [
        " collapse, step ".join(*re.findall(r"(\w+) collapse at step (\d+)", text)) for text in alarms(found, method)
    ]


def alarms(found: Found, method: str) -> list[str]:
    return [measured["alarm"] for measured in found[method].values() if measured["alarm"]]


def the_table(found: Found) -> str:
    rows = []
    for method in CHECKED:
        of_seeds = list(found[method].values())
        nearest = [
            f"{pick(each[name] for each in of_seeds):.3g}" if name in of_seeds[0] else "-"
            for name, pick in NEAREST.items()
        ]
        rows.append([method, *nearest, "; ".join(kinds(found, method)) or "-"])
    head = [
        "method",
        "lowest std",
        "lowest effective rank",
        "lowest prototype use",
        "highest assignment entropy",
        "alarm",
    ]
    costs = [
        [method, f"{100 * statistics.median(values(found, f'cost, {method}', 'share')):+.1f}"] for method in COSTED
    ]
    return f"{table(head, rows)}\n\n{table(['method', 'time that gauges add, %'], costs)}"


def claims(found: Found) -> Sequence[Claim]:
    """Our own, not the lecture's."""
    false = {method: len(alarms(found, method)) for method in CHECKED}
    runs = sum(len(found[method]) for method in CHECKED)
    shares = [statistics.median(values(found, f"cost, {method}", "share")) for method in COSTED]
    dearest = 100 * max(shares)
    return [
        Claim(
            "-", "the collapse alarm is silent in healthy demos", "does not hold" if any(false.values()) else "holds",
            f"{sum(false.values())} alarms in {runs} runs of {len(CHECKED)} demos",
        ),
        Claim(
            "-", "gauges cost at most 2 % of training", "holds" if dearest <= 2 else "does not hold",
            f"at most {dearest:+.1f} % ({', '.join(COSTED)})",
        ),
    ]  # fmt: skip


def pictures(found: Found) -> dict[str, Html]:
    return {}


SCRIPT = Script(
    "false_alarms", CASES, the_table, claims, pictures, steps=200, seeds=(0, 1, 2), budget="first 200 steps of the demos",
)  # fmt: skip

if __name__ == "__main__":
    tyro.cli(SCRIPT.run)
