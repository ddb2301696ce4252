"""A checkpoint is restored as it was saved or refused in a sentence, whatever happened to its files."""

import logging
import os
import shutil
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from jax.sharding import SingleDeviceSharding

from ssl_jax.errors import RunError, UsageError
from ssl_jax.train.checkpoint import Checkpoints
from ssl_jax.train.integrity import checksums
from ssl_jax.train.manifest import read_manifest
from ssl_jax.train.state import TrainState


def state_of(step):
    """Data of some kilobytes, incompressible, and small leaves."""
    params = {"kernel": jax.random.normal(jax.random.key(step), (8, 64)), "bias": jnp.full(3, step, jnp.bfloat16)}
    return TrainState(jnp.int32(step), params, {"queue": jnp.arange(step)[:2]}, jax.random.key(step))


LIKE = jax.eval_shape(partial(state_of, 4))


def input_of(step):
    return {"seed": 0, "step": step}


def save(folder, *steps):
    with Checkpoints(folder) as checkpoints:
        for step in steps:
            checkpoints.save(state_of(step), input_state=input_of(step), score=1 / step)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    save(folder, 4, 8)
    return folder


def restored_step(folder, **options):
    """The step whose state and input, to the bit, are restored; None if they are no step's."""
    with Checkpoints(folder) as checkpoints:
        state, place, _ = checkpoints.restore(LIKE, **options)
    for step in (4, 8):
        equal = jax.tree.map(lambda a, b: bool(jnp.all(a == b)), state, state_of(step))
        if all(jax.tree.leaves(equal)) and place == input_of(step):
            return step
    return None


def flip(path, generator):
    """Another value of one random bit."""
    content = bytearray(path.read_bytes())
    bit = int(generator.integers(8 * len(content)))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


