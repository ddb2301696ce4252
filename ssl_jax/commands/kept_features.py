"""Features that a run keeps: each command reads what an earlier one computed with the same weights from the same images.

Files are named by a digest of the extractor's program, the weights and the images: whatever changes one of them, an edit of a
method included, gives another name.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from ssl_jax.data import Source, model_inputs
from ssl_jax.data.fingerprint import spread, stored
from ssl_jax.data.source import path_of
from ssl_jax.evaluate.features import encode
from ssl_jax.files import printable
from ssl_jax.runs import FEATURES, feature_file, read_features, write_features
from ssl_jax.train.log import log_line
from ssl_jax.train.program import batch_shapes

READ = 8  # Examples whose decoded arrays are part of the digest: two versions of a decoder may differ.


class KeptFeatures:
    """`encode` with a memory in the folder of a run. Features of a source with unreadable examples are not kept."""

    def __init__(self, run: Path):
        self._folder = run if run.is_dir() else run.parent  # Commands also take a run.json.
        self._used: set[Path] = set()

    def encode(
        self,
        extract: Callable[[Any, Any, Any], Any],
        params: Any,
        state: Any,
        source: Source,
        *,
        mesh: Mesh | None = None,
        batch_size: int = 512,
    ) -> tuple[Any, NDArray[np.int32]]:
        """As `ssl_jax.evaluate.features.encode`; from a file where there is one that is whole."""
        program = jax.jit(extract).lower(*_shapes((params, state)), model_inputs(batch_shapes(source[0], 1)))
        widths = jax.tree.map(lambda info: info.shape[-1], program.out_info)
        path = feature_file(self._folder, digest_of(program.as_text(), (params, state), source))
        if found := self._read(path, widths, count=len(source)):
            return found
        features, labels = encode(extract, params, state, source, mesh=mesh, batch_size=batch_size)
        if len(labels) == len(source):
            arrays = {str(number): array for number, array in enumerate(jax.tree.leaves(features))}
            self._write(path, arrays | {"labels": labels})
        return features, labels

    def _read(self, path: Path, widths: Any, *, count: int) -> tuple[Any, NDArray[np.int32]] | None:
        """The features in the form of `widths`, and the labels; None where they have to be computed."""
        if not os.path.lexists(path):
            return None
        sizes, form = jax.tree.flatten(widths)
        expected: dict[str, Any] = {str(number): ("float32", (count, size)) for number, size in enumerate(sizes)}
        expected |= {"labels": ("int32", (count,))}
        arrays = read_features(path)
        if arrays is None or {name: (str(array.dtype), array.shape) for name, array in arrays.items()} != expected:
            log_line(f"{printable(str(path))} is damaged: computing these features again")
            return None
        if not self._used:
            log_line(f"reading features that are kept in {printable(str(path.parent))}")
        self._used.add(path)
        labels = arrays.pop("labels")
        return jax.tree.unflatten(form, [arrays[str(number)] for number in range(len(sizes))]), labels

    def _write(self, path: Path, arrays: dict[str, NDArray[Any]]) -> None:
        """A folder that cannot be written costs no more than the time to compute the features again."""
        try:
            if write_features(path, arrays, used=self._used):
                self._used.add(path)
        except OSError as fault:
            log_line(
                f"{printable(str(self._folder / FEATURES))} cannot be written ({fault.strerror}): features are not kept"
            )


def digest_of(program: str, weights: Any, source: Source) -> str:
    """32 hexadecimal digits that identify the features of a source.

    Of image files all names, sizes and times of change are seen, of arrays in memory all bytes, of other examples a sample, as
    by `ssl_jax.data.fingerprint`.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (program.encode(), *map(_bytes, jax.tree.leaves(weights)), *_examples(source)):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _examples(source: Source) -> Iterator[bytes]:
    yield from (str((len(source), source.classes)).encode("utf-8", "backslashreplace"), *stored(source))
    for number in spread(len(source), READ):
        yield from (np.asarray(array).tobytes() for _, array in sorted(source[number].items()))
    if path_of(source, 0) is not None:
        for number in range(len(source)):
            path = path_of(source, number)
            yield str(path and _times(path)).encode()


def _times(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except OSError:  # Gone since the data set was opened: an unreadable image.
        return None
    return about.st_size, about.st_mtime_ns


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def _bytes(leaf: Any) -> bytes:
    raw = jax.random.key_data(leaf) if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    return np.asarray(raw).tobytes()
