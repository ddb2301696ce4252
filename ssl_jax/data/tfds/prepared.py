"""Prepared tfds data sets, read at random from array_record files, without TensorFlow.

Named as in tfds: `name[/config][:version][:split]`, the split in tfds's own syntax: `train[:10%]`, `train+test`. The image
and the label to use, where there are several, may follow: `smallnorb:train,image=image2,label=label_azimuth`; label=none
leaves labels out. See `ssl_jax.data.tfds.keys`.
"""

import fnmatch
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from ssl_jax.data.channels import Channels
from ssl_jax.data.fingerprint import spread
from ssl_jax.data.folders.folder_parts import part_of
from ssl_jax.data.pixels.images import DecodedSource
from ssl_jax.data.source import Data, Source
from ssl_jax.data.tfds.clips import TfdsClips, clip_shape
from ssl_jax.data.tfds.keys import choose_label, choose_picture, pictures, videos
from ssl_jax.data.tfds.names import parse, prepared
from ssl_jax.data.tfds.records import Examples, Pictures, count_classes, stored
from ssl_jax.errors import UsageError
from ssl_jax.sizes import ImageSize, sides_of

SAMPLE = 32  # Examples of a split that are searched for a label.


def open_tfds(
    specification: str,
    *,
    image_size: ImageSize | None = None,
    channels: Channels | None = None,
    strict: bool = False,
    own_names: Iterable[str] = (),
    folder: Path | None = None,
) -> Data:
    """The data set of this name in the folder that TFDS_DATA_DIR names, else in `~/tensorflow_datasets`.

    Args:
      own_names: names to suggest for an unknown name, besides tfds's.
      folder: folder of the prepared data set, if known.
      image_size, channels, strict: as in `open_prepared`.

    Raises:
      UsageError: unknown name (with the most similar one), or not prepared (with the command that prepares it).
    """
    name, version, split, image, label = parse(specification)
    folder = folder or prepared(name, version, own_names)
    if not fnmatch.fnmatch(folder.name, version or "*"):
        raise UsageError(
            f"data: {name} is prepared in version {folder.name} only, got {version}: leave the version out."
        )
    return open_prepared(
        folder, name=specification, split=split or "train", image=image, label=label,
        image_size=image_size, channels=channels, strict=strict,
    )  # fmt: skip


def open_prepared(
    folder: Path,
    *,
    name: str,
    split: str = "train",
    test_split: str | None = None,
    image: str | None = None,
    label: str | None = None,
    image_size: ImageSize | None = None,
    channels: Channels | None = None,
    strict: bool = False,
) -> Data:
    """The data set in a folder that tfds prepared, the one with `features.json`.

    `test` is the split "test" if it has labels, else "validation" if that has (imagenet2012), else None; without the examples
    that `split` has of it. Splits of other names count as the folders of `ssl_jax.data.folders.folder` do: "valid", "testing".

    Args:
      split: split to train on.
      test_split: split to evaluate on, disjoint from `split`, where its name does not say so.
      image, label: the features to use where there are several; see `ssl_jax.data.tfds.keys`.
      image_size: side of the square, or height and width, that all images become; None where all have one size already.
      channels: 1 or 3 that all images become; None keeps 1 where the data set declares it.
      strict: refuse unreadable images instead of skipping them.

    Raises:
      UsageError: a split or a feature that does not exist, no images, images of several sizes without `image_size`, or files
        that are damaged or cannot be read at random.
    """
    builder = _builder(folder, name)
    info = builder.info
    label = choose_label(info, named=label)
    found, moving = pictures(info), videos(info)
    if not found and not moving:
        raise UsageError(
            f"data: {info.full_name} holds no pictures but {', '.join(sorted(info.features))}: "
            "choose a data set of images."
        )
    key = choose_picture(info, found or moving, named=image)
    decoders = {other: tfds.decode.SkipDecoding() for other in found}  # Our code decodes, to skip damaged images.

    def examples(split: str) -> Examples:
        return Examples(stored(builder, split, decoders), name=f"{info.full_name}:{split}", label=label)

    train = examples(split)
    _check_parts(info, split)
    test = examples(test_split) if test_split else _test_part(info, split, examples)
    parts = [train, test] if test else [train]
    classes = _classes(info, label, parts)
    sources: list[Source] = []
    if found:
        shape, levels = _shape(info, key, image_size=image_size, channels=channels), None
        for part in parts:
            source = DecodedSource(
                Pictures(part, image=key),
                name=part.name,
                classes=classes,
                image_shape=shape,
                levels=levels,
                strict=strict,
            )
            sources, levels = [*sources, source], source.levels
    else:
        clip = clip_shape(info, key, image_size=image_size, channels=channels)
        sources = [
            TfdsClips(part, info.features, video=key, classes=classes, image_shape=clip, strict=strict)
            for part in parts
        ]
    return Data(name, sources[0], sources[1] if test else None)


