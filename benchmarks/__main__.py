"""`python -m benchmarks` runs all that this machine permits; `python -m benchmarks NAME ...` runs `benchmarks/NAME.py`."""

import ast
import importlib
import runpy
import sys
import textwrap
from pathlib import Path

FOLDER = Path(__file__).parent
USAGE = """usage: python -m benchmarks [--only NAME ...] [--quick]
         all that this machine permits, each beside its peer; writes tables to
         benchmarks/results and docs/performance.md. --only some of them;
         --quick small sizes into a temporary folder, to check the scripts
       python -m benchmarks NAME [OPTIONS]
         one of these; its --help shows its options
"""


def main() -> None:
    sys.path.insert(0, str(FOLDER))  # As when the file itself is run: benchmarks import timing, machine and each other.
    names = sorted(importlib.import_module("catalogue").NAMES)
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    listed = USAGE + "".join(map(entry, names))
    if name in ("--help", "-h"):
        return print(listed, end="")
    if name and not name.startswith("-") and name not in names:
        sys.exit(f"benchmark: got {name}, expected one of these.\n{listed}".rstrip())
    all_of_them = name not in names
    script = FOLDER / f"{'everything' if all_of_them else name}.py"
    sys.argv = [str(script), *sys.argv[1 if all_of_them else 2 :]]
    runpy.run_path(str(script), run_name="__main__")


def entry(name: str) -> str:
    """A name with its purpose, in lines of 80 columns."""
    return textwrap.fill(f"  {name:<16}{purpose(name)}", 80, subsequent_indent=" " * 18) + "\n"


def purpose(name: str) -> str:
    """The first line of a benchmark's docstring."""
    return (ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or "").splitlines()[0]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nbenchmarks: stopped.", file=sys.stderr)
        sys.exit(130)
