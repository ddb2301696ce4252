"""Runs that earlier versions wrote, committed as they were: they stay readable. See tests/golden/make_run.py."""

import json
import shutil
from pathlib import Path

import pytest

from ssl_jax.cli import main

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=sorted(path.name for path in GOLDEN.glob("run*") if path.is_dir()))
def older(request, tmp_path):
    """A copy of such a run, whose recipe is found."""
    run = Path(shutil.copytree(GOLDEN / request.param, tmp_path / "run"))
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"file": str(GOLDEN / record["file"])}))
    return run


@pytest.mark.slow
def test_its_features_are_evaluated_as_then(older, capsys):
    before = json.loads((older / "results.json").read_text())["features"]["pretrained"]["knn"]["accuracy"]
    assert main(["evaluate", str(older), "--protocols", "knn"]) == 0
    assert json.loads(capsys.readouterr().out)["knn"] == pytest.approx(before, abs=0.01)


@pytest.mark.slow
def test_it_is_whole_and_training_goes_on_from_its_last_step(older, capsys):
    assert main(["doctor", str(older)]) == 0
    assert "checkpoint 16  whole" in capsys.readouterr().out
    recipe = json.loads((older / "run.json").read_text())["file"] + ":small"
    assert main(["pretrain", recipe, "--run", str(older)]) == 0
    said = capsys.readouterr()
    assert "resuming from step 16 of 16" in said.err and json.loads(said.out)["steps"] == 16
