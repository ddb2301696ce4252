"""Ctrl-C in processes of the command's own, at moments at which Python or a library would lose it or show a traceback."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_jax.cli import main

GOLDEN = Path(__file__).parent / "golden/run"

# Of a command that needs no jax; what comes before it and what it does differ.
PROGRAM = """
import atexit, gc, importlib, os, signal, sys
from ssl_jax import cli
from ssl_jax.cli.words import COMMANDS

def interrupt(*_):
    signal.raise_signal(signal.SIGINT)

def command(words):
    {command}

COMMANDS["watch"] = COMMANDS["report"] = command
{before}
sys.argv = ["ssl-jax", {name!r}, "run"]
sys.exit(cli.main())
"""

LOST = {
    "in an import that takes it for a missing library": (
        "print('lost')",
        "def load(name):\n    try: interrupt()\n    except BaseException: pass\nimportlib.import_module = load",
        "report",
    ),
    "as an error of a library that forgets its cause": (
        "try:\n        interrupt()\n    except KeyboardInterrupt:\n        pass\n    raise ImportError('failed to import')",
        "",
        "watch",
    ),
    "in a callback of the garbage collector": (
        "gc.callbacks.append(interrupt); gc.collect(); print('lost')",
        "",
        "watch",
    ),
    "again, while the first is handled": ("try:\n        interrupt()\n    finally:\n        interrupt()", "", "watch"),
    "before what others do at Python's exit": ("interrupt()", "atexit.register(print, 'exit')", "watch"),
    "while Python starts once more": (
        "print('lost')",
        "from ssl_jax.cli.interrupts import held_back\n"
        "if 'AGAIN' not in os.environ:\n"
        "    os.environ['AGAIN'] = ''\n"
        "    with held_back():\n"
        "        interrupt()\n"
        "        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])",
        "watch",
    ),
}


def run(command, before, name):
    program = PROGRAM.format(command=command, before=before, name=name)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("moment", LOST)
def test_an_interrupt_ends_the_process_in_one_sentence(moment):
    done = run(*LOST[moment])
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "ssl-jax: stopped\n")


def test_an_interrupt_at_the_exit_of_python_leaves_the_exit_code():
    done = run("print('done')", "atexit.register(interrupt)", "watch")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_process_that_ignores_interrupts_goes_on():
    done = run("interrupt(); print('done')", "signal.signal(signal.SIGINT, signal.SIG_IGN)", "watch")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_an_interrupt_while_the_report_is_written_leaves_the_old_one_whole(tmp_path, monkeypatch, capsys):
    def half(path, text, **_):
        path.write_bytes(text[: len(text) // 2].encode())
        raise KeyboardInterrupt

    run = shutil.copytree(GOLDEN, tmp_path / "run")
    (run / "report.html").write_text("old")
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    monkeypatch.setattr(Path, "write_text", half)
    assert main(["report", str(run)]) == 130 and capsys.readouterr().err == "ssl-jax: stopped\n"
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
