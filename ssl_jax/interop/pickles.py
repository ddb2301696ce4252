"""PyTorch's own files, which are pickles: they are refused, with the line that converts them where PyTorch is."""

import json
import shlex
from pathlib import Path

from ssl_jax.errors import UsageError

ENDINGS = {".pth", ".pt", ".th", ".bin", ".ckpt", ".pkl", ".tar"}
# What `torch.save` writes: a zip, a pickle with a magic number before PyTorch 1.6. Two bytes of it would not do: a safetensors
# file begins with the size of its header, and one of 640 bytes so.
STARTS = (b"PK\x03\x04", b"\x80\x02\x8a\n")
# A checkpoint of a program holds arrays in parts, "state_dict" or "student" and "teacher", beside an optimizer and the
# arguments of the program. The part becomes the first part of an array's name. Copies, because two names may share an array,
# which safetensors does not write. Classes and functions that the file names, such as a Namespace of arguments, a scalar of
# NumPy, or `__main__.exclude_bias_and_norm` in the optimizer of VICReg, become an empty list in their place: none is imported,
# and none is called. A list, because weights_only appends to those of a subclass, too.
LINE = (
    "import safetensors.torch, torch, zipfile; file = {file}; nothing = lambda *_, **__: None; "
    'ignored = type("ignored", (list,), {{"__init__": nothing, "__setstate__": nothing, "__hash__": object.__hash__}}); '
    "named = torch.serialization.get_unsafe_globals_in_checkpoint(file) if zipfile.is_zipfile(file) "
    'else ["argparse.Namespace"]; '
    "torch.serialization.add_safe_globals([(ignored, name) for name in named]); "
    'c = torch.load(file, map_location="cpu", weights_only=True); '
    'safetensors.torch.save_file({{f"{{part}}.{{name}}".strip("."): array.clone().contiguous() '
    'for part, of in {{**c, "": c}}.items() if isinstance(of, dict) '
    "for name, array in of.items() if torch.is_tensor(array)}}, "
    "{output})"
)


def conversion_of(file: Path) -> UsageError:
    """Why a pickle is not read, with the line that converts it."""
    if file.suffix == ".safetensors":  # PyTorch, too, goes by the ending.
        return UsageError(
            f"file: {file} is a pickle in spite of its ending: rename it to {file.with_suffix('.pt')}, and name that."
        )
    output = file.with_name(file.name.removesuffix(".tar")).with_suffix(".safetensors")
    if output.exists():  # Weights that were converted before, perhaps of another file.
        output = file.with_name(f"{file.name}.safetensors")
    code = LINE.format(file=json.dumps(str(file)), output=json.dumps(str(output)))
    return UsageError(
        f"file: {file} is a pickle, which can run any program when it is read: convert it where PyTorch 2.10 or newer is, by "
        f"python -c {shlex.quote(code)} (see docs/weights.md), and name {output}."
    )
