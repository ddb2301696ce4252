"""Tests that run once more in float64, where rounding hides nothing: `pytest -p in_float64`, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Of each kind of discrete choice: negatives, neighbours, clusters, codes, and batch norm over groups that are shuffled.
METHODS = ("simclr", "nnclr", "deepcluster", "swav", "moco")


def in_float64(*arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    command = [sys.executable, "-m", "pytest", "-p", "in_float64", "--numprocesses", "0", "-q", *arguments]
    found = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout[-3000:]
    return found.stdout


def test_losses_and_operations_are_their_definitions_to_the_rounding_of_float64():
    """A coefficient that is wrong by 1e-7, which passes for rounding in float32, fails here."""
    assert "45 passed" in in_float64("tests/test_properties.py")


@pytest.mark.parametrize("method", METHODS)
def test_fifty_steps_of_one_device_are_those_of_eight(method):
    """In float32 they part after some steps: see docs/results.md."""
    assert "1 passed" in in_float64(f"tests/methods/test_contract.py::test_one_device_equals_eight[{method}]")
