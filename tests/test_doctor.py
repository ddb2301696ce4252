"""`ssl-jax doctor`: a whole run, each way in which a run is damaged, and the installation."""

import contextlib
import io
import json
import os
import shutil

import jax
import pytest

from ssl_jax.cli import main
from ssl_jax.runs import open_run

SMALL = (
    "--data synthetic --image-size 16 --epochs 1 --batch-size 64 --log-every 2 --evaluate-every 4 --devices 1".split()
)


def doctor(capsys, *words):
    code = main(["doctor", *map(str, words)])
    said = capsys.readouterr()
    return (
        code,
        dict(line.split(None, 1) for line in said.out.replace("checkpoint ", "checkpoint-").splitlines()),
        said.err,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["pretrain", "rotation", *SMALL, "--run", str(run)]) == 0
    return run


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


@pytest.mark.slow
def test_a_whole_run(run, capsys):
    code, found, err = doctor(capsys, run)
    assert code == 0 and not err
    assert found["run.json"].startswith("rotation/demo, seed 0, started 20")
    assert "since then" not in found["run.json"]
    assert (
        found["metrics.jsonl"].startswith("4 records, the last of step 8")
        or "records, the last" in found["metrics.jsonl"]
    )
    assert found["results.json"] == found["report.html"] == "whole"
    assert found["features"].startswith("6 files of ")
    assert {found["checkpoint-4"], found["checkpoint-8"]} == {"whole", "whole, the best one"}


def change(path, content=b"{"):
    path.write_bytes(content)


def largest(folder):
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "run.json": (lambda run: change(run / "run.json"), "is not a run.json that ssl_jax wrote"),
    "metrics.jsonl": (
        lambda run: change(run / "metrics.jsonl", b'{"step": 1}\n{"st'),
        "1 records, the last of step 1; 1 lines",
    ),
    "results.json": (lambda run: change(run / "results.json", b'{"a": 1}'), "damaged: `ssl-jax evaluate"),
    "report.html": (lambda run: change(run / "report.html", b""), "damaged: `ssl-jax report"),
    "pictures.npz": (lambda run: change(run / "pictures.npz", b"PK"), "damaged: the command of the run, repeated,"),
    "features/0123456789abcdef0123456789abcdef.npz": (
        lambda run: change(run / "features/0123456789abcdef0123456789abcdef.npz", b"PK"),
        "damaged: commands that need it",
    ),
    "checkpoint-8": (lambda run: flip(largest(run / "checkpoints/8/state")), "damaged: "),
    "8/_CHECKPOINT_METADATA": (lambda run: change(run / "checkpoints/8/_CHECKPOINT_METADATA", b"[]"), "damaged: "),
}


def test_what_is_no_regular_file_is_not_read(run, capsys):
    for name in ("metrics.jsonl", "lock"):
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
    os.mkfifo(run / "checkpoints/8/pipe")
    code, found, _ = doctor(capsys, run)
    assert code == 1 and "cannot be read" in found["metrics.jsonl"] and "not a regular file" in found["checkpoints"]


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_part_is_named_and_nothing_is_changed(run, capsys, name):
    damage, sentence = DAMAGE[name]
    damage(run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    code, found, err = doctor(capsys, run)
    assert code == 1 and sentence in found[name]
    assert err.splitlines()[-1].endswith(f"need a look: {name.replace('checkpoint-', 'checkpoint ')}.")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_other_versions_what_is_left_behind_and_who_uses_it(run, capsys):
    record = json.loads((run / "run.json").read_text())
    record["versions"]["jax"] = "0.0.1"
    (run / "run.json").write_text(json.dumps(record))
    (run / "checkpoints/damaged-4-1").mkdir()
    request = {name: record[name] for name in ("method", "recipe", "arguments", "seed")}
    with open_run(run, request, resume=True):
        code, found, _ = doctor(capsys, run)
    assert code == 0 and f"since then: jax is '0.0.1' in its run.json and '{jax.__version__}' now" in found["run.json"]
    assert found["damaged-4-1"].startswith("left by a killed or damaged write")
    assert (
        found["in"] == f"use       by process {os.getpid()} on {os.uname().nodename}" or str(os.getpid()) in found["in"]
    )


def test_no_run(tmp_path, capsys):
    assert main(["doctor", str(tmp_path / "nothing")]) == 2
    assert f"run: there is no folder {tmp_path / 'nothing'}: name the folder of a run" in capsys.readouterr().err
    code, found, _ = doctor(capsys, tmp_path)
    assert code == 1 and "there is no" in found["run.json"] and found["checkpoints"] == "none yet"


def test_the_installation(capsys):
    code, found, _ = doctor(capsys)
    assert (
        found["jax"] == jax.__version__
        and found["devices"].startswith("8 x cpu")
        and {"ssl_jax", "python", "disk"} <= set(found)
    )
    assert code == 0 or "GiB free" in found["disk"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("seed", -5, "seed: got -5, expected 0 to"),
        ("seed", True, "is not a run.json"),
        ("microbatches", -3, "microbatches: got -3"),
    ],
)
def test_a_number_out_of_range_is_a_fault(run, capsys, name, value, sentence):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {name: value}))
    code, found, _ = doctor(capsys, run)
    assert code == 1 and sentence in found["run.json"]


def test_the_terminal_does_not_obey_a_run_json(run, capsys):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"started": "\x1b[31mred \ud800"}))
    code, found, _ = doctor(capsys, run)
    assert code == 0 and "\\x1b[31mred" in found["run.json"]
