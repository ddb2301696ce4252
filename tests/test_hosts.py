"""A run on two hosts, which are two processes here, against the same run on one."""

import json
import os
import socket
import subprocess
import sys

import numpy as np

from ssl_jax.runs import read_metrics

WORDS = "pretrain simclr --data synthetic --image-size 16 --epochs 1 --batch-size 64 --log-every 1 --evaluate-every 4".split()


def start(run, devices, *words):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    program = [sys.executable, "-m", "ssl_jax.cli", *WORDS, "--run", str(run), *words]
    return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(programs):
    """What each printed; none is left running, and no pipe open, however the test ends."""
    try:
        return [program.communicate(timeout=300) for program in programs]
    finally:
        for program in programs:
            with program:
                program.kill()


def test_two_hosts_equal_one(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    address = ["--coordinator", f"localhost:{port}", "--processes", "2", "--process"]
    two = [start(tmp_path / "two", 2, *address, str(process)) for process in (0, 1)]
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