def _builder(folder: Path, name: str) -> tfds.core.DatasetBuilder:
    try:
        builder = tfds.builder_from_directory(folder)
        builder.info.features  # noqa: B018  Only now are they read.
    except ModuleNotFoundError as fault:
        raise UsageError(
            f"data: {name} has features that tfds reads with {fault.name} only: run `pip install {fault.name}`."
        ) from fault
    except Exception as fault:  # Damaged descriptions raise many types in tfds, json and protobuf.
        reason = str(fault).split("\n")[0] or type(fault).__name__
        raise UsageError(
            f"data: the description of {name} in {folder} (dataset_info.json, features.json) cannot be read ({reason}): "
            "copy it again, or prepare it again with `tfds build --overwrite`."
        ) from fault
    return builder


def _classes(info: tfds.core.DatasetInfo, label: str | None, parts: list[Examples]) -> tuple[str, ...]:
    if label is None:
        return ()
    feature = info.features[label]
    return tuple(feature.names) if isinstance(feature, tfds.features.ClassLabel) else count_classes(parts)


def _test_part(info: tfds.core.DatasetInfo, split: str, examples: Callable[[str], Examples]) -> Examples | None:
    """The untrained part of the first test or validation split that has labels; None where no split has one."""
    for other in sorted(filter(part_of, info.splits), key=lambda name: (part_of(name) != "test", name)):
        if part_of(other) == "train" or not info.splits[other].num_examples:
            continue
        rest, trained_on = untouched(info, other, split)
        count = info.splits[other].num_examples
        if trained_on:
            left = {0: "none is", 1: "the other one is"}.get(count - trained_on, f"the other {count - trained_on} are")
            print(
                f"data: {trained_on} of the {count} examples of {info.full_name}:{other} are trained on: {left} left to "
                "evaluate with",
                file=sys.stderr,
            )
        if rest:
            test = examples(rest)
            sample = np.array(spread(len(test), SAMPLE))
            # The test splits of competitions, imagenet2012's for one, have only -1.
            if (test.labels_at(sample) >= 0).any():
                return test
    return None


def _check_parts(info: tfds.core.DatasetInfo, split: str) -> None:
    """Refuses a split with repeated examples, since one copy may be held out, or a part that ends before it begins."""
    taken = {name: np.zeros(part.num_examples, int) for name, part in info.splits.items()}
    for part in tfds.core.ReadInstruction.from_spec(split).to_absolute(info.splits):
        first, last, _ = slice(part.from_, part.to).indices(len(taken[part.splitname]))
        if first > last:
            raise UsageError(
                f"data: the split {split!r} has a part {part.splitname}[{first}:{last}], which ends before it begins: "
                "swap the two bounds."
            )
        taken[part.splitname][first:last] += 1
    twice = [f"{int((counts > 1).sum())} examples of {name}" for name, counts in taken.items() if (counts > 1).any()]
    if twice:
        raise UsageError(
            f"data: the split {split!r} has {' and '.join(twice)} more than once: make its parts disjoint."
        )


def untouched(info: tfds.core.DatasetInfo, other: str, split: str) -> tuple[str, int]:
    """The part of the split `other` outside `split`, in tfds's syntax ("" if empty), and the number of shared examples.

    With 10 test examples, `untouched(info, "test", "train+test[2:5]")` is `("test[0:2]+test[5:10]", 3)`.
    """
    taken = np.zeros(info.splits[other].num_examples, bool)
    for part in tfds.core.ReadInstruction.from_spec(split).to_absolute(info.splits):
        if part.splitname == other:
            taken[part.from_ : part.to] = True
    if not taken.any():
        return other, 0
    edges = np.flatnonzero(np.diff(taken, prepend=True, append=True)).reshape(-1, 2)
    return "+".join(f"{other}[{first}:{last}]" for first, last in edges.tolist()), int(taken.sum())


def _shape(
    info: tfds.core.DatasetInfo, image: str, *, image_size: ImageSize | None, channels: Channels | None
) -> tuple[int, int, int]:
    height, width, declared = info.features[image].shape
    channels = channels or (1 if declared == 1 else 3)
    if image_size is not None:
        return *sides_of(image_size), channels
    if height is None or width is None:
        raise UsageError(
            f"image_size: none was given, but the images of {info.full_name} differ in size: "
            "give the size for all, such as 224."
        )
    return height, width, channels
