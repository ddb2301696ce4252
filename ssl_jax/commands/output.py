"""What a command is asked to write: a file, or results beside a run."""

import errno
import tempfile
from pathlib import Path

from ssl_jax.errors import UsageError, writing


def check_ending(output: Path, *endings: str) -> None:
    """A `UsageError` where the name has none of these endings; it proposes the first."""
    if output.suffix not in endings:
        expected = " or ".join(filter(None, (", ".join(endings[:-1]), endings[-1])))
        raise UsageError(
            f"output: got {output}, expected a file that ends in {expected}: name it {output.stem}{endings[0]}."
        )


def check_writable(output: Path) -> None:
    """A `UsageError` where no file can be written there, before minutes of computation. Makes its folder."""
    with writing("output", output, "name a file in a folder that can be written"):
        if output.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent):
            pass


def check_saves(run: Path, option: str) -> None:
    """A `UsageError` where nothing can be added to the folder of a run, before minutes of computation.

    option: leaves out the saving.
    """
    folder = run if run.is_dir() else run.parent
    with writing("run", folder, f"free disk space, permit access, or {option}"), tempfile.TemporaryFile(dir=folder):
        pass
