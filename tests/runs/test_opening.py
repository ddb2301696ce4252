"""The folder of a run: who may use it, the lock, damaged requests, and the recorded commit."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ssl_jax
from ssl_jax.cli import main
from ssl_jax.composition.recipe import absolute
from ssl_jax.errors import RunError, UsageError
from ssl_jax.runs import open_run, read_request
from ssl_jax.runs.circumstances import changes, commit

REQUEST = {"method": "simclr", "recipe": "demo", "arguments": {"epochs": 2.0, "data": "digits"}, "seed": 0}
OTHER = REQUEST | {"arguments": {"epochs": 3.0, "data": "digits"}}


def open_once(run, request=REQUEST, *, resume=True, update=dict):
    with open_run(run, request, resume=resume, update=update):
        pass


def test_a_folder_is_made_with_its_request_and_opened_again(tmp_path):
    run = tmp_path / "a/run"
    open_once(run)
    assert read_request(run) == REQUEST
    written = (run / "run.json").read_bytes()
    (run / "checkpoints/8").mkdir(parents=True)
    open_once(run)
    assert (run / "run.json").read_bytes() == written


@pytest.mark.parametrize("kept", ["checkpoints/8", "checkpoints/damaged-8-1", "results.json"])
def test_what_was_trained_is_never_replaced(tmp_path, kept):
    open_once(tmp_path / "run")
    (tmp_path / "run" / kept).mkdir(parents=True)
    with pytest.raises(
        UsageError, match=r"holds another run \(epochs is 2.0 in its run.json and 3.0 in this command\)"
    ):
        open_once(tmp_path / "run", OTHER)
    with pytest.raises(UsageError, match="--no-resume was given"):
        open_once(tmp_path / "run", resume=False)
    assert read_request(tmp_path / "run") == REQUEST


def test_examples_that_changed_are_refused_with_what_changed(tmp_path):
    before, after = ({"examples": {"train_examples": 6, "train_checksum": name}} for name in "ab")
    open_once(tmp_path, REQUEST | before)
    (tmp_path / "checkpoints/8").mkdir(parents=True)
    open_once(tmp_path, REQUEST | before)
    open_once(tmp_path, REQUEST)  # Not known.
    sentence = (
        r"the examples of .* have changed \(train_checksum is 'a' in its run.json and 'b' now\): restore them, or"
    )
    with pytest.raises(UsageError, match=sentence):
        open_once(tmp_path, REQUEST | after)


def test_microbatches_are_a_part_of_the_request_and_one_where_it_has_none(tmp_path):
    open_once(tmp_path)
    (tmp_path / "checkpoints/8").mkdir(parents=True)
    open_once(tmp_path, REQUEST | {"microbatches": 1})
    with pytest.raises(UsageError, match=r"microbatches is 1 in its run.json and 2 in this command"):
        open_once(tmp_path, REQUEST | {"microbatches": 2})


def test_steps_that_may_be_skipped_are_recorded_and_more_of_them_resume_a_run(tmp_path):
    open_once(tmp_path, REQUEST | {"skip_nonfinite": 1})
    assert read_request(tmp_path)["skip_nonfinite"] == 1
    (tmp_path / "checkpoints/8").mkdir(parents=True)
    open_once(tmp_path, REQUEST | {"skip_nonfinite": 2})
    open_once(tmp_path, REQUEST)


def test_a_run_of_a_later_layout_is_refused_with_the_version_that_reads_it(tmp_path):
    open_once(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(record | {"layout": 2, "versions": {"ssl_jax": "9.0"}}))
    with pytest.raises(UsageError, match=r"has layout 2, and this version of ssl_jax reads up to 1: use .*, 9\.0\.$"):
        read_request(tmp_path)


def test_changes_of_versions_and_devices_are_named(tmp_path):
    open_once(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert not changes(record)
    record["versions"]["jax"], record["devices"] = "0.0.1", 512
    devices, jax_version = changes(record)
    assert devices.startswith("devices is 512 in its run.json and ") and jax_version.startswith("jax is '0.0.1' in its")
    assert len(changes({"versions": "damaged"})) > 4  # As of a run of unknown versions.


@pytest.mark.parametrize("name", [b"r\xe9", b"r\n", b"r\x1b[2J"])
def test_a_folder_that_orbax_could_not_write_or_a_line_not_show_is_refused_at_the_start(tmp_path, name):
    run = tmp_path / os.fsdecode(name) / "run"
    with pytest.raises(UsageError, match=r"r\\x.*/run has control characters, or bytes that are not UTF-8"):
        open_once(run)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("resume", [True, False])
def test_a_start_that_failed_before_its_first_checkpoint_leaves_the_folder_free(tmp_path, resume):
    open_once(tmp_path)
    (tmp_path / "checkpoints/8.orbax-checkpoint-tmp-1").mkdir(parents=True)
    open_once(tmp_path, OTHER, resume=resume)
    assert read_request(tmp_path) == OTHER


def test_what_a_kill_left_behind_is_cleared_at_the_next_start(tmp_path):
    open_once(tmp_path)
    (tmp_path / "checkpoints/8").mkdir(parents=True)
    (tmp_path / "checkpoints/9.orbax-checkpoint-tmp-1/state").mkdir(parents=True)
    for name in (".results.draft.json", ".pictures.draft.npz", ".mine"):
        (tmp_path / name).write_text("")
    open_once(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "lock", "checkpoints", ".mine"}
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["8"]


def test_two_runs_in_one_folder(tmp_path):
    with open_run(tmp_path, REQUEST, resume=True):
        with pytest.raises(
            RunError, match=rf"run: {tmp_path} is in use by process {os.getpid()} on .*: wait until it ends"
        ):
            open_once(tmp_path)
    open_once(tmp_path)


def test_the_lock_of_a_killed_process_does_not_block(tmp_path):
    program = f"""if True:
        from pathlib import Path
        from ssl_jax.runs import open_run
        with open_run(Path({str(tmp_path)!r}), {REQUEST!r}, resume=True):
            print("open", flush=True)
            input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(RunError, match=f"is in use by process {other.pid} on "):
            open_once(tmp_path)
        other.kill()
    open_once(tmp_path)


