"""What identifies the examples of a data set, so that no run continues on other examples without a word."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ssl_jax.data.source import ArraySource, Data, Readable, Source

SAMPLE = 64  # Examples that are read, evenly spaced,
WHOLE = 2**28  # where there are more bytes in memory than these, 256 MiB.


def fingerprint(data: Data) -> dict[str, Any]:
    """Number, shape, number of classes and checksum of the examples, for JSON: "train_examples", "test_checksum" and so on;
    of deep pixels also "train_range", those that become black and white.

    The checksum is that of the names of the classes and of `stored`: of arrays in memory it sees all, of image files all names,
    the sizes of 10,000 and the bytes of 64, of other examples the bytes of 64, evenly spaced. It does not see everything: a
    pixel that changes in another file, and leaves its size as it was, leaves the checksum, too.
    """
    parts = {"train": data.train, "test": data.test}
    return {
        f"{part}_{name}": value
        for part, source in parts.items()
        if source is not None
        for name, value in _identity(source).items()
    }


def _identity(source: Source) -> dict[str, Any]:
    digest = hashlib.blake2b(digest_size=8)
    for part in (*(name.encode("utf-8", "surrogateescape") for name in source.classes), *stored(source)):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    shape = "x".join(map(str, source.image_shape))
    levels = getattr(source, "levels", None)
    deep = {"range": f"{levels.black:g}:{levels.white:g}"} if levels else {}
    same = {"examples": len(source), "shape": shape, "classes": len(source.classes), "checksum": digest.hexdigest()}
    return same | deep


def stored(source: Readable) -> Iterator[bytes]:
    """The bytes that identify the examples: what the source's own method `stored` gives, where it has one."""
    if hasattr(source, "stored"):
        yield from source.stored()
    elif isinstance(source, ArraySource) and source.images.nbytes <= WHOLE:
        yield from (source.images.tobytes(), source.labels.tobytes())
    else:
        for number in spread(len(source), SAMPLE):
            for name, array in sorted(source[number].items()):
                yield name.encode() + np.asarray(array).tobytes()


def spread(count: int, size: int) -> list[int]:
    """At most `size` indices below `count`, evenly spaced, with the first and the last."""
    return np.linspace(0, count - 1, min(size, count)).astype(int).tolist()
