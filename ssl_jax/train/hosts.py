"""The processes of a run on several hosts: how they join, agree before the first step, and end together."""

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax._src import distributed
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from ssl_jax.errors import RunError, UsageError, differences, reason_of
from ssl_jax.train.log import log_line
from ssl_jax.train.mesh import replicated

HEARTBEAT = 25  # Seconds without a sign of life after which a process counts as dead.
PATIENCE = 240  # Seconds in which all processes have to be there.
ANSWER = 5  # Seconds in which a process that is there says so after another was lost.
STORE = "ssl_jax/there"
# What JAX's errors say when a process is gone, from Gloo (CPU), NCCL (GPU) and the coordination service.
LOST = ("gloo", "nccl", "connection", "coordination", "heartbeat", "unavailable", "deadline_exceeded", "aborted")


def connect(*, coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the processes of one run. On TPU pods, Slurm and Kubernetes JAX detects the three values.

    Args:
      coordinator: address and port of process 0, "host:port"; one of this machine alone is not reachable from others.
      processes: number of processes.
      process: index of this one.

    Raises:
      UsageError: some of the three are given, but not all.
    """
    given = [value is not None for value in (coordinator, processes, process)]
    if any(given) and not all(given):
        raise UsageError(
            "coordinator, processes and process go together: give all three, or none of them on a TPU pod."
        )
    if os.environ.get("JAX_PLATFORMS") == "cpu" or getattr(jax.config, "jax_platforms", None) == "cpu":
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    local = coordinator is not None and coordinator.rpartition(":")[0] in ("localhost", "127.0.0.1", "[::1]")
    with _waiting(f"process {process} of {processes}", coordinator) if coordinator else contextlib.nullcontext():
        jax.distributed.initialize(
            coordinator, processes, process, coordinator_bind_address=coordinator if local else None,
            heartbeat_timeout_seconds=HEARTBEAT, initialization_timeout=PATIENCE + 60,
        )  # fmt: skip


@contextlib.contextmanager
def _waiting(this: str, coordinator: str) -> Iterator[None]:
    """Says that this process waits, and ends it with a sentence where others do not come; JAX would abort it, with a trace."""

    def give_up() -> None:
        log_line(
            f"ssl-jax: {this} has waited {PATIENCE} s for the others at {coordinator}: start the same command on all hosts "
            "within this time, each with its own --process from 0, and check the address."
        )
        os._exit(1)

    log_line(f"{this}: waiting for the others at {coordinator}")
    timer = threading.Timer(PATIENCE, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def exchange(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The values of all processes, in their order, JSON objects; all processes have to call this."""
    if jax.process_count() == 1:
        return [dict(value)]
    text = np.frombuffer(json.dumps(value, sort_keys=True, default=str).encode(), np.uint8)
    with jax.transfer_guard("allow"):
        sizes = multihost_utils.process_allgather(np.array([len(text)], np.int32)).ravel()
        texts = multihost_utils.process_allgather(np.resize(text, sizes.max()))
    return [json.loads(bytes(np.asarray(row)[:size])) for row, size in zip(texts, sizes, strict=True)]


@contextlib.contextmanager
def together() -> Iterator[None]:
    """What fails here on one process fails on all, the others with a `RunError` that names it and its reason."""
    try:
        yield
    except Exception as fault:
        exchange({"fault": reason_of(fault)})
        raise
    for process, found in enumerate(exchange({})):
        if "fault" in found:
            raise RunError(f"process {process} cannot start: {found['fault']}.")


def check_same(request: Mapping[str, Any]) -> None:
    """A `UsageError` on all processes where the requests differ; it names the process and what differs."""
    first, *others = exchange(request)
    for process, other in enumerate(others, start=1):
        if differing := differences(other, first, in_first="there", in_second="in process 0"):
            raise UsageError(
                f"process {process} has another request: {'; '.join(differing)}: start the same command on all of them."
            )


@contextlib.contextmanager
def lost_processes() -> Iterator[None]:
    """Turns the error by which JAX says that another process is gone into a `RunError`."""
    try:
        yield
    except jax.errors.JaxRuntimeError as fault:
        if jax.process_count() == 1 or not any(word in str(fault).lower() for word in LOST):
            raise
        raise RunError(
            f"{_lost()} of the run is gone ({reason_of(fault)}): start the same command on all again, which resumes from the "
            "last checkpoint."
        ) from fault


def part() -> None:
    """Ends the connection: process 0 evaluates alone, and neither its end nor that of another process concerns the rest."""
    jax.distributed.shutdown()


def _lost() -> str:
    """The names of the processes that do not say in the coordinator's store that they are there."""
    here, everyone = jax.process_index(), range(jax.process_count())
    if len(everyone) == 2:
        return f"process {1 - here}"
    try:
        client: Any = distributed.global_state.client
        client.key_value_set(f"{STORE}/{here}", "", allow_overwrite=True)
        time.sleep(ANSWER)
        there = {int(key.rpartition("/")[2]) for key, _ in client.key_value_dir_get(STORE)}
    except Exception:  # Of any type: the store is gone with the coordinator, or JAX has another one.
        return "process 0, the coordinator," if here else "another process"
    return " and ".join(f"process {process}" for process in everyone if process not in there) or "another process"


def on_this_process(tree: Any, mesh: Mesh) -> Any:
    """A whole copy of a tree of global arrays on one device of this process; every process has to call it."""
    whole = jax.jit(lambda tree: tree, out_shardings=replicated(mesh))(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), whole)
