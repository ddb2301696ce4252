"""The whole method as one program learns: its features beside those of the untrained networks."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "examples" / "byol.py"


@pytest.mark.slow
def test_it_learns():
    spec = importlib.util.spec_from_file_location("byol_alone", FILE)
    byol = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(byol)
    _, untrained = byol.train(steps=0)
    losses, trained = byol.train(steps=60, batch_size=64)
    assert len(losses) == 60 and sum(losses[-5:]) / 5 < 0.7 * losses[0] and 3 < losses[0] < 5
    assert trained > untrained + 0.01, (untrained, trained)
    print(untrained, trained)
