"""Files of public package registries: downloaded over https, checked against a pinned digest, read without extraction."""

import base64
import gzip
import hashlib
import http.client
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from ssl_jax.errors import RunError, reason_of, writing
from ssl_jax.files import replacing

TIMEOUT = 60  # Seconds without a byte.
PIECE = 2**20  # Bytes read at once.
LARGEST_MEMBER = 2**24  # Bytes of one file in an archive.
MOST_MEMBERS = 2**16  # Files in an archive.


class Package(NamedTuple):
    """A file of a registry, in one version.

    title: its name and version in messages.
    url: https address; its last part is the file's name.
    size: bytes.
    sha512: digest of its bytes as the registry states it ("integrity"), in base64 without the prefix.
    licence: of what is read from it, and where that is written.
    """

    title: str
    url: str
    size: int
    sha512: str
    licence: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


def fetch(package: Package, folder: Path) -> Path:
    """The file of a package in `folder`, downloaded unless it is there.

    Raises:
      RunError: no connection, an answer of the registry that is not the file, or a file that is not the pinned one.
      UsageError: the folder cannot be written.
    """
    path = folder / package.file
    if path.exists():
        _check(package, path)
        return path
    with writing("folder", path, "free disk space, or give another --folder"), replacing(path) as draft:
        with draft.open("wb") as out:
            for piece in _pieces(package):
                out.write(piece)
        _check(package, draft)
    return path


def _pieces(package: Package) -> Iterator[bytes]:
    """The bytes of the answer, one more than the package's size at most."""
    left = package.size + 1
    try:
        with urllib.request.urlopen(package.url, timeout=TIMEOUT) as answer:
            while left and (piece := answer.read(min(PIECE, left))):
                left -= len(piece)
                yield piece
    except urllib.error.HTTPError as fault:
        raise RunError(
            f"data: {package.url} answers {fault.code} ({reason_of(fault)}): try again later, or give --packages, a folder "
            f"with {package.file}."
        ) from fault
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as fault:
        reason = fault.reason if isinstance(fault, urllib.error.URLError) else fault
        raise RunError(
            f"data: {package.url} cannot be downloaded ({reason}): check the network and proxy (https_proxy), or give "
            f"--packages, a folder with {package.file}."
        ) from fault


def _check(package: Package, path: Path) -> None:
    """Refuses a file whose digest is not the pinned one."""
    with path.open("rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if digest != package.sha512:
        raise RunError(
            f"data: {path.parent / package.file} is not {package.title} ({path.stat().st_size:,} bytes of {package.size:,}, "
            "other sha512): remove it and repeat the command."
        )


def members(path: Path, *, prefix: str, suffix: str = "", largest: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files in a .tgz, or in a .whl or .zip, whose names begin and end so.

    Nothing is written to disk, so that no name (../, absolute) can leave a folder; links and devices are passed over.

    Args:
      largest: bytes of one of these files; 16 MiB when not given.

    Raises:
      RunError: damaged, a file of more bytes than `largest` among these, or more than 65,536 files.
    """
    largest = largest or LARGEST_MEMBER
    try:
        listed = _in_tar(path) if path.name.endswith((".tgz", ".tar.gz")) else _in_zip(path)
        for count, (name, size, content) in enumerate(listed):
            if count >= MOST_MEMBERS:
                raise RunError(f"data: {path} holds more than {MOST_MEMBERS} files: remove it and repeat the command.")
            if not (name.startswith(prefix) and name.endswith(suffix)):
                continue
            if size > largest:
                raise RunError(
                    f"data: {name} in {path} has {size:,} bytes, expected at most {largest:,}: "
                    "remove the file and repeat the command."
                )
            yield name, content.read(largest)
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as fault:
        raise RunError(f"data: {path} is damaged ({reason_of(fault)}): remove it and repeat the command.") from fault


def _in_tar(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content:
                yield member.name, member.size, content


def _in_zip(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                with archive.open(member) as content:
                    yield member.filename, member.file_size, content
