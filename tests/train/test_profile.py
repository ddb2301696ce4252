"""The trace of some steps: which steps are in it, and what is refused."""

import gzip
import json

import jax
import pytest
from toy import METHOD, OPTIMIZER, Batches, augment

from ssl_jax.errors import UsageError
from ssl_jax.train import fit
from ssl_jax.train.mesh import make_mesh
from ssl_jax.train.profile import SETTLED, Profile, check_profile


def train(run, *, steps, profile):
    mesh = make_mesh(1)
    return fit(
        METHOD,
        augment,
        OPTIMIZER,
        Batches(1),
        steps=steps,
        run=run,
        mesh=mesh,
        profile=profile,
        log_every=5,
        quiet=True,
    )


def traced(run):
    (path,) = (run / "profile").rglob("*.trace.json.gz")
    with gzip.open(path) as file:
        events = json.load(file)["traceEvents"]
    return {int(event["args"]["step_num"]) for event in events if event.get("name") == "step"}


def test_the_steps_after_the_first_ones_of_this_start_are_traced(tmp_path):
    train(tmp_path, steps=13, profile=2)
    assert traced(tmp_path) == {SETTLED + 1, SETTLED + 2}
    train(tmp_path / "none", steps=3, profile=0)
    assert not (tmp_path / "none/profile").exists()


def test_a_trace_that_a_run_is_too_short_for_is_refused():
    with pytest.raises(
        UsageError, match=r"^profile: got 3 steps, which follow 10 others, and 12 are left: choose at most 2, or 0\."
    ):
        Profile("runs/none/profile", steps=3, start=8, last=20)
    with pytest.raises(UsageError, match=r"10 others, and 8 are left: train for more than 10 steps, or choose 0\."):
        check_profile(1, left=8)
    check_profile(0, left=8)
    check_profile(3, left=0)
    with pytest.raises(UsageError, match=r"^profile: a trace needs the folder of a run"):
        Profile(None, steps=3, start=8, last=200)


def test_a_run_that_ends_within_its_trace_leaves_no_profiler_running(tmp_path):
    with pytest.raises(KeyboardInterrupt), Profile(tmp_path / "first", steps=5, start=0, last=50) as trace:
        with trace.before(SETTLED + 1):
            raise KeyboardInterrupt
    jax.profiler.start_trace(str(tmp_path / "second"))
    jax.profiler.stop_trace()
