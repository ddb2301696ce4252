"""The speller, shrunk: two steps, a few words."""

import json
import runpy
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from speller_setup import NETWORKS, SIZES, of_one_size, parameters, prepare, untouched

from ssl_jax.errors import UsageError
from ssl_jax.sequences.spelling import open_spelling

SCRIPT = str(Path(__file__).parents[2] / "experiments/attention/speller.py")


@pytest.mark.slow
def test_it_runs_what_is_missing_and_prints_a_table(tmp_path, monkeypatch, capsys):
    results = tmp_path / "results/speller.json"
    words = ["--network", "transformer", "--steps", 2, "--words", 150, "--dim", 16]
    command = ["speller.py", *words, "--run", tmp_path / "runs", "--results", results, "--pictures", tmp_path]
    monkeypatch.setattr(sys, "argv", list(map(str, command)))
    runpy.run_path(SCRIPT, run_name="__main__")
    first, out = json.loads(results.read_text()), capsys.readouterr().out
    kept = first["demo-spelling"]["transformer"]["0"]
    assert kept["train_words"] == kept["greedy"]["words"] == 150 and kept["steps"] == 2
    assert 0 < kept["greedy"]["word_error_rate"] <= 1 and kept["beam"]["symbol_error_rate"] > 0
    assert kept["test_nats"] > 0 and len(kept["written"]) == 8
    assert "Yolchuyeva" in out and "±" in out
    drawn = ElementTree.parse(tmp_path / "alignment_demo-spelling_transformer.svg")
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("end") >= 1 and set("abcdefghijklmnopqrstuvwxyz") & set(texts)

    runpy.run_path(SCRIPT, run_name="__main__")
    assert json.loads(results.read_text()) == first
    assert "±" in capsys.readouterr().out


@pytest.mark.slow
def test_networks_have_one_size_or_are_refused():
    nets = of_one_size(tuple(NETWORKS), SIZES["demo"], read=30, written=42)
    counts = [parameters(net) for net in nets.values()]
    assert len(counts) == 3 and max(counts) < 1.05 * min(counts)
    with pytest.raises(UsageError, match="no width is within 5 %: raise dim, 4"):
        of_one_size(("recurrent",), SIZES["demo"]._replace(dim=4), read=30, written=42)


@pytest.mark.slow
def test_the_tasks_read_and_write_what_they_should():
    dictionary = open_spelling(longest=8, train_words=40, test_words=200)
    spelling, denoising = (prepare(task, dictionary) for task in ("spelling", "denoising"))
    assert len(spelling.train) >= 40 == len(denoising.train)
    letters = dictionary.letters
    for word, row, references in zip(dictionary.test.words, spelling.read, spelling.references, strict=True):
        assert "".join(letters.decode(row)) == word and all(map(len, references))
    assert spelling.written is dictionary.sounds and denoising.written is letters
    for word, (right,), row in zip(dictionary.test.words, denoising.references, denoising.test[1], strict=True):
        assert "".join(right) == word == "".join(letters.decode(row))
    assert denoising.read.max() == len(letters) == denoising.sources - 1  # the number of what is masked
    assert 0 < untouched(denoising) < 0.5
