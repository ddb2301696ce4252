"""Prepared tfds data sets, read at random from array_record files, without TensorFlow.

Named as in tfds: `name[/config][:version][:split]`, the split in tfds's own syntax: `train[:10%]`, `train+test`.
"""

import difflib
import fnmatch
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ssl_jax.data.channels import Channels
from ssl_jax.data.images import DecodedSource
from ssl_jax.data.source import Data
from ssl_jax.data.tfds_clips import TfdsClips, clips_of, video_in
from ssl_jax.errors import UsageError

SPECIFICATION = re.compile(r"(?P<name>[^:]+)(:(?P<version>[\d*]+\.[\d*]+\.[\d*]+))?(:(?P<split>[^:].*))?")
TEST_SPLITS = ("test", "validation")


class Examples:
    """A split of a tfds data set, as records for `DecodedSource`."""

    def __init__(self, examples: Any, *, name: str, image: str, label: str | None, classes: tuple[str, ...]):
        self.name, self.image, self.classes = name, image, classes
        self._examples, self._label = examples, label

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, number: int) -> tuple[bytes, int]:
        example = self._examples[number]
        return example[self.image], int(example[self._label]) if self._label else -1

    def where(self, number: int) -> str:
        return f"image {number} of {self.name}"


def open_tfds(
    specification: str,
    *,
    image_size: int | None = None,
    channels: Channels | None = None,
    strict: bool = False,
    own_names: Iterable[str] = (),
) -> Data:
    """The data set of this name in the folder that TFDS_DATA_DIR names, else in `~/tensorflow_datasets`.

    Args:
      own_names: what an unknown name may have meant besides tfds's names.
      image_size, channels, strict: as in `open_prepared`.

    Raises:
      UsageError: unknown name (with the nearest right one), or not prepared (with the command that prepares it).
    """
    found = SPECIFICATION.fullmatch(specification)
    if not found:
        raise UsageError(f"data: {specification!r} is no name of a data set: write it like imagenet2012:train[:10%].")
    folder = _prepared(found["name"], found["version"], own_names)
    split = found["split"] or "train"
    return open_prepared(
        folder, name=specification, split=split, image_size=image_size, channels=channels, strict=strict
    )


def open_prepared(
    folder: Path,
    *,
    name: str,
    split: str = "train",
    image_size: int | None = None,
    channels: Channels | None = None,
    strict: bool = False,
) -> Data:
    """The data set in a folder that tfds prepared, the one with `features.json`.

    `test` is the split "test" if it has labels, else "validation" if that has (imagenet2012), else None.

    Args:
      split: what to train on.
      image_size: side of the square that all images become; None where all have one size already.
      channels: 1 or 3 that all images become; None keeps 1 where the data set declares it.
      strict: refuse unreadable images instead of skipping them.

    Raises:
      UsageError: a split that does not exist, no images, images of several sizes without `image_size`, or files that
        cannot be read at random.
    """
    builder = _builder(folder, name)
    if video_in(builder.info.features) and not _pictures(builder):
        return _clips(builder, name=name, split=split, image_size=image_size, channels=channels)

    def source(examples: Examples) -> DecodedSource:
        shape = _shape(builder, examples.image, image_size=image_size, channels=channels)
        return DecodedSource(examples, name=examples.name, classes=examples.classes, image_shape=shape, strict=strict)

    train = source(_examples(builder, split))
    for other in TEST_SPLITS:
        if other in builder.info.splits and other != split:
            test = _examples(builder, other)
            if test[0][1] >= 0:  # The test splits of competitions, imagenet2012's for one, have -1 throughout.
                return Data(name, train, source(test))
    return Data(name, train, None)


def _builder(folder: Path, name: str) -> tfds.core.DatasetBuilder:
    try:
        builder = tfds.builder_from_directory(folder)
        builder.info.features  # noqa: B018  Only now are they read.
    except ModuleNotFoundError as fault:
        raise UsageError(
            f"data: {name} has features that tfds reads with {fault.name} only: run `pip install {fault.name}`."
        ) from fault
    return builder


def _clips(
    builder: tfds.core.DatasetBuilder, *, name: str, split: str, image_size: int | None, channels: Channels | None
) -> Data:
    """Videos in place of images; `test` is the first of the usual splits that has labels."""

    def source(split: str) -> TfdsClips:
        examples, about = _read(builder, split), f"{builder.info.full_name}:{split}"
        return clips_of(examples, builder.info.features, name=about, image_size=image_size, channels=channels)

    others = (source(other) for other in TEST_SPLITS if other in builder.info.splits and other != split)
    return Data(name, source(split), next((test for test in others if test[0]["label"] >= 0), None))


