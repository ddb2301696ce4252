"""Arrays of this package's own in a safetensors file, with a JSON object that says what they are. Nothing is unpickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ssl_jax.errors import UsageError
from ssl_jax.files import open_regular, parse, replacing
from ssl_jax.interop.arrays import Flat
from ssl_jax.interop.reading import arrays_in

ABOUT = "ssl_jax"  # The entry of a file's metadata that holds the object.


def write_arrays(file: Path, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Replaces the file by these arrays, and `about`, which JSON can hold.

    Example:
      >>> write_arrays(folder / "x.safetensors", {"features": np.zeros((2, 3))}, {"layer": "features"})
      >>> print((folder / "x.safetensors").exists())
      True
    """
    with replacing(file) as draft:
        made = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(made, draft, metadata={ABOUT: json.dumps(dict(about))})


def read_arrays(file: Path, *, at_most: int) -> tuple[Flat, dict[str, Any]]:
    """What `write_arrays` wrote; a `UsageError` for another file, a damaged one, or one of more bytes.

    Example:
      >>> write_arrays(folder / "x.safetensors", {"features": np.zeros((2, 3))}, {"layer": "features"})
      >>> arrays, about = read_arrays(folder / "x.safetensors", at_most=2**20)
      >>> print(arrays["features"].shape, about)
      (2, 3) {'layer': 'features'}
    """
    arrays = arrays_in(file, at_most=at_most)
    with open_regular(file, at_most=at_most) as opened:  # Its header only, which is whole.
        header = parse(opened.read(int.from_bytes(opened.read(8), "little")))
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    about = parse(str(metadata.get(ABOUT)).encode()) if isinstance(metadata, dict) else None
    if not isinstance(about, dict):
        raise UsageError(f"file: {file} is not one that ssl_jax wrote: remove it, it is then made again.")
    return arrays, about
