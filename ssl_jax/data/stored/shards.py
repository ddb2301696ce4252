"""Shards of WebDataset: tar files whose members of one name, apart from the ending, are an example: 0001.jpg, 0001.cls.

Headers are read once, to learn where each member lies; images are then read from their place, in any order. Nothing is
written to disk and no name leads anywhere, so that `..` and absolute ones do no harm; links and devices are passed over.

A label is in NAME.cls, an integer or the name of a class, or under "label" in NAME.json; `label=txt` takes NAME.txt, and
`label=json.KEY` another key.
"""

import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ssl_jax.data.folders.scan import say_passed_over
from ssl_jax.data.pixels.formats import LARGEST_FILE, suffixes
from ssl_jax.data.places import NO_LABEL
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.stored.labelling import numbered
from ssl_jax.data.stored.tar import Member, members
from ssl_jax.errors import UsageError, reason_of
from ssl_jax.files import open_regular, parse, printable

LARGEST_SHARD = 2**46
LARGEST_LABEL = 2**16  # Bytes of a member with a label.
MOST_MEMBERS = 2**24  # In a shard.
CLASS, JSON = "cls", "json"


class Shard:
    """The examples of a tar file: of each image its name and place, and its label."""

    def __init__(self, path: Path, *, image: str | None, label: str | None):
        self.path = path
        self.names: list[str] = []
        self.places: list[tuple[int, int]] = []
        self.labels: list[int | str | None] = []
        self.passed_over: Counter[str] = Counter()
        self._ending, self._key = image, "label"
        self._of_label = CLASS if label is None else label
        if self._of_label.startswith(f"{JSON}."):
            self._of_label, _, self._key = self._of_label.partition(".")
        try:
            with open_regular(path, at_most=LARGEST_SHARD) as file:
                self._read(file)
        except (OSError, ValueError) as fault:
            raise UsageError(
                f"data: {printable(str(path))} cannot be read ({reason_of(fault)}): copy it again, or remove it."
            ) from fault

    def _read(self, file: BinaryIO) -> None:
        current, found = None, dict[str, Member]()
        for count, member in enumerate(members(file)):
            if count >= MOST_MEMBERS:
                raise ValueError(f"it has more than {MOST_MEMBERS} members")
            if member.truncated or not member.is_file:
                if not member.is_folder:
                    self.passed_over["truncated" if member.truncated else "links and devices"] += 1
                continue
            folder, _, last = member.name.rpartition("/")
            key, _, ending = last.partition(".")
            if (folder, key) != current:
                self._add(file, current, found)
                current, found = (folder, key), {}
            found.setdefault(ending.lower(), member)
        self._add(file, current, found)

    def _add(self, file: BinaryIO, key: tuple[str, str] | None, found: Mapping[str, Member]) -> None:
        image = next((ending for ending in found if self._is_image(ending)), None)
        if image is None or key is None:
            if found:
                self.passed_over["examples without an image"] += 1
            return
        self.names.append("/".join(filter(None, key)) + f".{image}")
        self.places.append((found[image].start, found[image].size))
        self.labels.append(self._label(file, found))

    def _is_image(self, ending: str) -> bool:
        return ending == self._ending if self._ending else f".{ending.rpartition('.')[2]}" in _ENDINGS

    def _label(self, file: BinaryIO, found: Mapping[str, Member]) -> int | str | None:
        ending = self._of_label if self._of_label in found else JSON if self._of_label == CLASS else None
        if ending is None or ending not in found or found[ending].size > LARGEST_LABEL:
            return None
        file.seek(found[ending].start)
        content = file.read(found[ending].size)
        if ending == JSON:
            described = parse(content)
            value = described.get(self._key) if isinstance(described, dict) else None
            return value if isinstance(value, int | str) else None
        text = content.decode("utf-8", "surrogateescape").strip()
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 20 else text or None


_ENDINGS = frozenset(suffixes())


class Images:
    """The images of several shards as records for `ssl_jax.data.pixels.images.DecodedSource`."""

    def __init__(self, shards: list[Shard], *, name: str, labels: NDArray[np.int32], classes: tuple[str, ...]):
        self.name, self.labels, self.classes = name, labels, classes
        self._paths, self._names = [shard.path for shard in shards], [shard.names for shard in shards]
        self._starts = np.cumsum([0, *(len(shard.names) for shard in shards)])
        self._places = np.array([place for shard in shards for place in shard.places], np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> tuple[bytes, int]:
        start, size = self._places[number].tolist()
        if size > LARGEST_FILE:
            raise Unreadable(f"{size} bytes, more than {LARGEST_FILE}")
        try:
            with open_regular(self._paths[self._shard(number)], at_most=LARGEST_SHARD) as file:
                return os.pread(file.fileno(), size, start), int(self.labels[number])
        except OSError as fault:
            raise Unreadable(fault.strerror) from fault

    def where(self, number: int) -> str:
        shard = self._shard(number)
        return printable(f"{self._names[shard][number - int(self._starts[shard])]} of {self._paths[shard]}")

    def _shard(self, number: int) -> int:
        return int(np.searchsorted(self._starts, number, "right")) - 1


def open_shards(
    parts: Mapping[str, list[Path]], *, name: str, image: str | None, label: str | None
) -> dict[str, Images]:
    """The images of each part. Arguments are those of `ssl_jax.data.stored.stores.open_stored`.

    Raises:
      UsageError: a damaged archive, one without images, or a label is named that no example has.
    """
    shards: dict[str, list[Shard]] = {}
    for part, paths in parts.items():
        if len(paths) > 8:
            print(f"data: reading where the images of {len(paths)} shards of {name}:{part} lie", file=sys.stderr)
        shards[part] = [Shard(path, image=image, label=label) for path in paths]
        for shard in shards[part]:
            say_passed_over(printable(str(shard.path)), shard.passed_over)
        if not any(shard.names for shard in shards[part]):
            raise UsageError(
                f"data: {name} has shards without images{f' of ending .{image}' if image else ''}: expected members such as "
                "0001.jpg and 0001.cls, side by side."
            )
    values = {part: [each for shard in group for each in shard.labels] for part, group in shards.items()}
    if label not in (None, NO_LABEL) and not any(each is not None for labels in values.values() for each in labels):
        raise UsageError(
            f"data: no example of {name} has a label in {label}: name another, or add ,label=none to train without labels."
        )
    labelled = numbered(values, name=name)
    return {
        part: Images(group, name=f"{name}:{part}", labels=labelled.labels[part], classes=labelled.classes)
        for part, group in shards.items()
    }
