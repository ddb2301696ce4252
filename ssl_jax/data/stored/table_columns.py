"""The choice of the column of images and of labels in tables, and opening them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ssl_jax.data.places import NO_LABEL
from ssl_jax.data.stored.labelling import numbered
from ssl_jax.data.stored.tables import Rows, Table, open_table
from ssl_jax.errors import UsageError, reason_of
from ssl_jax.files import parse, printable

LABELS = ("label", "labels")


def open_tables(
    parts: Mapping[str, list[Path]], *, name: str, arrow: bool, image: str | None, label: str | None
) -> dict[str, Rows]:
    """The rows of each part. Arguments are those of `ssl_jax.data.stored.stores.open_stored`.

    Raises:
      UsageError: damaged, files of different columns, none or several columns of images or labels where none is named.
    """
    tables = {part: [open_table(path, arrow=arrow) for path in paths] for part, paths in parts.items()}
    first = next(iter(tables.values()))[0]
    image, label = _image_column(first, name, image), _label_column(first, name, label)
    for table in (table for group in tables.values() for table in group):
        for key in filter(None, (image, label)):
            if key not in table.schema.names or table.schema.field(key).type != first.schema.field(key).type:
                raise UsageError(
                    f"data: {printable(str(table.path))} has no {key} like that of {first.path.name}: give files of one "
                    "data set."
                )
    values = {part: np.concatenate([_labels(table, label) for table in group]) for part, group in tables.items()}
    described = _features(first.schema).get(label or "", {})
    names = described.get("names") if isinstance(described, dict) else None
    named = names if isinstance(names, list) and all(isinstance(each, str) for each in names) else ()
    labelled = numbered({part: _plain(each) for part, each in values.items()}, name=name, names=named)
    return {
        part: Rows(group, name=f"{name}:{part}", column=image, labels=labelled.labels[part], classes=labelled.classes)
        for part, group in tables.items()
    }


def _image_column(table: Table, name: str, named: str | None) -> str:
    features = _features(table.schema)
    declared = [key for key in table.schema.names if _kind(features, key) == "Image"]
    held = [field.name for field in table.schema if _holds_bytes(field.type)]
    candidates = [key for key in declared if key in held] or held
    if named in held or (not named and len(candidates) == 1):
        return named or candidates[0]
    columns = ", ".join(map(printable, table.schema.names))
    if named or not candidates:
        raise UsageError(
            f"data: {name} has {f'no images in {named!r}' if named else 'no column of images'} but {columns}: expected encoded "
            "images, as bytes or as structs of bytes and path."
        )
    raise UsageError(
        f"data: {name} has several images, {', '.join(candidates)}: add ,image={candidates[0]} to its name."
    )


def _label_column(table: Table, name: str, named: str | None) -> str | None:
    if named == NO_LABEL:
        return None
    features, schema = _features(table.schema), table.schema
    usable = [field.name for field in schema if pa.types.is_integer(field.type) or _is_text(field.type)]
    declared = [key for key in usable if _kind(features, key) == "ClassLabel"]
    candidates = declared or [key for key in usable if key in LABELS]
    if named and named not in usable:
        raise UsageError(f"data: {name} has no label {named!r}: choose label={' or label='.join([*usable, NO_LABEL])}.")
    if not named and len(candidates) > 1:
        raise UsageError(
            f"data: {name} has several labels, {', '.join(candidates)}: add ,label={candidates[0]} to its name."
        )
    if not named and not candidates and usable:
        columns = ", ".join(map(printable, usable))
        print(
            f"data: {name} has no column label or labels but {columns}: ,label=NAME chooses one of them",
            file=sys.stderr,
        )
    return named or next(iter(candidates), None)


def _labels(table: Table, column: str | None) -> NDArray[Any]:
    if column is None:
        return np.full(len(table), -1, np.int64)
    try:
        values = table.column(column)
        if pa.types.is_integer(values.type):
            return values.fill_null(-1).to_numpy().astype(np.int64)
        return np.concatenate([_texts(chunk) for chunk in values.chunks] or [np.empty(0, object)])
    except (pa.ArrowException, OSError, ValueError) as fault:
        raise UsageError(
            f"data: {printable(str(table.path))} is damaged ({reason_of(fault)}): copy it again, or remove it."
        ) from fault


def _texts(values: pa.Array) -> NDArray[Any]:
    """Those of a dictionary are one object each, in however many rows."""
    if not pa.types.is_dictionary(values.type):
        return np.array(values.to_pylist(), object)
    words = np.array([*values.dictionary.to_pylist(), None], object)
    return words[values.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)]


def _plain(values: NDArray[Any]) -> Any:
    """Texts as a list; integers as they are."""
    return values.tolist() if values.dtype == object else values


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What the `datasets` library says of the columns."""
    described = parse((schema.metadata or {}).get(b"huggingface", b"{}"))
    for key in ("info", "features"):
        described = described.get(key) if isinstance(described, dict) else None
    return described if isinstance(described, dict) else {}


def _kind(features: dict[str, Any], key: str) -> Any:
    found = features.get(key)
    return found.get("_type") if isinstance(found, dict) else None


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
