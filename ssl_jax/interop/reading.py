"""What a safetensors file holds: its arrays, or their names, types and shapes alone. Pickles are refused unread."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, deserialize, safe_open

from ssl_jax.errors import UsageError
from ssl_jax.files import open_regular, read_regular
from ssl_jax.interop.pickles import ENDINGS, STARTS, conversion_of

# By their names in a file; the reader of safetensors for numpy has no bfloat16.
TYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16, "BOOL": np.bool_,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8,
}  # fmt: skip


def arrays_in(file: Path, *, at_most: int) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file by name; a `UsageError` for a pickle, with the line that converts it, and others.

    Example:
      >>> interop.write_arrays(folder / "x.safetensors", {"a": np.zeros((2, 3))}, {})
      >>> print(arrays_in(folder / "x.safetensors", at_most=2**20)["a"].shape)
      (2, 3)
    """
    with _faults(file):
        _check_start(file, at_most=at_most)
        content = read_regular(file, at_most=at_most)
        return {
            name: np.frombuffer(at["data"], np.dtype(TYPES[at["dtype"]])).reshape(at["shape"])
            for name, at in deserialize(content)
        }


def outlines_in(file: Path, *, at_most: int) -> dict[str, np.ndarray]:
    """As `arrays_in`, but zeros in place of the numbers, which are not read: the shapes of a large file take milliseconds.

    Example:
      >>> interop.write_arrays(folder / "x.safetensors", {"a": np.ones((2, 3))}, {})
      >>> print(outlines_in(folder / "x.safetensors", at_most=2**20)["a"].sum())
      0.0
    """
    with _faults(file):
        _check_start(file, at_most=at_most)
        with safe_open(file, framework="numpy") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # It is no mapping.
            return {
                name: np.broadcast_to(np.zeros((), TYPES[of.get_dtype()]), of.get_shape())
                for name, of in slices.items()
            }


def _check_start(file: Path, *, at_most: int) -> None:
    if file.suffix in ENDINGS:
        raise conversion_of(file)
    with open_regular(file, at_most=at_most) as opened:
        if opened.read(max(map(len, STARTS))).startswith(STARTS):
            raise conversion_of(file)


@contextmanager
def _faults(file: Path) -> Iterator[None]:
    """One sentence about a file that cannot be read, or is none of safetensors."""
    try:
        yield
    except UsageError:
        raise
    except OSError as fault:
        reason = fault.strerror or "no such file"
        raise UsageError(f"file: {file} cannot be read ({reason}): name a .safetensors file.") from fault
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UsageError(f"file: {file} is no whole safetensors file of numbers: name another one.") from fault
