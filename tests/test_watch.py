"""Watching a run: its state in a line, and the end of the watch; without jax."""

import io
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from ssl_jax.cli import main, watching
from ssl_jax.cli.watching import duration, line, seconds_left

REQUEST = {"method": "simclr", "steps": 1000, "arguments": {"batch_size": 256}}
RECORDS = [
    {"step": 50, "loss": 5.0, "std": 0.8, "images_per_second": 1000.0},
    {"step": 50, "knn": 0.9},
    {"step": 100, "loss": 4.0, "std": None, "images_per_second": 500.0},
]
RESULTS = {"steps": 1000, "features": {"pretrained": {"knn": {"accuracy": 0.969}, "linear": {"accuracy": 0.974}}}}


@pytest.fixture
def run(tmp_path):
    """A run that was stopped an hour ago."""
    (tmp_path / "run.json").write_text(json.dumps(REQUEST))
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    for path in tmp_path.iterdir():
        os.utime(path, (0, time.time() - 3600))
    return tmp_path


def test_the_line_has_the_last_values_and_the_time_that_is_left():
    assert seconds_left(RECORDS, REQUEST) == 900 * 256 / 750
    assert line(RECORDS, REQUEST) == "step 100/1,000  5 min left  500 img/s  loss 4.000  k-NN 90.0%"
    assert line([{"step": 1000}], REQUEST) == "step 1,000/1,000"
    assert line(RECORDS[:1], {}) == "step 50  1000 img/s  loss 5.000  std 0.80"  # As of an older version.


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(35, "35 s"), (300, "5 min"), (6300, "1 h 45 min"), (86000, "23 h 53 min"), (270_000, "3 d 3 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_stopped_run_ends_the_watch_with_where_it_is(run, capsys):
    assert main(["watch", str(run)]) == 0
    shown, ended = capsys.readouterr().out.splitlines()
    assert shown.startswith("step 100/1,000") and ended.startswith(f"{run} has stopped after step 100 of 1,000: ")


def test_a_terminal_that_lacks_the_letters_of_a_name_shows_escapes(run, monkeypatch):
    odd = run.rename(run.parent / "caf\xe9")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["watch", str(odd)]) == 0
    assert rb"caf\xe9 has stopped after step 100" in terminal.buffer.getvalue()


def test_a_run_that_stopped_before_its_first_record_is_not_said_to_compile(run, capsys):
    (run / "metrics.jsonl").unlink()
    odd = run.rename(run.parent / "odd\x1b[31m\nname")
    assert main(["watch", str(odd)]) == 0
    (ended,) = capsys.readouterr().out.splitlines()
    assert "has stopped before its first record: " in ended and "\x1b" not in ended


def test_a_run_is_followed_until_it_has_finished(run, capsys, monkeypatch):
    holders = iter(["process 1 on a"] * 3)
    monkeypatch.setattr(watching, "holder", lambda run: next(holders, None))

    def work(seconds):
        with open(run / "metrics.jsonl", "a") as file:
            if "alarm" not in (run / "metrics.jsonl").read_text():
                print(json.dumps({"step": 150, "loss": 3.0, "alarm": "a collapse \x1b[31m"}), file=file)
            else:
                (run / "results.json").write_text(json.dumps(RESULTS))

    monkeypatch.setattr(watching.time, "sleep", work)
    watching.watch(run)
    first, record, alarm, ended = capsys.readouterr().out.splitlines()
    assert first.startswith("step 100/") and record.startswith("step 150/") and alarm == "a collapse \\x1b[31m"
    assert ended == f"{run} has finished, k-NN 96.9%, linear 97.4%"


def test_a_run_that_nobody_holds_but_that_writes_is_training(run, capsys):
    """As on a file system without locks."""
    os.utime(run / "metrics.jsonl")
    watch = threading.Thread(target=watching.watch, args=(run,), kwargs={"every": 0.05})
    watch.start()
    watch.join(0.3)
    assert watch.is_alive()
    os.utime(run / "metrics.jsonl", (0, 0))
    watch.join(20)
    assert not watch.is_alive() and "has stopped" in capsys.readouterr().out


def test_a_terminal_has_one_line_of_its_width(run, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    screen = watching.Screen()
    screen.show(60 * "x")
    screen.keep("an alarm")
    screen.close("the end")
    written = capsys.readouterr().out
    assert written == f"\r\x1b[K{39 * 'x'}\r\x1b[Kan alarm\n\r\x1b[K{39 * 'x'}\nthe end\n"


def test_mistakes_are_a_sentence(run, capsys):
    assert main(["watch", str(run / "other")]) == 2 and f"did you mean {run}?" in capsys.readouterr().err
    assert (
        main(["watch", str(run), "--every", "0"]) == 2 and "every: got 0.0, expected 0.05 to" in capsys.readouterr().err
    )


def test_it_does_not_import_jax():
    program = (
        "import sys, ssl_jax.cli.watching, ssl_jax.cli.signatures, ssl_jax.options; sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
