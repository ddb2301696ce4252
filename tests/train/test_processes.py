"""How processes agree and fail together, with what each would send; tests/test_hosts.py has real ones."""

import jax
import pytest

from ssl_jax.errors import RunError, UsageError
from ssl_jax.train import hosts
from ssl_jax.train.hosts import check_same, connect, lost_processes, together


def test_half_an_address_is_refused():
    with pytest.raises(UsageError, match="coordinator, processes and process go together"):
        connect(coordinator="localhost:1234", processes=2)


@pytest.mark.parametrize(("platforms", "gloo"), [("cpu", True), (None, False), ("cuda,cpu", False)])
def test_hosts_are_joined_whether_jax_platforms_is_set_in_the_environment_or_not(monkeypatch, platforms, gloo):
    """The tests of two hosts set it; without it, JAX 0.10 refused how its configuration was read."""
    calls, joined = {}, []
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.setattr(type(jax.config), "jax_platforms", platforms, raising=False)
    monkeypatch.setattr(jax.config, "update", calls.__setitem__)
    monkeypatch.setattr(jax.distributed, "initialize", lambda *where, **options: joined.append((where, options)))
    connect(coordinator="localhost:1234", processes=2, process=1)
    options = {
        "coordinator_bind_address": "localhost:1234",
        "heartbeat_timeout_seconds": 25,
        "initialization_timeout": 300,
    }
    assert joined == [(("localhost:1234", 2, 1), options)]
    assert calls == ({"jax_cpu_collectives_implementation": "gloo"} if gloo else {})


@pytest.fixture
def others(monkeypatch):
    """What the other processes send; this one is process 0."""
    sent = []
    monkeypatch.setattr(hosts, "exchange", lambda value: [dict(value), *sent])
    return sent


def test_requests_that_differ_are_refused(others):
    check_same({"seed": 0})
    others += [{"seed": 0}, {"seed": 1, "epochs": 2.0}]
    with pytest.raises(
        UsageError,
        match=r"process 2 has another request: epochs is 2\.0 there and None in process 0; seed is 1 there and 0 in process 0: "
        "start the same command on all of them",
    ):
        check_same({"seed": 0})


def test_a_fault_of_another_process_is_a_fault_of_this_one(others):
    with together():
        pass
    others.append({"fault": "batch_size: 3 is odd"})
    with pytest.raises(RunError, match=r"process 1 cannot start: batch_size: 3 is odd\."), together():
        pass


def test_a_fault_of_this_process_is_sent(monkeypatch):
    sent = []
    monkeypatch.setattr(hosts, "exchange", sent.append)
    with pytest.raises(UsageError), together():
        raise UsageError("batch_size: 3 is odd.")
    assert sent == [{"fault": "batch_size: 3 is odd"}]


@pytest.mark.parametrize(
    ("processes", "said", "kind"),
    [
        (2, "FAILED_PRECONDITION: Gloo all-reduce failed: Connection closed by peer", RunError),
        (3, "UNAVAILABLE: Connection reset", RunError),
        (2, "INVALID_ARGUMENT: shapes", jax.errors.JaxRuntimeError),
        (1, "Connection closed by peer", jax.errors.JaxRuntimeError),
    ],
)
def test_a_lost_process_is_one_sentence(monkeypatch, processes, said, kind):
    monkeypatch.setattr(jax, "process_count", lambda: processes)
    with pytest.raises(kind) as caught, lost_processes():
        raise jax.errors.JaxRuntimeError(said)
    if kind is RunError:
        other = "process 1" if processes == 2 else "another process"
        assert str(caught.value).startswith(f"{other} of the run is gone ({said}): start the same command on all again")
