"""Prepares a data set of tfds, after its size, licence and source have been said and accepted."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from ssl_jax.data.tfds.names import data_folder
from ssl_jax.errors import RunError, UsageError, reason_of, writing
from ssl_jax.files import printable


def prepare_tfds(name: str, folder: Path | None = None, *, accepted: bool = False) -> Path:
    """Downloads and prepares a data set of tfds as array_record files; one that is prepared already is kept.

    Args:
      name: in tfds's form, `mnist` or `cifar10_corrupted/fog_1`.
      folder: folder of data sets; that of TFDS_DATA_DIR, else `~/tensorflow_datasets`, when not given.
      accepted: prepare without a question; otherwise a terminal is asked.

    Returns:
      The folder of the data set.

    Raises:
      UsageError: no such data set, not accepted, or a package that its preparation needs is missing.
      RunError: it cannot be downloaded or prepared.
    """
    data_dir = folder or data_folder()
    builder = _builder(name, data_dir)
    place = Path(builder.data_path)
    if (place / "features.json").exists():
        _say(f"{place} is there already: remove it to prepare it again")
        return place
    for line in description(builder):
        _say(line)
    if not accepted and not _agreed():
        raise UsageError(f"yes: {name} was not accepted: repeat the command with --yes.")
    with writing("folder", data_dir, "free disk space, or give another --folder"):
        data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    except ImportError as fault:
        raise UsageError(
            f"data: preparing {name} needs a package ({reason_of(fault)}): run `pip install tensorflow`."
        ) from fault
    except Exception as fault:  # Of downloads, checksums and archives, which raise many types.
        raise RunError(
            f"data: {name} cannot be prepared ({reason_of(fault)}): check the network and proxy (https_proxy), and "
            "repeat the command."
        ) from fault
    _say(f"{place} is ready: `--data {name}` opens it")
    return place


def description(builder: Any) -> list[str]:
    """What is known of a data set before it is downloaded: size, licence, source, and whose work it is."""
    info, urls = builder.info, getattr(builder, "url_infos", None) or {}
    size = sum(each.size or 0 for each in urls.values()) or int(info.download_size or 0)
    licence = (info.redistribution_info.license if info.redistribution_info else None) or getattr(info, "license", None)
    title = next((line.strip() for line in info.citation.splitlines() if line.strip().lower().startswith("title")), "")
    parts = [
        f"{info.full_name}: {f'{size / 1e6:,.1f} MB' if size else 'of unknown size'} to download",
        f"licence: {licence or 'none is stated by tfds, see its homepage'}",
        f"homepage: {info.homepage or 'none'}",
        f"cite: {title.rstrip(',') or info.citation.strip() or 'nothing is stated'}",
    ]
    return [printable(" ".join(part.split())) for part in parts]


def _builder(name: str, data_dir: Path) -> Any:
    try:
        return tfds.builder(name, data_dir=data_dir, file_format="array_record")
    except ImportError as fault:
        raise UsageError(f"data: {name} needs a package ({reason_of(fault)}): install it with pip.") from fault
    except Exception as fault:  # An unknown name, configuration or version: tfds has a type for each.
        raise UsageError(
            f"data: tfds has no data set {name!r} ({reason_of(fault)}): choose one of https://www.tensorflow.org/datasets/catalog."
        ) from fault


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    print("data: download and prepare it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _say(text: str) -> None:
    print(f"data: {text}", file=sys.stderr, flush=True)
