import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from event_files import pictures
from toy import IMAGES, METHOD, OPTIMIZER, Batches, augment

from ssl_jax.errors import RunError, Stopped, UsageError
from ssl_jax.methods.deepcluster import DeepCluster
from ssl_jax.methods.npid import NPID
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.normalize import unit_length
from ssl_jax.optimizers import sgd
from ssl_jax.runs import read_metrics
from ssl_jax.runs.waiting import WAITS, waited
from ssl_jax.train import Execution, fit
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.mesh import make_mesh
from ssl_jax.train.program import make_program
from ssl_jax.train.records import _score
from ssl_jax.train.state import init_state

CLOCK = {"images_per_second", "seconds", *WAITS}  # Of a record: different in each run.
EVERY = {"log_every": 2, "hook_every": 4, "save_every": 4, "quiet": True}


def train(run=None, *, steps=12, devices=1, batches=None, **options):
    batches = batches or Batches(devices)
    return fit(METHOD, augment, OPTIMIZER, batches, steps=steps, run=run, mesh=make_mesh(devices), **(EVERY | options))


def assert_same(first, second):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(first), jax.device_get(second))


@pytest.mark.slow
def test_a_run_is_repeatable_to_the_bit():
    assert_same(train(), train())


class Steep(type(METHOD)):
    """A loss of 1e25 times the size, whose gradient has no float32 squares."""

    def objective(self, *arguments, **named):
        loss, *rest = super().objective(*arguments, **named)
        return 1e25 * loss, *rest


@pytest.mark.slow
def test_the_logged_norm_of_the_gradient_is_right_at_any_scale(tmp_path):
    for number, method in enumerate((METHOD, Steep(**vars(METHOD)))):
        options = EVERY | {"log_every": 1, "run": tmp_path / str(number), "mesh": make_mesh(1)}
        fit(method, augment, sgd(lambda step: 0.0), Batches(), steps=1, **options)
    usual, steep = (read_metrics(tmp_path / name)[0]["gradient_norm"] for name in "01")
    assert usual > 0.01
    np.testing.assert_allclose(steep, 1e25 * usual, rtol=1e-5)


class Naive(type(METHOD)):
    """The views of an image attract and nothing repels: all embeddings become equal."""

    def objective(self, embeddings, state, rng, step, *, axis_name=None):
        first, second = (unit_length(embeddings["embedding"][:, view]) for view in (0, 1))
        return mean_over_shards(-(first * second).sum(axis=1).mean(), axis_name), {}, {}


@pytest.mark.parametrize(("method", "collapses"), [(METHOD, False), (Naive(**vars(METHOD)), True)])
def test_a_collapse_is_said_and_recorded_once_within_200_steps(tmp_path, capsys, method, collapses):
    """Also where the run is resumed after it."""
    options = {"mesh": make_mesh(1), "log_every": 20, "save_every": 20, "quiet": False, "run": tmp_path}
    for steps in (160, 200):
        fit(method, augment, OPTIMIZER, Batches(), steps=steps, **options)
    said = [line for line in capsys.readouterr().err.splitlines() if "collapse at step" in line]
    assert len(said) == collapses
    assert [record["alarm"] for record in read_metrics(tmp_path) if "alarm" in record] == said
    if collapses:
        assert said[0].startswith("complete collapse at step") and "Naive avoids it by negatives; check that" in said[0]


@pytest.mark.slow
def test_the_seed_changes_the_run():
    first, second = train(steps=1), train(steps=1, seed=1)
    assert any(
        (a != b).any() for a, b in zip(jax.tree.leaves(first.params), jax.tree.leaves(second.params), strict=True)
    )


@pytest.mark.slow
def test_stopped_and_resumed_equals_uninterrupted(tmp_path):
    """Stopped at step 8 by another total; constant learning rate, so the total does not enter."""
    train(tmp_path, steps=8)
    assert_same(train(tmp_path, steps=12), train(steps=12))
    assert [record["step"] for record in read_metrics(tmp_path)] == [2, 4, 6, 8, 10, 12]


class Interrupted(Batches):
    """Gets a signal while it makes the batch of a step."""

    at, number = 6, signal.SIGTERM

    def __next__(self):
        if self.step == self.at:
            os.kill(os.getpid(), self.number)
        return super().__next__()


