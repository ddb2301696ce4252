"""Help is printed again from the user's cache, without jax, until the package changes."""

import io
import os
import subprocess
import sys

import pytest

from ssl_jax import kept_help
from ssl_jax.cli import main
from ssl_jax.kept_help import is_keepable, kept

WORDS = ["pretrain", "simclr", "--help"]
PROGRAM = f"""
import sys
from ssl_jax.cli import main
code = main({WORDS})
print(*({{"jax", "flax", "tyro", "numpy"}} & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ssl_jax" / "help"


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package of one file, instead of ours."""
    monkeypatch.setattr(kept_help, "PACKAGE", tmp_path / "package")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "file.py").write_text("a = 1\n")
    return tmp_path / "package" / "file.py"


def made_of(text):
    return lambda: print(text)


@pytest.mark.slow
def test_the_second_help_imports_nothing_heavy_and_is_the_first():
    first, second = (
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert second.stdout == first.stdout and "--temperature" in first.stdout
    assert "jax" in first.stderr.split() and second.stderr == "\n"


def test_a_text_is_kept_and_made_again_when_a_file_changes(package):
    assert kept(WORDS, made_of("one")) == kept(WORDS, made_of("two")) == "one\n"
    package.write_text("a = 22\n")
    assert kept(WORDS, made_of("three")) == "three\n"
    os.utime(package, (1, 1))
    assert kept(WORDS, made_of("four")) == "four\n"
    package.with_name("another.py").touch()
    assert kept(WORDS, made_of("five")) == "five\n"


def test_each_width_of_the_terminal_has_its_text(package, monkeypatch, cache):
    for width in ("80", "120"):
        monkeypatch.setenv("COLUMNS", width)
        assert kept(WORDS, made_of(width)) == f"{width}\n"
    monkeypatch.setenv("COLUMNS", "80")
    assert kept(WORDS, made_of("again")) == "80\n" and len(list(cache.iterdir())) == 2


def test_what_is_printed_is_as_for_standard_output(package, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    assert kept(WORDS, lambda: print(sys.stdout.encoding, sys.stdout.isatty())) == "latin-1 True\n"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"another fingerprint\nan old text\n", b"x" * (2**20 + 1)])
def test_a_damaged_text_is_made_again(package, cache, content):
    kept(WORDS, made_of("text"))
    (file,) = cache.iterdir()
    file.write_bytes(content)
    assert kept(WORDS, made_of("text")) == "text\n"
    assert kept(WORDS, made_of("another")) == "text\n"


def test_a_text_that_was_cut_is_made_again(package, cache):
    kept(WORDS, made_of("first\nsecond"))
    (file,) = cache.iterdir()
    file.write_text(file.read_text().removesuffix("second\n"))
    assert kept(WORDS, made_of("again")) == "again\n"


def test_without_a_cache_the_text_is_made_each_time(package, cache, monkeypatch):
    cache.parent.mkdir(parents=True)
    cache.write_text("a file, not a folder")
    assert [kept(WORDS, made_of(text)) for text in "ab"] == ["a\n", "b\n"]
    cache.unlink()
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # A folder of somebody else's.
    assert [kept(WORDS, made_of(text)) for text in "ab"] == ["a\n", "b\n"]


def test_an_error_is_raised_and_nothing_is_kept(package, cache):
    def refuse():
        print("half")
        raise SystemExit(2)

    with pytest.raises(SystemExit):
        kept(WORDS, refuse)
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("command", "keepable"),
    [
        ("pretrain simclr --help", True),
        ("pretrain simclr --recipe=cifar -h", True),
        ("data prepare --help", True),
        ("list", True),
        ("pretrain simclr", False),
        ("pretrain simclr --epochs 3 --help", False),
        ("pretrain my_file.py:recipe --help", False),
        ("pretrain simclr --data folder --help", False),
        ("pretrain simclr --data=folder --help", False),
        ("pretrain --from folder --help", False),
    ],
)
def test_only_what_the_package_alone_determines_is_kept(command, keepable):
    assert is_keepable(command.split()) is keepable


def test_an_unknown_recipe_is_refused_as_without_help(capsys):
    assert main(["pretrain", "simclr", "--recipe", "imagnet", "--help"]) == 2
    assert "did you mean 'imagenet'?" in capsys.readouterr().err
