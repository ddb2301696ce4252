"""Losses that are not finite: named with their examples, skipped where allowed, and their first operation found."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import METHOD, OPTIMIZER, Batches, augment

from ssl_jax.cli import main
from ssl_jax.errors import RunError
from ssl_jax.runs import read_metrics
from ssl_jax.train import Execution, fit
from ssl_jax.train.mesh import make_mesh

EVERY = {"log_every": 4, "hook_every": 4, "save_every": 4, "quiet": True}
BAD = (5, 6)  # Steps from 0, whose loss is NaN.


class Told(Batches):
    """The toy's input that knows the examples of each batch."""

    def indices(self, step):
        return self.index_of(step)


class Broken(type(METHOD)):
    def objective(self, embeddings, state, rng, step, *, axis_name=None):
        loss, *rest = super().objective(embeddings, state, rng, step, axis_name=axis_name)
        broken = jnp.isin(step, jnp.array(BAD))
        return jnp.log(jnp.where(broken, -1.0, jnp.exp(loss))), *rest


def train(run=None, *, method=METHOD, steps=12, execution=None, devices=1, **options):
    options = EVERY | {"execution": execution or Execution()} | options
    return fit(method, augment, OPTIMIZER, Told(devices), steps=steps, run=run, mesh=make_mesh(devices), **options)


def assert_same(first, second):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(first), jax.device_get(second))


def assert_near(first, second):
    """Equal but for rounding: another program."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), *jax.device_get((first, second)))


def recorded(run):
    return [json.loads(line) for line in (run / "nonfinite.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_the_step_and_the_examples_of_its_batch_are_recorded(tmp_path):
    with pytest.raises(RunError, match=r"became nan at step 6: .*; the examples of its batch are in .*nonfinite.jsonl"):
        train(tmp_path, method=Broken(**vars(METHOD)))
    (record,) = recorded(tmp_path)
    assert record["step"] == 6 and record["loss"] is None
    assert record["examples"] == Told.index_of(5).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_skipped_steps_change_nothing_and_are_counted(tmp_path, capsys, devices):
    """As if the steps before had been all, with the numbers of the steps going on."""
    skipping = {"method": Broken(**vars(METHOD)), "execution": Execution(skip_nonfinite=2), "devices": devices}
    state = train(tmp_path / "7", steps=7, quiet=False, **skipping)
    before = train(steps=5, **skipping)
    assert state.step == 7
    assert_same(state._replace(step=0), before._replace(step=0))
    assert "step 6 is skipped, since its loss is nan and the norm of its gradient 0: 1 of at most 2; the examples" in (
        capsys.readouterr().err
    )
    whole = train(tmp_path / "12", **skipping)
    assert sum(record.get("skipped", 0) for record in read_metrics(tmp_path / "12")) == 2
    assert all(np.isfinite(record["loss"]) for record in read_metrics(tmp_path / "12"))
    assert [record["step"] for record in recorded(tmp_path / "12")] == [6, 7]
    train(tmp_path / "resumed", steps=8, **skipping)
    assert_same(train(tmp_path / "resumed", **skipping), whole)


@pytest.mark.slow
def test_more_than_the_allowed_number_stops_the_run_also_over_a_resumption(tmp_path):
    skipping = {"method": Broken(**vars(METHOD)), "execution": Execution(skip_nonfinite=1)}
    with pytest.raises(
        RunError, match=r"step 7 is skipped, since .*: more than 1 are skipped: the last good checkpoint"
    ):
        train(tmp_path, log_every=1, **skipping)
    train(tmp_path / "saved", steps=6, log_every=1, save_every=6, **skipping)
    with pytest.raises(RunError, match=r"step 7 .* more than 1 are skipped"):
        train(tmp_path / "saved", log_every=1, save_every=6, **skipping)


@pytest.mark.slow
def test_where_all_is_finite_the_option_changes_rounding_alone():
    plain, skipping = train(steps=4), train(steps=4, execution=Execution(skip_nonfinite=3))
    assert_near(plain, skipping)


@pytest.mark.slow
def test_the_operation_is_named():
    where = (
        r"step 6 first gives NaN in return jnp\.log\(jnp\.where\(broken, .* \(test_finite\.py:\d+\): nothing was saved"
    )
    with pytest.raises(RunError, match=where):
        train(method=Broken(**vars(METHOD)), execution=Execution(debug_nans=True))
    assert_near(train(steps=4, execution=Execution(debug_nans=True)), train(steps=4))  # Without donation, as well.


@pytest.mark.slow
def test_as_options_of_a_command(tmp_path, capsys):
    words = "--data synthetic --image-size 16 --epochs 2 --batch-size 64 --devices 1 --log-every 4 --evaluate-every 8"
    words = ["pretrain", "vicreg", *words.split(), "--learning-rate", "1e4", "--run", str(tmp_path / "run")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "ssl-jax: the loss became inf at step 2: " in said and "nonfinite.jsonl; try a lower learning rate" in said
    assert all(0 <= example < 512 for example in recorded(tmp_path / "run")[0]["examples"])
    assert main([*words, "--debug-nans"]) == 1
    assert "first gives NaN in" in capsys.readouterr().err
