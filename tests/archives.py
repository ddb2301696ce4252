"""Packages of a registry, made in a test."""

import base64
import hashlib
import io
import tarfile

from ssl_jax.data.packages import Package


def tarball(files, *, link=None):
    """A .tgz of files by name, and a link to a file outside."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(member)
    return made.getvalue()


def package(url, content):
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return Package("things 1.0.0", url, len(content), digest, "CC0 (its LICENSE)")
