"""A method, its loss and its recipe from outside the package, through the commands."""

import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sharding import in_pieces

from ssl_jax.cli import main

FILE = Path(__file__).parents[2] / "examples" / "w_mse.py"
SMALL = "--data synthetic --image-size 16 --epochs 4 --batch-size 128 --devices 1".split()


@pytest.fixture(scope="module")
def w_mse():
    spec = importlib.util.spec_from_file_location("w_mse_alone", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_whitened_rows_have_mean_0_and_covariance_1_also_over_shards(w_mse):
    rows = jax.random.normal(jax.random.key(0), (32, 4)) @ jnp.arange(16.0).reshape(4, 4) * 0.1 + jax.random.normal(
        jax.random.key(1), (32, 4)
    )
    whole = np.asarray(w_mse.whiten(rows), np.float64)
    np.testing.assert_allclose(whole.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(whole.T @ whole / 32, np.eye(4), atol=1e-4)
    sharded = in_pieces(lambda rows: w_mse.whiten(rows, axis_name="data"), "shard_map", 4, cut=(0,), joined=0)
    np.testing.assert_allclose(sharded(rows), whole, atol=1e-4)


@pytest.mark.slow
def test_the_commands_train_evaluate_and_repeat_it(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["pretrain", f"{FILE}:demo", *SMALL, "--run", str(run)]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["method"] == "w_mse" and results["linear_probe"] > 0.3  # Chance is 0.1.
    request = json.loads((run / "run.json").read_text())
    assert (request["method"], request["recipe"], request["file"]) == ("w_mse", "demo", str(FILE))
    assert request["arguments"]["epochs"] == 4
    assert main(["evaluate", str(run)]) == 0
    assert json.loads(capsys.readouterr().out)["linear_probe"] == results["linear_probe"]
    assert main(["pretrain", "--from", str(run / "run.json"), "--run", str(run)]) == 0
    assert "resuming from step 16 of 16" in capsys.readouterr().err


def test_help_shows_its_options(capsys):
    assert main(["pretrain", f"{FILE}:demo", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Minutes on a laptop" in shown and "--image-size" in shown and "--microbatches" in shown
