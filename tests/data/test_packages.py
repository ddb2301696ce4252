"""Packages of registries: what is downloaded is the pinned file or a sentence, and archives are read without extraction."""

import base64
import http.server
import re
import threading
import zipfile
from functools import partial

import pytest
from archives import package, tarball

from ssl_jax.data import packages
from ssl_jax.data.named.emoji_artists import ARTISTS
from ssl_jax.data.packages import fetch, members
from ssl_jax.errors import RunError, UsageError

FILES = {"package/a.txt": b"first", "package/b.png": b"second", "../evil.txt": b"third", "/root.txt": b"fourth"}


@pytest.fixture
def server(tmp_path):
    """The address of a server of the files in a folder, and that folder."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}", folder
        serving.shutdown()


def test_the_pinned_file_is_downloaded_once(server, tmp_path):
    address, served = server
    content = tarball(FILES)
    (served / "things-1.0.0.tgz").write_bytes(content)
    wanted = package(f"{address}/things-1.0.0.tgz", content)
    path = fetch(wanted, tmp_path)
    assert path == tmp_path / "things-1.0.0.tgz" and path.read_bytes() == content
    (served / "things-1.0.0.tgz").unlink()
    assert fetch(wanted, tmp_path) == path


@pytest.mark.parametrize("change", [lambda whole: whole[:-1], lambda whole: whole + b"\0" * 5, lambda whole: b"<html>"])
def test_another_file_is_refused_and_removed(server, tmp_path, change):
    address, served = server
    content = tarball(FILES)
    (served / "things-1.0.0.tgz").write_bytes(change(content))
    with pytest.raises(
        RunError, match=r"things-1\.0\.0\.tgz is not things 1\.0\.0 \([\d,]+ bytes of [\d,]+, other sha512\)"
    ):
        fetch(package(f"{address}/things-1.0.0.tgz", content), tmp_path)
    assert list(tmp_path.iterdir()) == [served]


def test_a_file_that_never_ends_is_not_read_to_its_end(server, tmp_path, monkeypatch):
    address, served = server
    content = tarball(FILES)
    (served / "things.tgz").write_bytes(content * 1000)
    sizes = []
    monkeypatch.setattr(packages, "_check", lambda wanted, path: sizes.append(path.stat().st_size))
    fetch(package(f"{address}/things.tgz", content), tmp_path)
    assert sizes == [len(content) + 1]


def test_a_registry_that_does_not_answer_is_one_sentence(server, tmp_path):
    address, _ = server
    with pytest.raises(RunError, match=r"nothing\.tgz answers 404 \(.*\): try again later, or give --packages"):
        fetch(package(f"{address}/nothing.tgz", b""), tmp_path)
    with pytest.raises(
        RunError, match=r"127\.0\.0\.1:1/a\.tgz cannot be downloaded \(.*refused.*\): check the network"
    ):
        fetch(package("http://127.0.0.1:1/a.tgz", b""), tmp_path)


def test_a_full_disk_is_one_sentence(server, tmp_path):
    address, served = server
    (served / "things.tgz").write_bytes(b"things")
    with pytest.raises(UsageError, match=r"folder: cannot write .*things\.tgz \(.*\): free disk space"):
        fetch(package(f"{address}/things.tgz", b"things"), tmp_path / "missing")


@pytest.mark.parametrize("kind", ["tgz", "whl"])
def test_members_are_read_and_nothing_is_extracted(tmp_path, kind):
    path = tmp_path / "folder" / f"things.{kind}"
    path.parent.mkdir()
    if kind == "tgz":
        path.write_bytes(tarball(FILES, link="package/link.txt"))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in FILES.items():
                archive.writestr(name, content)
    assert list(members(path, prefix="package/", suffix=".txt")) == [("package/a.txt", b"first")]
    assert len(list(members(path, prefix=""))) == len(FILES)
    assert list(tmp_path.iterdir()) == [path.parent] and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["tgz", "whl"])
def test_damaged_archives_and_large_members_are_one_sentence(tmp_path, monkeypatch, kind):
    path = tmp_path / f"things.{kind}"
    for damaged in (b"no archive", tarball({"package/a": bytes(range(256)) * 100})[:200]):
        path.write_bytes(damaged)
        with pytest.raises(
            RunError, match=rf"{re.escape(str(path))} is damaged \(.+\): remove it and repeat the command\."
        ):
            list(members(path, prefix=""))
    monkeypatch.setattr(packages, "LARGEST_MEMBER", 5)
    path = tmp_path / "large.tgz"
    path.write_bytes(tarball(FILES))
    with pytest.raises(RunError, match=r"package/b\.png in .* has 6 bytes, expected at most 5"):
        list(members(path, prefix="package"))
    monkeypatch.setattr(packages, "MOST_MEMBERS", 2)
    with pytest.raises(RunError, match="holds more than 2 files"):
        list(members(path, prefix="none"))


def test_the_packages_of_emoji_are_pinned():
    for artist in ARTISTS.values():
        assert artist.package.url.startswith("https://") and artist.package.size > 0 and artist.package.licence
        assert len(base64.b64decode(artist.package.sha512, validate=True)) == 64
        assert re.search(r"\d+\.\d+\.\d+", artist.package.file) and re.search(r"\d+\.\d+\.\d+", artist.package.title)
