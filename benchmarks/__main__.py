"""`python -m benchmarks NAME ...` runs `benchmarks/NAME.py`; without a name, the names and what each one measures."""

import ast
import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
HELPERS = {
    "__main__",
    "machine",
    "timing",
    "torch_steps",
    "lightly_steps",
    "accelerator_parts",
    "ntxent_ring",
    "processes",
}


def main() -> None:
    names = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in HELPERS)
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name not in names:
        lines = [f"  {each:<16}{purpose(each)}" for each in names]
        found = "" if name in (None, "--help", "-h") else f"benchmark: got {name}, expected one of these.\n"
        sys.exit(f"{found}usage: python -m benchmarks NAME [OPTIONS]\n" + "\n".join(lines))
    sys.path.insert(0, str(FOLDER))  # As when the file itself is run: benchmarks import timing, machine and each other.
    sys.argv = [str(FOLDER / f"{name}.py"), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name="__main__")


def purpose(name: str) -> str:
    """The first line of a benchmark's docstring."""
    return (ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text())) or "").splitlines()[0]


if __name__ == "__main__":
    main()