def test_a_signal_in_the_last_step_stops_what_would_come_after_training(tmp_path):
    """As in its evaluation, after the step was asked whether to stop."""

    def hook(state):
        os.kill(os.getpid(), signal.SIGTERM)
        return {"knn": 0.5}

    with pytest.raises(Stopped, match="stopped by SIGTERM after step 4 of 4: the state is saved in"):
        train(tmp_path, steps=4, hook=hook, hook_every=4)
    assert_same(train(tmp_path, steps=4), train(steps=4))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_step_and_saves_it(tmp_path, monkeypatch, number):
    """Between two records, so that those after it are made of steps before and after."""
    monkeypatch.setattr(Interrupted, "number", number)
    before = signal.getsignal(number)
    with pytest.raises(Stopped, match=f"stopped by {number.name} after step 7 of 12: the state is saved in"):
        train(tmp_path / "stopped", batches=Interrupted(), log_every=5)
    assert signal.getsignal(number) is before
    uninterrupted = train(tmp_path / "whole", log_every=5)
    assert_same(train(tmp_path / "stopped", log_every=5), uninterrupted)
    records = [
        [
            {name: value for name, value in record.items() if name not in CLOCK}
            for record in read_metrics(tmp_path / folder)
        ]
        for folder in ("stopped", "whole")
    ]
    assert records[0] == records[1] and [record["step"] for record in records[0]] == [4, 5, 8, 10, 12]
    with (
        Checkpoints(tmp_path / "whole" / "checkpoints") as whole,
        Checkpoints(tmp_path / "stopped" / "checkpoints") as stopped,
    ):
        assert whole.best_step == stopped.best_step


def test_the_second_signal_stops_at_once(tmp_path):
    class Twice(Interrupted):
        number = signal.SIGINT

        def __next__(self):
            if self.step == self.at:
                os.kill(os.getpid(), signal.SIGINT)
            return super().__next__()

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, batches=Twice())
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps == [4]


