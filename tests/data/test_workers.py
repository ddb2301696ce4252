"""Worker processes: none outlives the main process, no shared memory is left, and one that dies is said in a sentence."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SHARED = Path("/dev/shm")
PROGRAM = """
from ssl_jax.data import Batches, Synthetic

if __name__ == "__main__":
    with Batches(Synthetic(size=256, side=64, seed=0), 64, seed=0, workers=2, load_into_memory=False) as batches:
        for number in range(100_000):
            next(batches)
            if number == 4:
                print("reading", flush=True)
"""


def children(process):
    """Of a process: its workers and Python's tracker of shared memory."""
    threads = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def workers(process):
    return [child for child in children(process) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def shared_memory(processes):
    """The segments that these processes have mapped: others may be those of other tests."""
    lines = [line for process in processes for line in Path(f"/proc/{process}/maps").read_text().splitlines()]
    return {Path(line.split(None, 5)[5]) for line in lines if f"{SHARED}/" in line and "(deleted)" not in line}


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


@pytest.fixture
def reading(tmp_path):
    """A process that reads with two workers."""
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(tmp_path / "program.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stdout.readline() == "reading\n", process.stderr.read()
        yield process
        process.kill()


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir() or not Path("/proc").is_dir(), reason="needs Linux")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_process_that_is_killed(reading, number):
    started = children(reading.pid)
    assert len(workers(reading.pid)) == 2
    segments = shared_memory([reading.pid, *started])
    assert segments
    reading.send_signal(number)
    reading.wait()
    assert wait_until(lambda: not any(map(is_running, started)))
    assert wait_until(lambda: not any(segment.exists() for segment in segments))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux")
def test_a_worker_that_dies_ends_the_run_in_a_sentence(reading):
    os.kill(workers(reading.pid)[0], signal.SIGKILL)
    said = reading.communicate(timeout=60)[1]
    assert reading.returncode == 1
    assert "RunError: workers: one of the processes that decode has ended (Worker process was terminated" in said
    assert "with fewer --workers if memory was short, or with --workers 0 to decode in threads." in said
