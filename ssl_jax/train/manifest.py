"""The manifest of a checkpoint: the position in the input, the score, and checksums of the state and of itself, as JSON."""

import json
import zlib
from pathlib import Path
from typing import Any

from ssl_jax.files import read_regular

LARGEST = 2**28  # Bytes, far more than any manifest has.


def read_manifest(checkpoint: Path) -> dict[str, Any]:
    """The "input", "score", "recent" and "checksums" of a checkpoint; older versions wrote the first two only, in two files.

    Raises:
      OSError: a file is missing.
      ValueError: it is damaged.
    """
    if (checkpoint / "input").exists():
        return {"input": _read(checkpoint / "input/metadata"), **_read(checkpoint / "metrics/metrics")}
    manifest = _read(checkpoint / "manifest/metadata")
    if manifest.pop("checksum", None) != _checksum(manifest):
        raise ValueError("its manifest is not what was saved: the checksum differs")
    return manifest


def with_checksum(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with its own "checksum", which `read_manifest` compares."""
    return manifest | {"checksum": _checksum(manifest)}


def _checksum(manifest: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(manifest, sort_keys=True).encode()):08x}"


def _read(path: Path) -> Any:
    return json.loads(read_regular(path, at_most=LARGEST))