def test_without_a_folder_signals_act_as_usual(monkeypatch):
    monkeypatch.setattr(Interrupted, "number", signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(batches=Interrupted())


@pytest.mark.slow
def test_checkpoints_by_time_change_nothing(tmp_path):
    assert_same(train(tmp_path / "often", save_minutes=0, keep=99), train(tmp_path / "seldom", keep=99))
    steps = {}
    for name in ("often", "seldom"):
        with Checkpoints(tmp_path / name / "checkpoints", keep=99) as checkpoints:
            steps[name] = checkpoints.steps, checkpoints.best_step
    assert steps["often"][0] == [*range(1, 13)] and steps["seldom"][0] == [4, 8, 12]
    assert steps["often"][1] == steps["seldom"][1]


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path += [".", "train"]
import conftest
from test_loop import train, Batches
class Killing(Batches):
    def __next__(self):
        if self.step == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__next__()
train(Path(sys.argv[1]), batches=Killing())
"""


CLUSTERING = DeepCluster(METHOD.encoder, METHOD.head, examples=len(IMAGES), recluster_every=4, clusters=4, heads=2)


def cluster(run=None, *, steps=4, optimizer=OPTIMIZER, batches=None, **options):
    return fit(
        CLUSTERING,
        augment,
        optimizer,
        batches or Batches(),
        steps=steps,
        run=run,
        mesh=make_mesh(1),
        **(EVERY | options),
    )


@pytest.mark.slow
def test_a_method_that_clusters_has_targets_at_its_first_step(tmp_path):
    """Labels of -1 gave a loss and a gradient of 0 for an epoch, and LARS let the decay alone halve the weights."""
    cluster(tmp_path, log_every=1)
    records = [record for record in read_metrics(tmp_path) if "loss" in record]
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    assert all(record["loss"] > 0.1 and record["gradient_norm"] > 0 for record in records)


def test_before_the_first_step_memories_are_filled_and_parameters_stay():
    start = init_state(CLUSTERING, OPTIMIZER.transformation, seed=0)
    batches = Batches()
    filled = cluster(steps=0, batches=batches)
    assert batches.step == 0  # The first step has the batch that it has without.
    assert_same((filled.params, filled.optimizer, filled.step), (start.params, start.optimizer, start.step))
    seen = np.unique([Batches.index_of(step) for step in range(CLUSTERING.fill_steps)])
    labels = np.asarray(filled.method_state["labels"])
    assert (labels[seen] >= 0).all() and (np.delete(labels, seen, axis=0) == -1).all() and len(seen) < len(IMAGES)
    assert len(np.unique(labels[seen, 0])) == 4


@pytest.mark.slow
def test_killed_while_memories_are_filled_it_begins_anew(tmp_path):
    class Killed(Batches):
        def __next__(self):
            if self.step == 2:
                raise KeyboardInterrupt
            return super().__next__()

    with pytest.raises(KeyboardInterrupt):
        cluster(tmp_path, batches=Killed())
    cluster(tmp_path, save_every=2, steps=2)
    assert_same(cluster(tmp_path), cluster())  # Resumed from step 2, without another fill.


@pytest.mark.slow
@pytest.mark.parametrize("step", [5, 9])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, step):
    """SIGKILL leaves no time to tidy up: some checkpoint may be half-written, the log may be ahead of it."""
    tests = Path(__file__).parents[1]
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path, str(step)], cwd=tests)
    assert killed.returncode == -signal.SIGKILL
    assert_same(train(tmp_path), train())


@pytest.mark.slow
def test_devices_do_not_change_the_losses(tmp_path):
    losses = {}
    for devices in (1, 8):
        train(tmp_path / str(devices), devices=devices, log_every=1)
        losses[devices] = [record["loss"] for record in read_metrics(tmp_path / str(devices)) if "loss" in record]
    assert len(losses[1]) == 12
    np.testing.assert_allclose(losses[1], losses[8], rtol=1e-5)


@pytest.mark.slow
def test_sharded_parameters_give_the_same_run(monkeypatch):
    monkeypatch.setattr("ssl_jax.train.mesh.SMALLEST_SHARDED_LEAF", 1)
    sharded = train(devices=4, execution=Execution(shard_parameters=True))
    assert any(not leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(sharded.params))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        jax.device_get(sharded.params),
        jax.device_get(train(devices=4).params),
    )


def test_records_hold_loss_speed_rate_and_gauges(tmp_path):
    train(tmp_path, steps=4, hook=lambda state: {"knn": 0.5})
    last, hooked = read_metrics(tmp_path)[-2:]
    expected = {
        "step",
        "loss",
        "learning_rate",
        "gradient_norm",
        "std",
        "effective_rank",
        "alignment",
        "uniformity",
        "eigenvalue_decay",
        "view_correlation",
        "redundancy",
        *CLOCK,
    }
    assert set(last) - {"alarm"} == expected and last["learning_rate"] == pytest.approx(0.1)
    assert hooked == {"step": 4, "knn": 0.5}
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_pictures_of_the_hook_are_in_the_events_at_its_steps(tmp_path):
    shown = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    train(tmp_path, steps=6, hook=lambda state: {"knn": 0.5, "neighbors": shown + np.uint8(state.step)}, hook_every=4)
    found = pictures(tmp_path, "neighbors")
    assert sorted(found) == [4, 6] and all("neighbors" not in record for record in read_metrics(tmp_path))
    for step, image in found.items():
        np.testing.assert_array_equal(image, shown + step)


class Slow(Batches):
    """Batches that come late."""

    def __next__(self):
        time.sleep(0.02)
        return super().__next__()


def test_records_say_what_the_loop_waited_for(tmp_path):
    def hook(state):
        time.sleep(0.1)
        return {"knn": 0.5}

    train(tmp_path, steps=8, batches=Slow(), hook=hook)
    first, second, after, last = (record for record in read_metrics(tmp_path) if "loss" in record)
    for record in (first, second, after, last):
        assert record["waits_input"] * record["seconds"] > 0.04
        assert 0 < sum(record[name] for name in WAITS) <= 1.001
    assert first["waits_compilation"] > 0 == last["waits_compilation"]
    # Of step 4; both factors are rounded.
    assert last["waits_evaluation"] < 0.01 and after["waits_evaluation"] * after["seconds"] > 0.099
    assert after["waits_writing"] > 0 and after["waits_device"] > 0
    assert 0 < waited(read_metrics(tmp_path))["input"] < 1


def test_a_batch_that_the_devices_hold_is_no_input_to_wait_for(tmp_path):
    """The call of the program that takes it waits for the step before, where devices are several of a processor."""
    slow = Slow()
    slow.held = True
    train(tmp_path, steps=8, batches=slow)
    first, *others = (record for record in read_metrics(tmp_path) if "loss" in record)
    assert 0 < first["waits_input"]
    for record in others:
        assert record["waits_input"] == 0 < record["waits_device"] * record["seconds"]


@pytest.mark.slow
def test_records_change_nothing_in_training(tmp_path):
    """Gauges read the state before a step, whose buffers the step takes over."""
    assert_same(train(tmp_path / "often", log_every=1), train(tmp_path / "once", log_every=10**6))


@pytest.mark.slow
def test_gauges_are_of_the_state_before_the_step():
    """So that the bank of a method does not hold the batch yet: entries are still random in the first record."""
    method = NPID(METHOD.encoder, METHOD.head, examples=len(IMAGES), negatives=16)

    def one_view(rng, image):
        return augment(rng, image)[:1]

    program = make_program(method, one_view, OPTIMIZER, seed=0, mesh=make_mesh(1))
    batch = next(Batches())
    before = program.init()
    first = float(program.gauges(before, batch)["memory_cosine"])
    after, _ = program.step(before, batch)
    assert abs(first) < 0.4 and float(program.gauges(after, batch)["memory_cosine"]) > first + 0.3


def test_the_last_and_the_best_checkpoint_stay(tmp_path):
    scores = iter([0.9, 0.1, 0.2, 0.3])
    train(tmp_path, steps=16, keep=2, hook=lambda state: {"knn": next(scores)})
    kept = sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir())
    assert kept == [4, 12, 16]


def test_without_labels_the_score_is_the_correlation_of_views_or_minus_the_loss():
    """Of metrics of one checkpoint; the loss of a trivial solution would be the best."""
    trivial, learned = {"loss": 0.003, "view_correlation": 0.09}, {"loss": 2.9, "view_correlation": 0.75}
    assert _score(learned) == 0.75 - 2 > _score(trivial)  # Below every k-NN accuracy.
    assert _score(learned | {"knn": 0.5}) == 0.5 and _score(learned | {"knn": float("nan")}) == 0.75 - 2
    assert _score({"loss": 2.0}) == -2.0


def test_the_best_checkpoint_without_labels_has_the_highest_correlation_of_views(tmp_path):
    train(tmp_path, steps=16, keep=1)
    found = {record["step"]: record["view_correlation"] for record in read_metrics(tmp_path) if record["step"] % 4 == 0}
    kept = {int(path.name) for path in (tmp_path / "checkpoints").iterdir()}
    assert kept == {16, max(found, key=found.get)}


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over(tmp_path, capsys):
    train(tmp_path)
    for path in (tmp_path / "checkpoints/12").rglob("*"):
        if path.is_file() and "state" in path.parts:
            path.write_bytes(b"damaged")
    assert_same(train(tmp_path), train())
    assert "checkpoint of step 12" in capsys.readouterr().err
    assert_same(train(tmp_path), train())  # Step 12 was written anew, and can be read.
    assert "cannot be read" not in capsys.readouterr().err


def test_all_checkpoints_damaged(tmp_path):
    train(tmp_path, steps=4)
    for path in (tmp_path / "checkpoints").rglob("*"):
        if path.is_file() and "state" in path.parts:
            path.write_bytes(b"damaged")
    with pytest.raises(RunError, match=r"none of the checkpoints in .* can be read: start again with another --run"):
        train(tmp_path, steps=4)


@pytest.mark.slow
def test_a_full_disk_is_said_and_keeps_what_there_is(tmp_path, monkeypatch):
    train(tmp_path, steps=4)
    full = type("Usage", (), {"free": 10})
    monkeypatch.setattr("ssl_jax.train.checkpoint.shutil.disk_usage", lambda path: full)
    with pytest.raises(RunError, match=r"the checkpoint of step 8 needs .* MiB .* are free: free disk space"):
        train(tmp_path)
    monkeypatch.undo()
    assert_same(train(tmp_path), train())


def test_a_loss_that_turns_nan_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    explode = sgd(lambda step: jnp.where(step == 4, jnp.float32(jnp.nan), jnp.float32(0.1)))
    with pytest.raises(
        RunError, match=r"the loss became nan at step 6: the last good checkpoint is kept in .*; try a lower"
    ):
        fit(METHOD, augment, explode, Batches(), steps=12, run=tmp_path, mesh=make_mesh(1), **EVERY)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["4"]


def poisoned(part, value, when):
    """The toy's optimizer, which puts a value into its own state or into the weights in one step, where no loss sees it yet."""
    inner = OPTIMIZER.transformation

    def init(params):
        return {
            "inner": inner.init(params),
            "lowest": jnp.float32(jnp.inf),
            "counter": jnp.int32(0),
            "moment": jnp.zeros(3),
        }

    def update(gradient, state, params):
        updates, kept = inner.update(gradient, state["inner"], params)
        hit = state["counter"] == when
        if part == "params":
            updates = jax.tree.map(lambda leaf: jnp.where(hit, value, leaf).astype(leaf.dtype), updates)
        else:
            state = state | {part: jnp.where(hit, value, state[part])}
        return updates, state | {"inner": kept, "counter": state["counter"] + 1}

    return OPTIMIZER._replace(transformation=optax.GradientTransformation(init, update))


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        (
            "params",
            np.nan,
            r"after step 8 params\.encoder\.\S+ is NaN: the last good checkpoint is kept in .*; try a lower",
        ),
        ("moment", np.inf, r"after step 8 optimizer\.moment is infinite: the last good"),
        ("lowest", np.nan, r"after step 8 optimizer\.lowest is NaN: the last good"),
    ],
)
def test_a_state_that_is_not_finite_is_not_saved(tmp_path, part, value, sentence):
    """The loss of step 8 is finite, since it depends on the parameters before the update."""
    optimizer = poisoned(part, value, when=7)
    with pytest.raises(RunError, match=sentence):
        fit(METHOD, augment, optimizer, Batches(), steps=12, run=tmp_path, mesh=make_mesh(1), **EVERY)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["4"]


