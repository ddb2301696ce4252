"""The parts of a folder of images: training, test and validation, without overlap."""

import functools
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from ssl_jax.data.folders.scan import Found, images_in, scan, shortened, visible_folders
from ssl_jax.errors import UsageError

PART = re.compile(r"(?P<train>train(ing)?)|(?P<test>test(ing)?)|(?P<val>val(id(ation)?)?)")
SUFFIX = re.compile(r"[ _-]?(set|data|images|\d{4})$")


def part_of(name: str) -> str | None:
    """The part that a folder's name denotes, "train", "test" or "val"; None for other names."""
    found = PART.fullmatch(SUFFIX.sub("", name.lower()))
    return found and found.lastgroup


def find_parts(root: Path) -> dict[str, Path]:
    """The folders in `root` that are its parts "train", "test" and "val"; none where it has its own classes or images.

    Raises:
      UsageError: two folders for one part, a part to evaluate on but none to train on, images beside parts that may
        be classes, or two folders such as seg_train and seg_test.
    """
    folders = visible_folders(root)
    kinds = {name: part for name in folders if (part := part_of(name))}
    parts = {kind: root / name for name, kind in kinds.items()}
    if len(parts) < len(kinds):
        raise UsageError(f"data: {root} holds several folders for one part, {', '.join(kinds)}: move all but one away.")
    if parts and "train" not in parts:
        raise UsageError(
            f"data: {root} holds {', '.join(kinds)} but no folder train: rename the folder of training images to train, or "
            "rename a class that has the name of a part."
        )
    if alike := _named_alike(folders) if not parts else None:
        raise UsageError(
            f"data: {root} holds {' and '.join(alike)}: rename them to train and test if these are parts, or rename one of "
            "them if they are classes."
        )
    others = [name for name in folders if name not in kinds and scan(root / name).images] if parts else []
    if len(parts) == 1 and others:
        raise UsageError(
            f"data: {root} holds {', '.join(kinds)} beside {others[0]}: move {others[0]} away if these are parts, or give "
            f"{', '.join(kinds)} another name if they are classes."
        )
    others += images_in(root) if parts else []
    if others:
        print(
            f"data: {root}: the images in {', '.join(kinds)} are read, those in {shortened(others)} are not",
            file=sys.stderr,
        )
    return parts


def _named_alike(folders: list[str]) -> tuple[str, str] | None:
    """Two folders whose names differ in the word for the part only, such as seg_train and seg_test; None without any."""
    trained: dict[tuple[str, ...], str] = {}
    evaluated: dict[tuple[str, ...], str] = {}
    for name in folders:
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+", name)
        for position, word in enumerate(words):
            if part := part_of(word):
                rest = (*words[:position], "", *words[position + 1 :])
                (trained if part == "train" else evaluated)[rest] = name
    return next(((trained[rest], evaluated[rest]) for rest in trained if rest in evaluated), None)


def check_depth(folder: Path, images: list[str]) -> None:
    """Refuses folders whose parts lie one level deeper, where training would include the test images."""
    deeper = {tuple(path.split("/")[:2]) for path in images if path.count("/") > 1}
    kinds = {(first, part_of(second)): second for first, second in deeper if part_of(second)}
    for first, part in sorted(kinds):
        if part == "train" and ((first, "test") in kinds or (first, "val") in kinds):
            inside = ", ".join(sorted(second for (where, _), second in kinds.items() if where == first))
            raise UsageError(
                f"data: {folder / first} holds parts ({inside}): name that folder, or move the parts above the classes."
            )


def without_training_images(folder: Path, test: Found, train: Found) -> Found:
    """The images of a test folder without those that are training images, too, through links to the same files."""

    @functools.cache
    def real(inside: str) -> str:
        return os.path.realpath(folder / inside)

    def target(path: str) -> str:
        inside, name = os.path.split(path)
        return test.real.get(path) or os.path.join(real(inside), name)

    kept = [path for path in test.images if not train.has(target(path))]
    both = len(test.images) - len(kept)
    if both:
        print(f"data: {folder}: {both} images are training images, too: left out", file=sys.stderr)
    return replace(test, images=kept)
