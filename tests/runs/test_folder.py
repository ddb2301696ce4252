"""The files of a run: read as they are after a kill, written whole; and no other module names them."""

import ast
import json
import os
from pathlib import Path

import pytest

import ssl_jax
from ssl_jax.errors import UsageError
from ssl_jax.runs import (
    add_results,
    folder,
    read_metrics,
    read_record,
    read_request,
    read_results,
    truncate_metrics,
    write_results,
)

PACKAGE = Path(ssl_jax.__file__).parent
NAMES = (
    folder.REQUEST,
    folder.METRICS,
    folder.RESULTS,
    folder.PICTURES,
    folder.REPORT,
    folder.CHECKPOINTS,
    folder.LOCK,
)


def named_in(source: str) -> set[str]:
    """The files of a run that the strings of a program are, or end in."""
    strings = {
        node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and type(node.value) is str
    }
    return {name for name in NAMES if strings & {name, f"/{name}", f"*/{name}"}}


def test_only_one_module_names_the_files_of_a_run():
    paths = [*PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("experiments/**/*.py")]
    naming = {path.relative_to(PACKAGE.parent).as_posix(): named_in(path.read_text()) for path in paths}
    assert {path for path, names in naming.items() if names} == {"ssl_jax/runs/folder.py"}


def test_naming_a_file_is_found():
    assert named_in('path = run / "results.json"') == {"results.json"}


def test_records_are_read_in_order_without_the_damaged_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(tmp_path) == []
    good = [{"step": 2, "loss": 1.0}, {"step": 4, "loss": None}, {"step": 4, "knn": 0.5}]
    lines = [b'{"step": 4, "loss": NaN}', b'{"step": 2, "loss": 1.0}', b'{"step": 4, "knn": 0.5}']
    damage = [b'{"step": 3, "lo', b"", b"\x00\xff", b"7", b"[]", b"null", b'{"loss": 1}', b'{"step": "5"}', b"[" * 5000]
    path.write_bytes(b"\n".join([lines[0], *damage, *lines[1:], b'{"step": 6, "l']))
    assert read_metrics(tmp_path) == good


def test_records_after_a_step_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2, "loss": NaN}\n{"step": 6}\n{"st\n{"step": 4}\n')
    before = path.read_bytes()
    assert truncate_metrics(tmp_path, 4) == 1
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"step": 2, "loss": None}, {"step": 4}]
    assert (tmp_path / "metrics.damaged.jsonl").read_bytes() == before


def test_a_last_line_that_a_kill_left_is_no_damage(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 2}\n{"st')
    assert truncate_metrics(tmp_path, 4) == 0 and [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_results_are_read_as_they_were_written(tmp_path):
    results = {"steps": 1, "features": {"pretrained": {"knn": {"accuracy": 0.5, "interval": [0.4, 0.6]}}, "pixels": {}}}
    write_results(tmp_path, results)
    assert read_results(tmp_path) == results and [path.name for path in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("value", [None, 1, "text", [], {"knn": 1}, {"knn": []}, {"knn": None}])
def test_parts_of_results_that_are_no_dicts_are_left_out(tmp_path, value):
    for features in (value, {"pretrained": value}):
        write_results(tmp_path, {"steps": 1, "features": features})
        found = read_results(tmp_path)
        assert found["steps"] == 1 and found["features"] in ({}, {"pretrained": {}})


@pytest.mark.parametrize("content", [None, b"", b"[]", b"3", b"{", b"\xff", b"[" * 5000])
def test_damaged_files_are_none(tmp_path, content):
    for name, read in {"results.json": read_results, "run.json": read_record}.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert read(tmp_path) is None


def test_results_are_added_to_those_that_are_there(tmp_path):
    add_results(tmp_path, {"steps": 8, "features": {"pretrained": {"knn": {"accuracy": 0.5, "interval": [0.4, 0.6]}}}})
    add_results(tmp_path, {"features": {"pretrained": {"knn": {"accuracy": 0.75}, "linear": {"accuracy": 0.25}}}})
    add_results(tmp_path, {"layers": {"layer1": {"pretrained": {"knn": {"accuracy": 1.0}}}}})
    assert read_results(tmp_path) == {
        "steps": 8,
        "features": {"pretrained": {"knn": {"accuracy": 0.75, "interval": [0.4, 0.6]}, "linear": {"accuracy": 0.25}}},
        "layers": {"layer1": {"pretrained": {"knn": {"accuracy": 1.0}}}},
    }


@pytest.mark.parametrize("layers", [3, {"layer1": 3}, {"layer1": {"pretrained": [1]}}])
def test_damaged_layers_are_dropped(tmp_path, layers):
    write_results(tmp_path, {"layers": layers})
    found = read_results(tmp_path)["layers"]
    assert found == ({} if layers == 3 else {"layer1": {}} if layers["layer1"] != 3 else {})


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def endless(path):
    with open(path, "wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize("make", [pipe, device, endless])
def test_what_never_ends_is_damage(tmp_path, make):
    for name in ("run.json", "results.json", "metrics.jsonl"):
        make(tmp_path / name)
    assert read_results(tmp_path) is None and read_record(tmp_path) is None
    with pytest.raises(UsageError, match=r"run.json cannot be read \((not a regular file|\d+ bytes, more than \d+)\)"):
        read_request(tmp_path)
    for act in (read_metrics, lambda run: truncate_metrics(run, 4)):  # Not taken for an empty one, and written over.
        with pytest.raises(
            UsageError, match=r"metrics.jsonl cannot be read \(.*\): move it away, or make it readable\.$"
        ):
            act(tmp_path)


def test_a_line_without_end_is_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "LONGEST_RECORD", 20)
    (tmp_path / "metrics.jsonl").write_text('{"step": 2}\n{"step": 4, "loss": 1.00000000000000}\n{"step": 6}\n')
    assert read_metrics(tmp_path) == [{"step": 2}, {"step": 6}]