def test_a_last_state_that_is_not_finite_is_not_returned():
    with pytest.raises(RunError, match=r"after step 4 params\.\S+ is NaN: nothing was saved before; try a lower"):
        fit(METHOD, augment, poisoned("params", np.nan, when=3), Batches(), steps=4, mesh=make_mesh(1), **EVERY)


@pytest.mark.slow
def test_what_is_infinite_from_the_start_may_be_saved(tmp_path):
    """The lowest loss so far, say: it is infinite before the first, and resuming does not change that."""
    for steps in (4, 8):
        options = {"steps": steps, "run": tmp_path, "mesh": make_mesh(1), **EVERY}
        state = fit(METHOD, augment, poisoned("moment", 1.0, when=2), Batches(), **options)
    assert np.isinf(state.optimizer["lowest"]) and state.step == 8


def test_a_score_is_that_of_the_saved_weights(tmp_path):
    """k-NN of step 4 is not the score of step 8, where it is not measured, and NaN is no score."""
    scores = iter([0.9, np.nan])
    options = {"hook": lambda state: {"knn": next(scores)}, "hook_every": 6, "save_every": 3, "keep": 9}
    train(tmp_path, **options)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.steps == [3, 6, 9, 12] and checkpoints.best_step == 6
        found = {step: checkpoints._manager.metrics(step)["score"] for step in checkpoints.steps}
    records = [record for record in read_metrics(tmp_path) if "view_correlation" in record]
    others = {record["step"]: record["view_correlation"] - 2 for record in records}
    assert found == {3: others[3], 6: 0.9, 9: others[9], 12: others[12]} and max(others.values()) < 0