def _pictures(builder: tfds.core.DatasetBuilder) -> list[str]:
    return [key for key, feature in builder.info.features.items() if isinstance(feature, tfds.features.Image)]


def _examples(builder: tfds.core.DatasetBuilder, split: str) -> Examples:
    info = builder.info
    images = _pictures(builder)
    labels = [key for key, feature in info.features.items() if isinstance(feature, tfds.features.ClassLabel)]
    if not images or info.features[images[0]].np_dtype == np.float32:
        raise UsageError(
            f"data: {info.full_name} holds no pictures but {', '.join(info.features)}: choose a data set of images."
        )
    encoded = {key: tfds.decode.SkipDecoding() for key in images}  # We decode, to pass over what is damaged.
    examples = _read(builder, split, decoders=encoded)
    image = "image" if "image" in images else images[0]
    label = "label" if "label" in labels else next(iter(labels), None)
    classes = tuple(info.features[label].names) if label else ()
    return Examples(examples, name=f"{info.full_name}:{split}", image=image, label=label, classes=classes)


def _read(builder: tfds.core.DatasetBuilder, split: str, decoders: Any = None) -> Any:
    """The examples of a split, by number."""
    info = builder.info
    try:
        examples = builder.as_data_source(split, decoders=decoders)
        len(examples)
        return examples
    except NotImplementedError as fault:
        raise UsageError(
            f"data: {info.full_name} is stored as {info.file_format.value}, which cannot be read in random order: run "
            f"`pip install tensorflow` and `tfds convert_format --dataset_version_dir={builder.data_path} "
            "--out_file_format=array_record`."
        ) from fault
    except ValueError as fault:
        splits = ", ".join(f"{name} ({part.num_examples})" for name, part in info.splits.items())
        raise UsageError(
            f"data: {info.full_name} has no images in a split {split!r}: choose from {splits}, "
            "or parts of these such as train[:10%]."
        ) from fault


def _shape(
    builder: tfds.core.DatasetBuilder, image: str, *, image_size: int | None, channels: Channels | None
) -> tuple[int, int, int]:
    height, width, declared = builder.info.features[image].shape
    channels = channels or (1 if declared == 1 else 3)
    if image_size is not None:
        return image_size, image_size, channels
    if height is None or width is None:
        raise UsageError(
            f"image_size: none was given, but the images of {builder.info.full_name} differ in size: "
            "say the size that all should have, such as 224."
        )
    return height, width, channels


def _prepared(name: str, version: str | None, own_names: Iterable[str]) -> Path:
    """The folder of the newest version that fits."""
    data_dir = tfds.core.Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    configs = sorted({path.parent.parent.name for path in (data_dir / name).glob("*/*/features.json")})
    if len(configs) > 1:
        variants = ", ".join(f"{name}/{config}" for config in configs)
        raise UsageError(f"data: {name} is prepared in several variants: choose one of {variants}.")
    pattern = "*/*/features.json" if configs else "*/features.json"
    folders = {path.parent.name: path.parent for path in (data_dir / name).glob(pattern)}
    fitting = fnmatch.filter(folders, version or "*")
    if fitting:
        return folders[max(fitting, key=lambda version: [int(part) for part in version.split(".")])]
    if not folders:
        _check_known(name, own_names)
    wanted = f"{name}:{version}" if version else name
    raise UsageError(
        f"data: {wanted} is not prepared in {data_dir}{f', only {min(folders)}' if folders else ''}: run "
        f"`pip install tensorflow` and `tfds build {wanted} --data_dir={data_dir} --file_format=array_record` "
        "(only preparing needs tensorflow), or set TFDS_DATA_DIR to where it is."
    )


def _check_known(name: str, own_names: Iterable[str]) -> None:
    known = tfds.list_builders(with_community_datasets=False)  # Those of the community would be asked from the network.
    if name.split("/")[0] in known:
        return
    if "/" in name:
        raise UsageError(f"data: {name} is neither a folder that is there nor a data set of tfds: name one of these.")
    near = difflib.get_close_matches(name, [*own_names, *known], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose {', '.join(own_names)}, a folder, or a tfds name."
    raise UsageError(f"unknown data set {name!r}: {hint}")
