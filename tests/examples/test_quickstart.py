"""The quick-start notebook runs from top to bottom, as plain code: its cells have no magics. It is kept without outputs."""

import json
from pathlib import Path

import jax
import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples/quickstart.ipynb"
CODE = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def test_it_has_no_outputs():
    assert CODE and not any(cell["outputs"] or cell["execution_count"] for cell in CODE)


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # Where the run is written.
    names: dict = {}
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):  # As a reader has it.
        for cell in CODE:
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    features = names["results"]["features"]
    few_labels = {source: protocols["few_labels"]["accuracy"] for source, protocols in features.items()}
    assert few_labels["pretrained"] > few_labels["untrained"] + 0.02
    assert (tmp_path / "runs/quickstart/report.html").is_file()
    assert "the nearest image is of the same class: 9" in capsys.readouterr().out
