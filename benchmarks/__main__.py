"""`python -m benchmarks` runs all that this machine permits; `python -m benchmarks NAME ...` runs `benchmarks/NAME.py`."""

import ast
import importlib
import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
USAGE = """usage: python -m benchmarks [--only NAME ...] [--quick]
         all that this machine permits, each beside its peer, with their tables in benchmarks/results and docs/performance.md;
         --only some of them; --quick small sizes into a temporary folder, as a check of the scripts
       python -m benchmarks NAME [OPTIONS]
         one of these, whose --help shows its options
"""


def main() -> None:
    sys.path.insert(0, str(FOLDER))  # As when the file itself is run: benchmarks import timing, machine and each other.
    names = sorted(importlib.import_module("catalogue").NAMES)
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    listed = USAGE + "".join(f"  {each:<16}{purpose(each)}\n" for each in names)
    if name in ("--help", "-h"):
        return print(listed, end="")
    if name and not name.startswith("-") and name not in names:
        sys.exit(f"benchmark: got {name}, expected one of these.\n{listed}".rstrip())
    all_of_them = name not in names
    script = FOLDER / f"{'everything' if all_of_them else name}.py"
    sys.argv = [str(script), *sys.argv[1 if all_of_them else 2 :]]
    runpy.run_path(str(script), run_name="__main__")


def purpose(name: str) -> str:
    """The first line of a benchmark's docstring."""
    return (ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or "").splitlines()[0]


if __name__ == "__main__":
    main()