OF_ANOTHER_SHAPE = ["", "[]", "null", "3", '"text"', "{}", "{", "\0", "[" * 5000, '{"method": "simclr"}']
OF_ANOTHER_SHAPE += [json.dumps(REQUEST | {name: 1.5}) for name in REQUEST]


@pytest.mark.parametrize("content", OF_ANOTHER_SHAPE)
@pytest.mark.parametrize("command", ["pretrain --from", "evaluate", "embed --output x.npy"])
def test_a_run_json_of_another_shape(tmp_path, capsys, content, command):
    (tmp_path / "run.json").write_text(content)
    assert main([*command.split(), str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "is not a run.json that ssl_jax wrote" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"arguments": {"epoch": 1}}, "its run.json has epoch, which simclr/demo does not take"),
        ({"arguments": {"epochs": "many"}}, "epochs: got 'many', expected a value of type float."),
        ({"arguments": {"epochs": -1}}, "epochs: got -1, expected 1e-06 to 1e+06."),
        ({"method": "simcrl"}, "unknown method 'simcrl': did you mean 'simclr'?"),
        ({"recipe": "demmo"}, "unknown recipe of simclr 'demmo': did you mean 'demo'?"),
        ({"seed": -1}, "seed: got -1, expected 0 to 4,294,967,295."),
    ],
)
def test_a_run_json_with_values_that_no_run_had(tmp_path, capsys, monkeypatch, change, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(REQUEST | change))
    assert main(["pretrain", "--from", "run.json"]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("command", ["pretrain --from", "evaluate", "embed --output x.npy", "report"])
def test_a_run_json_that_cannot_be_read(tmp_path, capsys, command):
    (tmp_path / "run.json").mkdir()
    assert main([*command.split(), str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ssl-jax: run: ") and error.count("\n") == 1


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/run", "/proc/none/run", "x" * 300, "file", "file/run"])
def test_places_that_cannot_hold_a_run(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    with pytest.raises(UsageError, match=r"^run: .*choose another folder with --run"):
        open_once(Path(place))
    assert Path("file").read_text() == "mine"


def test_relative_paths_of_older_runs_are_those_of_now(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    older = REQUEST | {"arguments": {"data": "./pictures", "features": "f.npy"}}
    open_once(tmp_path / "run", older)
    (tmp_path / "run/checkpoints/8").mkdir(parents=True)
    now = {"data": str(tmp_path / "pictures"), "features": str(tmp_path / "f.npy")}
    open_once(tmp_path / "run", REQUEST | {"arguments": now}, update=absolute)
    with pytest.raises(UsageError, match="data is "):
        open_once(tmp_path / "run", REQUEST | {"arguments": now | {"data": str(tmp_path / "others")}}, update=absolute)


@pytest.mark.parametrize("own", [True, False])
def test_the_commit_is_that_of_the_package_not_of_a_repository_around_it(tmp_path, own):
    root = tmp_path if own else tmp_path / ".venv/lib"
    (root / "ssl_jax").mkdir(parents=True)
    shutil.copy(Path(ssl_jax.__file__), root / "ssl_jax")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert commit(root) == (head if own else None)
    (root / "ssl_jax/new.py").touch()
    assert commit(root) == (head + "+" if own else None)


def test_stopping_with_control_c_is_one_sentence(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ssl_jax.commands.pretraining.prepare", stop)
    with contextlib.suppress(KeyboardInterrupt):
        assert main(["pretrain", "simclr"]) == 130
    assert capsys.readouterr().err == "ssl-jax: stopped\n"


def test_a_user_who_stops_a_run_reads_whether_there_is_a_checkpoint(tmp_path):
    """Once the sentence promised to resume from a checkpoint that did not exist."""
    stopped = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt) as stop, open_run(tmp_path, REQUEST, resume=True):
            raise KeyboardInterrupt
        stopped.append(str(stop.value))
        (tmp_path / "checkpoints/8").mkdir(parents=True, exist_ok=True)
    assert stopped[0] == f"stopped before the first checkpoint of {tmp_path}: the same command starts it again"
    assert stopped[1] == f"stopped: the same command resumes {tmp_path} from its last checkpoint"


def test_a_run_json_of_another_program_is_not_replaced(tmp_path):
    (tmp_path / "run.json").write_text('{"precious": 1}')
    with pytest.raises(UsageError, match=r"is not a run\.json that ssl_jax wrote"):
        open_once(tmp_path)
    assert (tmp_path / "run.json").read_text() == '{"precious": 1}'


def test_checkpoints_whose_run_json_is_lost(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UsageError, match=r"has checkpoints but no run\.json: copy it from a run of the same command"):
        open_once(tmp_path)