DAMAGE = {
    "flipped": flip,
    "truncated": lambda path, _: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path, _: path.write_bytes(b""),
    "removed": lambda path, _: path.unlink(),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damage_is_restored_silently(saved, tmp_path, capfd, damage):
    """Each file of the last checkpoint: its state is whole, or that of the one before is used, with a sentence."""
    files = sorted(path.relative_to(saved) for path in (saved / "8").rglob("*") if path.is_file())
    generator, refused = np.random.default_rng(0), set()
    for number, name in enumerate(files * (-(-60 // len(files)) if damage == "flipped" else 1)):
        folder = tmp_path / str(number)
        shutil.copytree(saved, folder)
        DAMAGE[damage](folder / name, generator)
        step = restored_step(folder)
        said = capfd.readouterr().err
        assert step in (4, 8), name
        assert (f"checkpoint of step 8 in {folder} cannot be read (" in said) == (step == 4), name
        assert "Traceback" not in said, name
        if step == 4:
            refused.add(name.parts[1])
    assert refused >= {"state", "manifest"}


def test_a_checkpoint_of_other_weights_is_refused(saved, tmp_path, capsys):
    """The files of the weights are sound in themselves, but not those that the manifest was written with."""
    shutil.copytree(saved, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/8/state")
    shutil.copytree(saved / "4/state", tmp_path / "run/8/state")
    assert restored_step(tmp_path / "run") == 4
    assert "(step is not what was saved: its checksum differs)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["[]", "1", '"a"', "[" * 100_000, '{"metrics": 3}', '{"commit_timestamp_nsecs": "x"}']
)
def test_a_description_of_another_kind_is_set_aside(saved, tmp_path, content, capsys):
    """Orbax reads it when it lists the checkpoints, before any of them is restored."""
    shutil.copytree(saved, tmp_path / "run")
    description = tmp_path / "run/8/_CHECKPOINT_METADATA"
    description.write_text(content)
    assert restored_step(tmp_path / "run") == 8
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{description} is damaged (") and said.endswith(
        "): renamed, its checkpoint is read without it"
    )
    assert not description.exists() and description.with_name(f"damaged-{description.name}").read_text() == content
    assert restored_step(tmp_path / "run") == 8 and not capsys.readouterr().err


def test_a_damaged_description_that_cannot_be_renamed_is_one_sentence(saved, tmp_path, monkeypatch):
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run/8/_CHECKPOINT_METADATA").write_text("[]")
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(PermissionError("read-only")))
    with pytest.raises(
        RunError, match=r"8/_CHECKPOINT_METADATA is damaged \(.+\): remove this file; its checkpoint can"
    ):
        restored_step(tmp_path / "run")


def test_checkpoints_are_examined_without_a_recipe(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    with Checkpoints(tmp_path / "run") as checkpoints:
        assert checkpoints.examine() == {4: None, 8: None}
    shutil.rmtree(tmp_path / "run/8/state")
    shutil.copytree(saved / "4/state", tmp_path / "run/8/state")
    (tmp_path / "run/4/manifest/metadata").write_text("{}")
    with Checkpoints(tmp_path / "run") as checkpoints:
        found = checkpoints.examine()
    assert found[8] == "step is not what was saved: its checksum differs" and "checksum" in found[4]


def test_the_next_interface_of_orbax_reads_what_was_saved(saved):
    """Version 0 of it is going: what it wrote has to stay readable."""
    next_interface = pytest.importorskip("orbax.checkpoint.experimental.v1")
    like = jax.tree.map(lambda leaf: leaf.update(sharding=SingleDeviceSharding(jax.devices()[0])), LIKE)
    state = next_interface.load_checkpointables(saved / "8", {"state": like})["state"]
    assert checksums(state) == read_manifest(saved / "8")["checksums"]


def test_a_checkpoint_under_the_number_of_another_is_refused(saved, tmp_path, capsys):
    """Two that were exchanged, or one that was copied: training would resume from, or evaluate, another step than it says."""
    shutil.copytree(saved, tmp_path / "run")
    shutil.copytree(saved / "4", tmp_path / "run/12")
    assert restored_step(tmp_path / "run") == 8
    assert "step 12 in" in (said := capsys.readouterr().err) and "(it is the one of step 4: its folder was" in said
    (tmp_path / "run/4").rename(tmp_path / "run/other")
    (tmp_path / "run/8").rename(tmp_path / "run/4")
    (tmp_path / "run/other").rename(tmp_path / "run/8")
    with Checkpoints(tmp_path / "run") as checkpoints, pytest.raises(RunError, match="none of the checkpoints in"):
        checkpoints.restore(LIKE)


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path):
    """Orbax opens it, and fails minutes later, in five threads, when the first checkpoint is written."""
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(UsageError, match=r"checkpoints is a file, expected a folder of checkpoints: move it away\.$"):
        Checkpoints(tmp_path / "checkpoints")


@pytest.mark.parametrize("at", ["save", "wait_until_finished"])
def test_a_failed_write_is_one_sentence(tmp_path, monkeypatch, at):
    """Orbax writes in threads, and once ended the run with a traceback: of a folder that was removed, a quota, a limit."""

    def fail(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: Error writing local file\nin a thread")

    checkpoints = Checkpoints(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(RunError) as refused:
        patched.setattr(checkpoints._manager, at, fail)
        with checkpoints:
            checkpoints.save(state_of(4), input_state=input_of(4), score=1.0)
    checkpoints.close()
    assert str(refused.value) == (
        f"run: a checkpoint cannot be written in {tmp_path} (RESOURCE_EXHAUSTED: Error writing local file): make room or "
        "access there and start the same command again; finished checkpoints are kept."
    )


def test_errors_that_orbax_also_raises_are_not_logged(tmp_path, caplog):
    """After a full disk 350 lines of its threads came before the sentence."""
    Checkpoints(tmp_path).close()
    log = logging.getLogger("absl")
    for place in ("site-packages/orbax/checkpoint/x.py", "site-packages/grain/x.py"):
        for level in (logging.ERROR, logging.WARNING):
            log.handle(log.makeRecord("absl", level, place, 1, "words", (), None))
    kept = [(Path(record.pathname).parts[1], record.levelname) for record in caplog.records]
    assert kept == [("orbax", "WARNING"), ("grain", "ERROR"), ("grain", "WARNING")]


def test_a_step_that_is_not_there(saved):
    with Checkpoints(saved) as checkpoints, pytest.raises(UsageError) as fault:
        checkpoints.restore(LIKE, step=77)
    assert str(fault.value) == (f"step: got 77, but {saved} has the checkpoints of steps 4 and 8: choose one of these.")
    assert restored_step(saved, step=4) == 4


def test_a_damaged_checkpoint_that_was_asked_for_is_not_replaced_by_another(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run/8/manifest/metadata").write_text("[]")
    with Checkpoints(tmp_path / "run") as checkpoints, pytest.raises(RunError) as fault:
        checkpoints.restore(LIKE, step=8)
    assert "the checkpoint of step 8 cannot be read" in str(fault.value)
    assert str(fault.value).endswith("also has the checkpoint of step 4.")


def test_without_checkpoints_there_is_none_of_a_step(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(LIKE) is None and checkpoints.restore(LIKE, step=77) is None


def test_the_best_score_is_read_from_the_manifests(tmp_path):
    save(tmp_path, 4, 8)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.best_step == 4 and checkpoints.steps == [4, 8]
    (tmp_path / "4/manifest/metadata").write_text('{"score": 1')
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.best_step == 8


@pytest.fixture
def older(tmp_path):
    """A run of the version before there were manifests."""
    options = ocp.CheckpointManagerOptions(best_fn=lambda metrics: metrics["score"], create=True)
    with ocp.CheckpointManager(tmp_path, options=options) as manager:
        for step in (4, 8):
            parts = {"state": ocp.args.StandardSave(state_of(step)), "input": ocp.args.JsonSave(input_of(step))}
            manager.save(step, args=ocp.args.Composite(**parts), metrics={"score": 1 / step})
    return tmp_path


def test_checkpoints_without_checksums_can_be_read(older):
    assert restored_step(older) == 8
    with Checkpoints(older) as checkpoints:
        assert checkpoints.best_step == 4
        checkpoints.save(state_of(12), input_state=input_of(12), score=0.0)
    assert sorted(path.name for path in Path(older).iterdir()) == ["12", "4", "8"]


@pytest.mark.parametrize("name", ["metrics/metrics", "input/metadata"])
def test_a_damaged_json_of_an_older_checkpoint_does_not_stop_the_run(older, name):
    (older / "8" / name).write_text('{"sc')
    assert restored_step(older) == 4


@pytest.mark.parametrize("name", ["8/_CHECKPOINT_METADATA", "8/manifest/metadata", "8/state/d/x", "lock"])
def test_a_pipe_or_a_device_is_refused_before_it_is_read(saved, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(RunError) as refused:
        Checkpoints(folder)
    assert str(refused.value) == f"run: {folder / name} is not a regular file: remove it; reading it may never end."
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(RunError, match="is not a regular file"):
        Checkpoints(folder)
    (folder / name).unlink()
    (folder / name).symlink_to("nothing")
    with Checkpoints(folder) as checkpoints:
        assert 4 in checkpoints.steps
