"""Sweeps: the grid of a command line, runs one after another by a program that stands for pretrain, scripts of schedulers."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_jax.cli import main
from ssl_jax.commands import sweeping
from ssl_jax.commands.grid import members
from ssl_jax.composition import Images, Laptop, Recipe, recipe
from ssl_jax.errors import UsageError
from ssl_jax.recipes import find

GOLDEN = Path(__file__).parent / "golden/run"
# Writes the run that it is asked for, or ends with the code in a file named after the seed.
PRETRAIN = """
import json, os, sys, time
words = sys.argv[1:]
value = {name: words[words.index(name) + 1] for name in ("--run", "--seed", "--temperature") if name in words}
open("calls", "a").write(value["--run"] + "\\n")
if os.path.exists("code" + value["--seed"]):
    sys.exit(int(open("code" + value["--seed"]).read()))
if os.path.exists("slow"):
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)
os.makedirs(value["--run"])
record, results = (json.load(open(os.path.join(GOLDEN, name))) for name in ("run.json", "results.json"))
record |= {"seed": int(value["--seed"])}
record["arguments"]["temperature"] = float(value["--temperature"])
json.dump(record, open(value["--run"] + "/run.json", "w"))
json.dump(results, open(value["--run"] + "/results.json", "w"))
print("a line of JSON that is not the sweep's")
"""
WORDS = ["sweep", "simclr", "--temperature", "0.1", "0.2", "--seed", "0", "1", "--run", "s"]
NAMES = [f"temperature={temperature},seed={seed}" for temperature in (0.1, 0.2) for seed in (0, 1)]


def grid(*words, make=None):
    return members(make or find("simclr", "demo"), words, prog="ssl-jax sweep simclr")


def refused(*words, make=None) -> str:
    with pytest.raises(UsageError) as raised:
        grid(*words, make=make)
    return str(raised.value)


def test_the_runs_are_all_combinations_with_readable_names():
    found = grid("--seed", "0", "1", "--temperature", "0.10", "0.2", "--epochs", "2", "--strict")
    assert [member.name for member in found] == NAMES
    assert found[1].words == ["--temperature", "0.10", "--epochs", "2", "--strict", "--seed", "1"]
    assert found[1].values["temperature"] == 0.1 and found[1].values["strict"] is True and found[1].values["seed"] == 1


def test_a_seed_is_in_every_name_so_that_seeds_can_be_added_later():
    assert [member.name for member in grid("--temperature", "0.1", "0.2")] == [NAMES[0], NAMES[2]]


def test_flags_take_words_and_one_value_stays_as_it_is():
    assert [member.words[0] for member in grid("--strict", "true", "false")] == ["--strict", "--no-strict"]
    assert grid("--seed", "3", "4", "--data=digits")[0].words == ["--data", "digits", "--seed", "3"]


@recipe
def with_tuple(
    images: Images = Images("synthetic", 8, "small"),  # noqa: B008
    training: Laptop = Laptop(epochs=2, batch_size=64),
    *,
    widths: tuple[int, ...] = (4,),
) -> Recipe:
    """A recipe of one's own with an option of several numbers."""
    raise NotImplementedError


def test_a_tuple_is_one_word_with_commas():
    found = grid("--widths", "64,128", "256", make=with_tuple)
    assert [member.values["widths"] for member in found] == [[64, 128], [256]]
    assert [member.name for member in found] == ["widths=64-128,seed=0", "widths=256,seed=0"]
    assert found[0].words == ["--widths", "64", "128", "--seed", "0"]


