"""The image files below a folder: each real file once, and counts of skipped files.

Hidden files and folders are left out, and so are folders of the operating system or of a storage device. Links are followed
after the folder itself has been read, but not to a folder that contains the link, nor to files that are already read. Pipes,
devices and the like are never opened.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ssl_jax.data.pixels.formats import suffixes
from ssl_jax.errors import UsageError
from ssl_jax.files import printable

ARRAY = ".npy"
# They can hold thumbnails or copies of the images.
OF_THE_SYSTEM = frozenset(
    {"@eadir", "#recycle", "$recycle.bin", "__macosx", "lost+found", "system volume information", "@tmp", "#snapshot"}
)


@dataclass
class Found:
    """The content of a folder and its subfolders.

    images: paths within the folder; of each folder its files in alphabetical order, then those of the folders in it.
    passed_over: numbers of skipped files, by kind.
    real: the images that are links, with their targets.
    folders: real paths of all folders that were read.
    targets: real paths of the images that are links.
    """

    images: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    real: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)

    def has(self, file: str) -> bool:
        """Whether the image at this real path is among these."""
        return os.path.dirname(file) in self.folders or file in self.targets


def scan(folder: str | os.PathLike[str]) -> Found:
    """The images below a folder; a `UsageError` where a folder cannot be listed."""
    found, links = Found(), list[tuple[str, str]]()
    root = os.path.realpath(folder)
    endings = suffixes()
    _read(root, "", found, links, endings)
    links_there, files = bool(links), []
    while links:
        inside, link = links.pop(0)
        target = os.path.realpath(link)
        around = (root, os.path.realpath(os.path.dirname(link)))
        if not os.path.isdir(target):
            files.append((inside, target))
        elif target in found.folders or any(path == target or path.startswith(_within(target)) for path in around):
            found.passed_over["links to folders that are read already"] += 1
        else:
            _read(target, inside, found, links, endings)
    for inside, target in files:
        if not os.path.isfile(target):
            found.passed_over["links to no file"] += 1
        elif not inside.lower().endswith(endings):
            found.passed_over[_ending(inside)] += 1
        elif target in found.targets or (os.path.dirname(target) in found.folders and target.lower().endswith(endings)):
            found.passed_over["links to images that are read already"] += 1
        else:
            found.targets.add(target)
            found.real[inside] = target
            found.images.append(inside)
    if links_there:
        found.images.sort(key=_in_walking_order)
    _without_arrays(found)
    return found


def _without_arrays(found: Found) -> None:
    """Arrays are images only where nothing else is: beside photographs they are features, labels and the like."""
    others = [path for path in found.images if not path.lower().endswith(ARRAY)]
    if others and len(others) < len(found.images):
        found.passed_over[ARRAY] += len(found.images) - len(others)
        found.images = others


def visible_folders(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the folders in a folder, and of links to folders, that are not hidden; sorted."""
    return [entry.name for entry in listed(folder) if entry.is_dir()]


def images_in(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the image files that lie in a folder itself."""
    return [entry.name for entry in listed(folder) if entry.name.lower().endswith(suffixes()) and entry.is_file()]


def shortened(names: list[str]) -> str:
    """At most five names, and the number of further ones."""
    return printable(", ".join(names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def say_passed_over(folder: object, passed_over: Counter[str]) -> None:
    """One line on standard error about skipped files, if there are any."""
    if passed_over:
        print(f"data: {folder}: {passed_over.total()} passed over: {described(passed_over)}", file=sys.stderr)


def described(passed_over: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(passed_over.items()))


def _read(real: str, inside: str, found: Found, links: list[tuple[str, str]], endings: tuple[str, ...]) -> None:
    """Adds the content of a folder and its subfolders; links are collected for later."""
    folders = [(real, inside)]  # Not by recursion, since folders may be nested deeper than Python's calls.
    while folders:
        real, inside = folders.pop()
        if real in found.folders:
            continue
        found.folders.add(real)
        below = []
        for entry in listed(real):
            path = os.path.join(inside, entry.name)
            if entry.is_symlink():
                links.append((path, entry.path))
            elif entry.is_dir(follow_symlinks=False):
                below.append((entry.path, path))
            elif not entry.is_file(follow_symlinks=False):
                found.passed_over["pipes and devices"] += 1
            elif entry.name.lower().endswith(endings):
                found.images.append(path)
            else:
                found.passed_over[_ending(entry.name)] += 1
        folders += below[::-1]


def listed(folder: str | os.PathLike[str]) -> Iterable[os.DirEntry[str]]:
    """What is in a folder, sorted, without what is hidden or of the system; a `UsageError` where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            shown = (entry for entry in entries if not _is_hidden(entry.name))
            return sorted(shown, key=lambda entry: entry.name)
    except OSError as fault:
        raise UsageError(
            f"data: {fault.filename} cannot be read ({fault.strerror}): make it readable or name another folder."
        ) from fault


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in OF_THE_SYSTEM


def _within(folder: str) -> str:
    return folder if folder.endswith(os.sep) else folder + os.sep


def _ending(name: str) -> str:
    return printable(os.path.splitext(name)[1].lower()) or "without an ending"


def _in_walking_order(path: str) -> tuple[list[str], str]:
    *folders, name = path.split(os.sep)
    return folders, name
