"""The scripts of the lecture's findings, shrunk and run; their tables and claims come from the results files."""

import json
from dataclasses import replace

import claims
import false_alarms
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
import trivial_solutions
from figures_of_the_talk import asymmetric
from negatives import part_of
from permutations import both, in_orders

from ssl_jax.data import open_data
from ssl_jax.recipes import find

SCRIPTS = {name: __import__(name).SCRIPT for name in claims.SCRIPTS}
# The cheapest case of each script, and what it measures.
TRIALS = {
    "layers": ("untrained", {"layers", "knn", "linear", "alignment", "uniformity", "invariance"}),
    "figures_of_the_talk": ("Barlow Twins, both", {"knn", "linear"}),
    "negatives": ("MoCo, oldest eighth", {"knn", "linear", "loss", "steps"}),
    "clustering": ("hard codes, long tail", {"knn", "linear", "curve", "loss", "seconds_per_step"}),
    "clusterfit": ("labels, 50 % noise", {"first knn", "first linear", "clusterfit knn", "clusterfit linear",
                                          "distilled knn", "distilled linear"}),
    "permutations": ("jigsaw and rotation", {"knn", "linear", "invariance", "task_accuracy", "turns_accuracy"}),
    "shortcuts": ("digits, no guard", {"knn", "linear", "task_accuracy"}),
    "false_alarms": ("swav", {"alarm", "records", "std", "effective_rank", "prototype_use", "assignment_entropy"}),
    "trivial_solutions": ("SimSiam, neither", {"knn", "alarm", "loss", "std", "effective_rank"}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_what_is_missing(name, tmp_path, capsys):
    case, measured = TRIALS[name]
    results = tmp_path / "results.json"
    words = {"only": (case,), "seeds": (0,), "steps": 2, "data": "synthetic", "results": results}
    SCRIPTS[name].run(**words)
    found = json.loads(results.read_text())
    assert found[case]["0"].keys() == measured and capsys.readouterr().out.startswith(f"{case}, seed 0: ")
    SCRIPTS[name].run(**words)
    assert json.loads(results.read_text()) == found and not capsys.readouterr().out


def test_no_run_starts_after_the_time(tmp_path):
    SCRIPTS["layers"].run(results=tmp_path / "results.json", minutes=0, data="synthetic")
    assert not (tmp_path / "results.json").exists()


def test_the_page_shows_the_results():
    """With every script whose results are complete; `python experiments/lecture/claims.py` writes it."""
    assert claims.with_tables(claims.README) == claims.README.read_text()
    assert all(script.complete(found) for script, found in claims.measured().values())


def test_pictures_are_those_of_the_results():
    for script, found in claims.measured().values():
        for name, figure in script.pictures(found).items():
            assert (runs.HERE / f"pictures/{name}.svg").read_text() == figure + "\n", f"run {script.name}.py"


def test_a_claim_is_decided_by_its_seeds():
    assert runs.compare([0.9, 0.92], [0.8, 0.82]) == "holds"
    assert runs.compare([0.8, 0.82], [0.9, 0.92]) == "does not hold"
    assert runs.compare([0.9, 0.8], [0.82, 0.84]) == "undecided"  # The seeds differ by more.
    assert runs.compare([0.905], [0.9]) == "undecided"  # Less than 1,000 test images show.
    assert np.isclose(runs.spread([0.9, 0.92], [0.5, 0.5]), np.std([0.9, 0.92], ddof=1))


def test_each_exchange_of_a_part_makes_a_method():
    for method, exchange in trivial_solutions.CASES.values():
        demo = find(method, "demo")(data="synthetic").method
        assert isinstance(exchange(demo), type(demo))


def test_one_false_alarm_among_all_runs_is_in_the_table_and_decides_the_claim():
    silent = {"alarm": None, "std": 0.5, "effective_rank": 9.0}
    found = {case: {"0": {"share": 0.01} if case.startswith("cost") else silent} for case in false_alarms.CASES}
    assert [claim.verdict for claim in false_alarms.claims(found)] == ["holds", "holds"]
    assert "| byol | 0.5 | 9 | - | - | - |" in false_alarms.the_table(found)
    found["byol"] = {"0": silent, "1": silent | {"alarm": "complete collapse at step 60 (std ...", "std": 0.05}}
    found["cost, swav"] = {"0": {"share": 0.021}}
    assert [claim.verdict for claim in false_alarms.claims(found)] == ["does not hold", "does not hold"]
    assert false_alarms.claims(found)[0].figures == "1 alarms in 25 runs of 24 demos"
    table = false_alarms.the_table(found)
    assert "| byol | 0.05 | 9 | - | - | complete collapse, step 60 |" in table and "| swav | +2.1 |" in table


def test_parts_of_a_queue_are_what_their_names_say():
    """Three keys a batch, eight batches of which the queue has room; the key of batch t, row b, scores 10 t + b."""
    times, pushes, keys = 8, 11, 3
    scores = np.zeros((2, keys * times), np.float32)
    for time in range(pushes):  # Later batches replace earlier ones.
        for key in range(keys):
            scores[:, key * times + time % times] = 10 * time + key
    parts = {
        part: sorted(map(float, part_of(jnp.asarray(scores), part, times=times, pushes=pushes)[0]))
        for part in ("oldest", "newest", "hardest", "easiest")
    }
    assert parts["oldest"] == parts["easiest"] == [30, 31, 32] and parts["newest"] == parts["hardest"] == [
        100,
        101,
        102,
    ]


def test_two_tasks_on_one_network_are_the_weighted_sum_of_their_losses():
    recipe = both(runs.Budget(2, open_data("synthetic", image_size=42, channels=1)))
    size, method, rng = 6, recipe.method, np.random.default_rng(0)
    logits, turns, order = rng.normal(size=(size, 100)), rng.normal(size=(size, 4, 4)), np.arange(size) * 7
    given = {"logits": logits.astype(np.float32), "turns": turns.astype(np.float32), "order": order.astype(np.int32)}
    loss, _, metrics = replace(method, weight=0.25).objective(given, {}, None, 0)

    def nats(logits):
        return np.log(np.exp(logits).sum(-1)) - logits

    of_tiles = np.mean([nats(logits[row])[order[row]] for row in range(size)])
    of_turns = np.mean([nats(turns[row, turn])[turn] for row in range(size) for turn in range(4)])
    assert loss == pytest.approx(0.75 * of_tiles + 0.25 * of_turns, rel=1e-5)
    assert metrics["turns_accuracy"] == pytest.approx((turns.argmax(-1) == np.arange(4)).mean())


@pytest.mark.parametrize(("count", "different"), [(9, 9), (100, 100), (None, 200)])
def test_tiles_come_in_so_many_orders(count, different):
    """Of 400 draws; all 9! hardly repeat."""
    views = in_orders(lambda rng, image: jnp.arange(9)[:, None], count)
    drawn = jax.jit(jax.vmap(views, (0, None)))(jax.random.split(jax.random.key(0), 400), None)
    found = {tuple(order) for order in np.asarray(drawn)[..., 0].tolist()}
    assert all(sorted(order) == list(range(9)) for order in found)
    assert len(found) > different if count is None else 0.9 * different <= len(found) <= different


@pytest.mark.slow
def test_a_stop_gradient_keeps_the_loss_and_changes_its_gradient():
    recipe = runs.demo("simclr", runs.Budget(2, open_data("synthetic", image_size=28, channels=1)), batch_size=8)
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(8, 2, 64)), jnp.float32)

    def loss(stop):
        method = asymmetric(recipe.method, "simclr", predictor=False, stop=stop)
        return lambda rows: method.objective({"embedding": rows, "prediction": rows}, {}, None, 0)[0]

    free, stopped, original = (
        loss(False),
        loss(True),
        lambda rows: recipe.method.objective({"embedding": rows}, {}, None, 0)[0],
    )
    assert np.allclose(free(rows), original(rows)) and np.allclose(free(rows), stopped(rows))
    assert np.allclose(jax.grad(free)(rows), jax.grad(original)(rows), atol=1e-6)
    assert not np.allclose(jax.grad(stopped)(rows), jax.grad(free)(rows), atol=1e-4)
