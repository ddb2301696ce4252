"""The ways a run ends early in one sentence instead of a traceback. Below every floor: imports nothing of ours."""

import contextlib
import difflib
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGE = str(Path(__file__).parent)
# Faults that a value can cause in code that is right. Others, such as AttributeError or KeyError, are faults of the code.
CAUSED_BY_VALUES = (ValueError, TypeError, ArithmeticError, MemoryError)


class UsageError(ValueError):
    """The request cannot be carried out: names the argument, its value, the expected values, and a remedy. Exit code 2."""


class RunError(RuntimeError):
    """The request was sound but the run cannot continue (NaN loss, damaged files, full disk). Exit code 1."""


class Stopped(RunError):
    """A signal stopped the run; its state is saved, and the same command resumes it. Exit code 75."""


def pick(what: str, name: str, options: Iterable[str]) -> str:
    """`name` if it is one of `options`, else a `UsageError` that names the most similar one.

    Example:
      >>> print(pick("layout", "timm", ["timm", "torchvision"]))
      timm
    """
    options = sorted(options)
    if name in options:
        return name
    near = difflib.get_close_matches(name.lower(), options, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(options)}."
    raise UsageError(f"unknown {what} {name!r}: {hint}")


def differences(first: Mapping[str, Any], second: Mapping[str, Any], *, in_first: str, in_second: str) -> list[str]:
    """Where two requests differ, in order of the names: "seed is 0 in its run.json and 1 in this command".

    Example:
      >>> print(differences({"seed": 0}, {"seed": 1}, in_first="in run.json", in_second="in this command"))
      ['seed is 0 in run.json and 1 in this command']
    """
    return [
        f"{name} is {first.get(name)!r} {in_first} and {second.get(name)!r} {in_second}"
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    ]


@contextlib.contextmanager
def usage_errors(chosen: Mapping[str, Any]) -> Iterator[None]:
    """Turns a fault that chosen values cause inside the package or a library into a `UsageError` that names these values.

    A fault keeps its traceback where no value differs from the defaults, where it is raised by or below code outside the
    package (an augmentation or a method of one's own), and where its type says that the code is wrong: a TypeError raised
    by the package itself, JAX's errors about tracers, and every type that `CAUSED_BY_VALUES` does not list. The `UsageError`
    has the fault as its cause.

    Args:
      chosen: options by name, those whose values differ from their defaults.

    Example:
      >>> with usage_errors({"image_size": 28}):
      ...     pass  # A ValueError of a library would become a UsageError that names image_size.
    """
    try:
        yield
    except (UsageError, RunError):
        raise
    except CAUSED_BY_VALUES as fault:
        if not chosen or _is_fault_of_code(fault):
            raise
        values = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
        what = "one of these values" if len(chosen) > 1 else "this value"
        raise UsageError(f"{values}: {reason_of(fault)}: change {what}.") from fault


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Turns a failed allocation, on a device or in the host's memory, into a `RunError` that names options that need less.

    Example:
      >>> with memory_errors():
      ...     pass  # A MemoryError would become a RunError.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as fault:
        if not isinstance(fault, MemoryError) and "RESOURCE_EXHAUSTED" not in str(fault):
            raise
        raise RunError(
            f"memory: the run needs more than is available ({reason_of(fault)}): lower --batch-size, or try --microbatches 2 "
            "and --rematerialize; on several devices, --shard-parameters."
        ) from fault


@contextlib.contextmanager
def writing(option: str, path: Path, remedy: str) -> Iterator[None]:
    """Turns an operating system's refusal to write at `path`, which `option` names, into a `UsageError` with a remedy.

    Example:
      >>> with writing("output", folder / "x.csv", "choose another file"):
      ...     size = (folder / "x.csv").write_text("path,label")
    """
    try:
        yield
    except OSError as fault:
        reason = fault.strerror or reason_of(fault)
        raise UsageError(f"{option}: cannot write {str(path)[:200]} ({reason}): {remedy}.") from fault


def reason_of(fault: BaseException) -> str:
    """The first sentence of a fault's message, on one line.

    Example:
      >>> print(reason_of(ValueError("x is 3. Choose 4.")))
      x is 3. Choose 4
    """
    text = fault.msg if isinstance(fault, SyntaxError) else str(fault)  # Without its file and line once more.
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0][:300].rstrip(".:") if lines else "") or type(fault).__name__


def own_place(fault: BaseException) -> str | None:
    """Where code outside the package and the libraries raised a fault: "/x/my_file.py, line 3, in objective".

    None where no such code was running. The frames are those from where the fault was caught.

    Example:
      >>> print(own_place(ValueError("raised nowhere")))
      None
    """
    if isinstance(fault, SyntaxError) and fault.filename:
        return f"{fault.filename}, line {fault.lineno}"
    outside = [frame for frame in traceback.extract_tb(fault.__traceback__) if _is_outside(frame.filename)]
    if not outside:
        return None
    last = outside[-1]
    function = "" if last.name.startswith("<") else f", in {last.name}"
    return f"{last.filename}, line {last.lineno}{function}"


def _is_outside(file: str) -> bool:
    """Whether a file of code is neither the package's nor a library's."""
    libraries = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return not file.startswith((PACKAGE, "<", *libraries)) and "site-packages" not in Path(file).parts


def _is_fault_of_code(fault: BaseException) -> bool:
    files = [frame.filename for frame in traceback.extract_tb(fault.__traceback__)]
    files = files[2:]  # Below `usage_errors` and its caller.
    of_the_package = isinstance(fault, TypeError) and bool(files) and files[-1].startswith(PACKAGE)
    return any(map(_is_outside, files)) or of_the_package or type(fault).__module__.startswith("jax")
