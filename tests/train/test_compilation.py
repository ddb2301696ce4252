"""Compiled programs are kept between commands: where, how many, and what happens to one that is damaged."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ssl_jax.recipes import find
from ssl_jax.train import compilation
from ssl_jax.train.compilation import LEVEL, for_one_call, keep_programs, programs_folder

SCRIPT = """
import jax
from ssl_jax.train import compilation
compilation.SHORTEST = 0.0
compilation.keep_programs()
print(jax.jit(lambda x: jax.numpy.sin(x) @ x.T)(jax.numpy.ones((3, 3)))[0, 0])
"""


@pytest.fixture
def unset(monkeypatch, tmp_path):
    """As in a process in which nobody has named a folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    alone = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda: alone)
    yield programs_folder()
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_lie_in_the_cache_of_the_user_alone(unset):
    keep_programs()
    assert jax.config.jax_compilation_cache_dir == str(unset) and unset.is_dir()
    assert unset.parent.parent == Path(os.environ["XDG_CACHE_HOME"]) and unset.stat().st_mode & 0o77 == 0


def test_programs_of_several_cpu_devices_are_not_kept(unset, monkeypatch):
    """Read again, those with a collective in a loop and one beside it end the process (jaxlib 0.10.2)."""
    several = [SimpleNamespace(platform="cpu")] * 2
    monkeypatch.setattr(jax, "devices", lambda: several)
    keep_programs()
    assert jax.config.jax_compilation_cache_dir is None and not unset.exists()
    several[:] = [SimpleNamespace(platform="gpu")] * 2
    keep_programs()
    assert jax.config.jax_compilation_cache_dir == str(unset)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no sets of cores")
def test_programs_of_another_number_of_cores_lie_elsewhere(unset, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(1000)))
    assert programs_folder() != unset and programs_folder().parent == unset.parent


def test_a_folder_that_was_named_stays(unset):
    jax.config.update("jax_compilation_cache_dir", "elsewhere")
    keep_programs()
    assert jax.config.jax_compilation_cache_dir == "elsewhere" and not unset.exists()


def test_programs_of_others_are_not_run(unset, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    keep_programs()
    assert jax.config.jax_compilation_cache_dir is None


def test_without_a_folder_that_can_be_written_nothing_is_kept(unset):
    unset.parent.mkdir(parents=True)
    unset.write_text("a file")
    keep_programs()
    assert jax.config.jax_compilation_cache_dir is None


def test_the_oldest_programs_go_first(unset, monkeypatch):
    monkeypatch.setattr(compilation, "MOST_BYTES", 25)
    unset.mkdir(parents=True)
    for age, name in enumerate(("new", "older", "oldest")):
        (unset / name).write_bytes(bytes(10))
        os.utime(unset / name, (1000 - age, 1000 - age))
    keep_programs()
    assert sorted(path.name for path in unset.iterdir()) == ["new", "older"]


@pytest.mark.slow
def test_a_damaged_program_is_compiled_again_without_a_word(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}

    def run():
        found = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
        assert (found.returncode, found.stderr) == (0, ""), found.stderr
        return found.stdout

    first = run()
    kept = list(tmp_path.rglob("*-cache"))
    assert kept
    for program in kept:
        program.write_bytes(program.read_bytes()[: program.stat().st_size // 2])
    assert run() == first


# What the options of XLA are without the flags of the tests.
OF_OLDER = "xla_cpu_use_fusion_emitters"
USUAL = {LEVEL: 3, "xla_llvm_disable_expensive_passes": False}
USUAL |= {OF_OLDER: True} if OF_OLDER in os.environ["XLA_FLAGS"] else {}


@pytest.mark.parametrize("method", ["simclr", pytest.param("dino", marks=pytest.mark.slow)])
def test_weights_of_a_program_for_one_call_are_the_same(monkeypatch, method):
    monkeypatch.delenv("XLA_FLAGS")
    recipe = find(method, "demo")()

    def init():
        return recipe.method.init(jax.random.key(3))

    quick, usual = (jax.jit(init, compiler_options=USUAL | options)() for options in (for_one_call(), {}))
    assert all(map(np.array_equal, jax.tree.leaves(quick), jax.tree.leaves(usual)))


def test_a_program_for_one_call_is_compiled_as_usual_on_accelerators_and_where_the_user_decides(monkeypatch):
    assert not for_one_call("cpu")  # XLA_FLAGS of the tests name the option.
    monkeypatch.delenv("XLA_FLAGS")
    assert for_one_call("cpu") == {LEVEL: 1} and not for_one_call("tpu") and not for_one_call("gpu")
