"""Images inside larger files: tables, archives and records, by their place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ssl_jax.data.folders.content import (
    ARRAY_RECORD,
    ARROW,
    PARQUET,
    TAR,
    TFRECORD,
    files_below,
    is_content,
    kind_of,
    parts_of,
)
from ssl_jax.data.parts import NamedRecords
from ssl_jax.data.places import Place


def files_of(place: Place) -> list[Path]:
    """The files of tables, archives or records at a place; none for a folder of images, or an image."""
    if place.is_pattern:
        return place.files()
    if place.path.is_dir():
        return files_below(place.path)
    return [place.path] if place.path.is_file() and is_content(place.path) else []


def open_stored(place: Place, files: list[Path]) -> Iterator[tuple[str, NamedRecords]]:
    """The parts "train", "test" and "val" of these files, of any one kind.

    A place's `image` and `label` name what holds the images and labels: a column of a table, a feature of a record, or the
    ending of members of an archive; label=none leaves labels out.

    Raises:
      UsageError: unknown or several kinds, damaged files, or no images in them.
    """
    from ssl_jax.data.stored.shards import open_shards  # noqa: PLC0415  pyarrow and array_record take a while to import.
    from ssl_jax.data.stored.table_columns import open_tables  # noqa: PLC0415
    from ssl_jax.data.stored.tf_records import open_records  # noqa: PLC0415

    kind, name = kind_of(files), place.text
    parts = parts_of(files, place.path if place.path.is_dir() else Path(files[0]).parent)
    chosen: dict[str, Any] = {"name": name, "image": place.image, "label": place.label}
    opened: dict[str, Any] = {
        PARQUET: lambda: open_tables(parts, arrow=False, **chosen),
        ARROW: lambda: open_tables(parts, arrow=True, **chosen),
        TAR: lambda: open_shards(parts, **chosen),
        TFRECORD: lambda: open_records(parts, array=False, **chosen),
        ARRAY_RECORD: lambda: open_records(parts, array=True, **chosen),
    }
    yield from opened[kind]().items()