def test_a_batch_that_the_devices_cannot_share():
    with pytest.raises(UsageError, match="batch_size: 16 examples cannot be shared equally by 3 devices"):
        train(devices=3, batches=Batches(1))


def test_plain_lines_where_there_is_no_terminal(tmp_path, capsys):
    train(tmp_path, steps=4, quiet=False)
    said = capsys.readouterr()
    assert said.out == "" and "step 2/4  " in said.err and "img/s  loss " in said.err


def test_a_half_written_record_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 2, "loss": 1.0}) + '\n{"step": 4, "lo')
    assert read_metrics(tmp_path) == [{"step": 2, "loss": 1.0}]


@pytest.mark.slow
def test_a_damaged_record_does_not_stop_a_run_from_resuming(tmp_path):
    train(tmp_path, steps=8)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"step": 4, "los\x00\xff\n', *lines[2:]]))
    assert_same(train(tmp_path), train())
    assert [record["step"] for record in read_metrics(tmp_path)] == [2, 6, 8, 10, 12]
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [2, 6, 8, 10, 12]


def test_a_kill_while_the_records_are_rewritten_keeps_them(tmp_path, monkeypatch):
    train(tmp_path, steps=8)
    before = (tmp_path / "metrics.jsonl").read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.write_text", lambda path, *_, **__: path.write_bytes(b"half") and killed())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_metrics_that_are_not_finite_are_null(tmp_path):
    train(tmp_path, steps=4, hook=lambda state: {"knn": float("nan"), "other": float("inf")})
    (hooked,) = (json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines() if "knn" in line)
    assert hooked == {"step": 4, "knn": None, "other": None}