def test_names_of_values_with_odd_characters_are_of_one_folder_and_differ():
    first, second = (member.name for member in grid("--data", "a/b", "a:b"))
    assert first != second and re.fullmatch(r"data=a-b-[0-9a-f]{8},seed=0", first)
    assert all(len(member.name) <= 200 for member in grid("--data", 300 * "x", 300 * "y"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--seed", "0"], "no option has several values: give one, such as --seed 0 1 2"),
        (["--seed", "0", "0"], "two of the values give the run seed=0: give each value once"),
        (["--seed", "0", "--seed", "1"], "--seed: it is given twice: write all its values after one --seed"),
        (["0", "--seed", "0", "1"], "0: expected an option such as --temperature before its values"),
        (["--devices", "1", "2"], "devices: got several values, expected one"),
        (["--seed", "0", "1", "--distributed"], "distributed: the runs of a sweep have one process each"),
        (["--strict", "yes", "no"], "--strict: got 'yes', expected true or false"),
        (["--temprature", "1", "2"], "did you mean --temperature?"),
        (["--temperature", "0.1", "1e9"], "temperature: got 1000000000.0, expected 0.001 to 1000"),
        (["--seed", "0,1", "2"], "--seed"),
        (
            ["--image-size", "64x48", "--seed", "0", "1"],
            "expected INT or INT INT: write --image-size 64,48 (all options",
        ),
    ],
)
def test_mistakes_are_a_sentence_before_any_run(words, sentence):
    assert sentence in refused(*words)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Sweeps in this folder train by `PRETRAIN`."""
    (tmp_path / "pretrain.py").write_text(f"GOLDEN = {str(GOLDEN)!r}\n{PRETRAIN}")
    monkeypatch.setattr(sweeping, "PROGRAM", (sys.executable, str(tmp_path / "pretrain.py")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def calls(folder) -> list[str]:
    made = folder / "calls"
    names = [Path(line).name for line in made.read_text().splitlines()] if made.exists() else []
    made.unlink(missing_ok=True)
    return names


def test_a_sweep_trains_what_is_left_after_a_failure_and_ends_in_a_comparison(stand_in, capsys):
    (stand_in / "code1").write_text("1")
    assert main(WORDS) == 1 and calls(stand_in) == NAMES
    said = capsys.readouterr()
    line = json.loads(said.out)
    assert line["failed"] == {NAMES[1]: 1, NAMES[3]: 1} and line["page"] == "s/comparison.html"
    assert [row["options"] for row in line["tables"][0]["rows"]] == [{"temperature": 0.1}, {"temperature": 0.2}]
    assert "2 of 4 runs failed: temperature=0.1,seed=1 (exit code 1)" in said.err.splitlines()[-1]
    (stand_in / "code1").unlink()
    assert main(WORDS) == 0 and calls(stand_in) == [NAMES[1], NAMES[3]]
    assert json.loads(capsys.readouterr().out)["tables"][0]["rows"][0]["seeds"] == [0, 1]
    assert main([*WORDS[:3], "0.2", "--seed", "1", "2", *WORDS[-2:]]) == 0 and calls(stand_in) == ["seed=2"]
    assert set(json.loads((stand_in / "s/sweep.json").read_text())["runs"]) == {*NAMES, "seed=2"}


def test_a_stopped_run_is_no_failure_and_the_command_goes_on(stand_in, capsys):
    (stand_in / "code0").write_text("75")
    assert main(WORDS) == 75
    assert json.loads(capsys.readouterr().out)["unfinished"] == [NAMES[0], NAMES[2]]
    assert calls(stand_in) == NAMES


def test_a_signal_stops_the_run_that_trains_and_starts_no_other(stand_in, capsys):
    (stand_in / "slow").touch()
    before = signal.getsignal(signal.SIGTERM)
    assert main(WORDS) == 75 and calls(stand_in) == NAMES[:1]
    assert json.loads(capsys.readouterr().out)["unfinished"] == NAMES and signal.getsignal(signal.SIGTERM) is before
    assert not (stand_in / "s/comparison.html").exists()  # No run has begun.


def test_runs_of_other_options_and_other_folders_are_left_alone(stand_in, capsys):
    assert main(WORDS) == 0
    kept = (stand_in / "s/sweep.json").read_text()
    assert main([*WORDS, "--epochs", "3"]) == 2
    said = capsys.readouterr().err
    assert "holds another sweep, whose temperature=0.1,seed=0 differs (epochs is " in said
    assert (stand_in / "s/sweep.json").read_text() == kept
    (stand_in / "other").mkdir()
    (stand_in / "other/file").touch()
    assert main([*WORDS[:-1], "other"]) == 2 and "is not the folder of a sweep" in capsys.readouterr().err


def test_a_run_that_another_process_trains_is_left_to_it(stand_in, capsys, monkeypatch):
    monkeypatch.setattr(sweeping, "holder", lambda run: "process 7 on b" if run.name == NAMES[0] else None)
    assert main(WORDS) == 75 and calls(stand_in) == NAMES[1:]
    assert f"{NAMES[0]}: is trained by process 7 on b" in capsys.readouterr().err


def script(kind, capsys) -> str:
    assert main([*WORDS, "--print", kind]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("code", "again"), [(0, False), (1, False), (75, True)])
def test_a_task_of_slurm_trains_one_run_and_only_a_stopped_one_is_put_back(tmp_path, monkeypatch, capsys, code, again):
    monkeypatch.chdir(tmp_path)
    text = script("slurm", capsys)
    assert "#SBATCH --array=0-3\n" in text and not list(tmp_path.iterdir())
    for name, ends in (("srun", code), ("scontrol", 0)):
        (tmp_path / name).write_text(f'#!/bin/bash\necho {name} "$@" >> calls\nexit {ends}\n')
        (tmp_path / name).chmod(0o755)
    task = {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "15", "SLURM_ARRAY_TASK_ID": "2"}
    environment = os.environ | task | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["bash", "-c", text], env=environment).returncode == code
    made = (tmp_path / "calls").read_text().splitlines()
    expected = f"srun ssl-jax pretrain simclr --recipe demo --temperature 0.2 --seed 0 --run s/{NAMES[2]}"
    assert made == [expected, *(["scontrol requeue 15_2"] if again else [])]


def test_an_index_of_kubernetes_trains_one_run(tmp_path, monkeypatch, capsys):
    yaml = pytest.importorskip("yaml")
    monkeypatch.chdir(tmp_path)
    job = yaml.safe_load(script("kubernetes", capsys))
    assert job["spec"]["completions"] == 4 and job["spec"]["completionMode"] == "Indexed"
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", job["metadata"]["name"])
    rules = {
        rule["action"]: rule["onExitCodes"]
        for rule in job["spec"]["podFailurePolicy"]["rules"]
        if "onExitCodes" in rule
    }
    assert rules["Ignore"]["values"] == [75] and rules["FailIndex"]["values"] == [2]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (tmp_path / "ssl-jax").write_text('#!/bin/bash\necho "$@"\n')
    (tmp_path / "ssl-jax").chmod(0o755)
    environment = os.environ | {"JOB_COMPLETION_INDEX": "1", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(container["command"], env=environment, capture_output=True, text=True)
    assert shlex.split(ran.stdout)[-4:] == ["--seed", "1", "--run", f"s/{NAMES[1]}"]


def test_help_and_an_unknown_scheduler(capsys):
    assert main(["sweep", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "a tuple" in shown.lower() and max(map(len, shown.splitlines())) <= 80
    assert main([*WORDS, "--print", "slrm"]) == 2 and "did you mean 'slurm'?" in capsys.readouterr().err
    assert main(["sweep", "--seed", "0", "1"]) == 2 and "method: none was given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--recipe", "demo", "cifar"], "recipe: got a second value, 'cifar', and a sweep has one"),
        (["--run", "my", "sweep"], "run: got a second value, 'sweep', and a sweep has one: leave it out; a name with"),
        (["--run=a", "2"], "run: got a second value, '2'"),
        (["--run", "a", "--run", "b"], "run: it is given 2 times: give --run once"),
        (["--print", "slurm", "kubernetes"], "print: got a second value, 'kubernetes'"),
    ],
)
def test_what_a_sweep_has_one_of_is_given_once(words, sentence, capsys):
    assert main(["sweep", "simclr", "--seed", "0", "1", *words]) == 2
    assert sentence in capsys.readouterr().err
