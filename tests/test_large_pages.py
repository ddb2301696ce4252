"""Large pages of memory: when the command starts again, and how."""

import os
import subprocess
import sys

import pytest

from ssl_jax.cli import large_pages


@pytest.fixture
def started(monkeypatch, tmp_path):
    """What would be started, on a glibc and a kernel that give large pages on request."""
    found = []
    monkeypatch.setattr(os, "execv", lambda *call: found.append((*call, os.environ["GLIBC_TUNABLES"])))
    monkeypatch.setattr(os, "confstr", lambda _: "glibc 2.36", raising=False)
    monkeypatch.setattr(large_pages, "CHOICE", tmp_path / "enabled")
    monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", "ssl-jax", "pretrain", "simclr"])
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    large_pages.CHOICE.write_text("always [madvise] never\n")
    return found


def test_the_command_starts_again_with_the_same_words(started):
    large_pages.use_large_pages()
    words = [sys.executable, "-X", "dev", "ssl-jax", "pretrain", "simclr"]
    assert started == [(sys.executable, words, "glibc.malloc.hugetlb=1")]
    large_pages.use_large_pages()  # The setting is there.
    assert len(started) == 1


def test_other_settings_of_the_library_stay(started, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=3")
    large_pages.use_large_pages()
    assert started[0][-1] == "glibc.malloc.check=3:glibc.malloc.hugetlb=1"


def test_a_decision_of_the_user_s_stays(started, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    large_pages.use_large_pages()
    assert not started and os.environ["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=0"


@pytest.mark.parametrize("library", ["glibc 2.34", "musl 1.2", None])
def test_other_libraries_do_not_know_the_setting(started, monkeypatch, library):
    monkeypatch.setattr(os, "confstr", lambda _: library)
    large_pages.use_large_pages()
    assert not started


@pytest.mark.parametrize("choice", ["[always] madvise never", "always madvise [never]", None])
def test_other_choices_of_the_kernel_need_no_start(started, choice):
    large_pages.CHOICE.unlink()
    if choice:
        large_pages.CHOICE.write_text(choice)
    large_pages.use_large_pages()
    assert not started


def test_a_start_that_fails_leaves_the_command_to_go_on(started, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "execv", refuse)
    large_pages.use_large_pages()


@pytest.mark.skipif(not large_pages._on_request(), reason="the kernel gives no large pages on request")
@pytest.mark.parametrize(("words", "pages"), [(["pretrain", "simcrl"], "glibc.malloc.hugetlb=1"), (["list"], "None")])
def test_commands_that_compute_use_them(words, pages):
    code = f"import os, sys; sys.argv = ['ssl-jax', *{words}]; from ssl_jax.cli import main; main()"
    code += "; print(os.environ.get('GLIBC_TUNABLES'))"
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout.splitlines()[-1] == pages
