"""The experiment scripts, shrunk and run: they cannot rot."""

import json
import runpy
import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def script(name, *words, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    return runpy.run_path(str(EXPERIMENTS / name), run_name="__main__")


def test_simclr_imagenet(tmp_path, monkeypatch, capsys):
    words = "--data synthetic --image-size 16 --stored-size 16 --encoder small --epochs 0.25 --batch-size 64".split()
    script("simclr_imagenet.py", *words, "--run", tmp_path / "run", monkeypatch=monkeypatch)
    assert '"method": "simclr", "recipe": "imagenet"' in capsys.readouterr().out


def test_all_methods_runs_what_is_missing(tmp_path, monkeypatch, capsys):
    results = tmp_path / "results.json"
    words = ["--methods", "simclr", "--epochs", 0.25, "--data", "synthetic", "--run", tmp_path, "--results", results]
    script("all_methods.py", *words, "--seeds", 0, monkeypatch=monkeypatch)
    first = json.loads(results.read_text())
    assert list(first["simclr"]) == ["0"] and "few_labels" in capsys.readouterr().out
    script("all_methods.py", *words, "--seeds", 0, monkeypatch=monkeypatch)
    assert json.loads(results.read_text()) == first
