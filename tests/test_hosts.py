"""A run on two hosts, which are two processes here, against the same run on one."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from ssl_jax.runs import read_metrics

WORDS = "pretrain simclr --data synthetic --image-size 16 --epochs 1 --batch-size 64 --log-every 1 --evaluate-every 4".split()


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def address(port, processes):
    return ["--coordinator", f"localhost:{port}", "--processes", str(processes), "--process"]


def start(run, devices, *words, program=None):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    called = ["-c", program] if program else ["-m", "ssl_jax.cli"]
    program = [sys.executable, *called, *WORDS, "--run", str(run), *words]
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(programs):
    """What each printed; none is left running, and no pipe open, however the test ends."""
    try:
        return [program.communicate(timeout=300) for program in programs]
    finally:
        for program in programs:
            with program:
                program.kill()


@pytest.mark.slow
def test_two_hosts_equal_one(tmp_path):
    port = free_port()
    two = [start(tmp_path / "two", 2, *address(port, 2), str(process)) for process in (0, 1)]
    said = end(two)
    assert [program.returncode for program in two] == [0, 0], said
    assert json.loads(said[0][0].splitlines()[-1])["steps"] == 8  # gloo itself prints to standard output, too.
    assert "{" not in said[1][0], "only the first process has the results"
    one = start(tmp_path / "one", 4)
    said = end([one])
    assert one.returncode == 0, said

    losses = [
        [record["loss"] for record in read_metrics(tmp_path / name) if "loss" in record] for name in ("one", "two")
    ]
    assert len(losses[0]) == 8
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


KILLED = """
import os, signal, sys
from ssl_jax.cli import main
from ssl_jax.data import Batches

following = Batches.__next__

def deadly(batches):
    if batches.state()["step"] == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return following(batches)

Batches.__next__ = deadly
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_one_of_three_hosts_is_killed_and_two_go_on(tmp_path):
    """Within 30 seconds the others say so, exit code 1; two processes resume, as if one process had done all."""
    words = ["--batch-size", "48"]
    three = [
        start(tmp_path / "run", 1, *words, *address(port, 3), str(process), program=KILLED if process == 1 else None)
        for port in [free_port()]
        for process in range(3)
    ]
    three[1].wait(timeout=300)
    began = time.monotonic()
    said = end(three)
    assert time.monotonic() - began < 30
    assert [program.returncode for program in three] == [1, -9, 1], said
    for _, err in (said[0], said[2]):
        assert "ssl-jax: process 1 of the run is gone" in err and "Traceback" not in err

    port = free_port()
    two = [start(tmp_path / "run", 1, *words, *address(port, 2), str(process)) for process in range(2)]
    said = end(two)
    assert [program.returncode for program in two] == [0, 0], said
    assert "resuming from step 4 of" in said[0][1]
    one = start(tmp_path / "one", 1, "--batch-size", "48")
    end([one])
    losses = [
        [record["loss"] for record in read_metrics(tmp_path / name) if "loss" in record] for name in ("run", "one")
    ]
    assert len(losses[0]) == 10
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.slow
def test_a_process_without_the_others_ends_with_a_sentence():
    script = """
from ssl_jax.train import hosts
hosts.PATIENCE = 2
hosts.connect(coordinator="localhost:1", processes=2, process=1)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    first, last = found.stderr.splitlines()
    assert found.returncode == 1 and first == "process 1 of 2: waiting for the others at localhost:1"
    assert last.startswith(
        "ssl-jax: process 1 of 2 has waited 2 s for the others at localhost:1: start the same command"
    )
