"""The floors of the house: imports go down, never up, and each outside package has the rooms it may enter."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ssl_jax"
FLOORS = {
    "errors": -1, "files": -1, "ranges": -1, "runs": -1, "settings": -1, "sizes": -1,
    "ops": 0,
    "losses": 1, "augment": 1, "data": 1,
    "networks": 2, "optimizers": 2,
    "methods": 3, "composition": 3, "recipes": 3,
    "train": 4, "evaluate": 4, "report": 4, "interop": 4, "planning": 4, "sequences": 4,
    "commands": 5,
    "cli": 6,
}  # fmt: skip
TOP = 5
WINGS = {"sequences"}  # From data to evaluation in one folder, which no other folder of the package imports.
ROOMS = {
    "flax": {"networks", "sequences"},
    "optax": {"train", "optimizers", "evaluate"},
    "orbax": {"train/checkpoint.py"},
    "grain": {"data"},
    "tensorflow_datasets": {"data"},
    "safetensors": {"interop"},
    "tyro": {"options.py", "commands", "cli/signatures.py"},
}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor_of(module: str) -> int:
    parts = module.split(".")
    return -1 if parts[1].startswith("_") else FLOORS.get(parts[1], TOP)


def violations(path: Path, source: str) -> list[str]:
    inside = path.relative_to(PACKAGE).as_posix()
    here = FLOORS.get(inside.split("/")[0].removesuffix(".py"), TOP)
    names = imported(ast.parse(source))
    own = sorted(name for name in names if name.startswith("ssl_jax."))
    up = [name for name in own if floor_of(name) > here]
    across = [
        name for name in own if (wing := name.split(".")[1]) in WINGS and here < TOP and inside.split("/")[0] != wing
    ]
    out = [
        package
        for package, rooms in ROOMS.items()
        if any(name.split(".")[0] == package for name in names)
        and not any(inside == room or inside.startswith(room + "/") for room in rooms)
    ]
    return up + across + out


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path):
    assert not violations(path, path.read_text())


def test_the_layer_test_can_fail():
    assert "ssl_jax.losses" in violations(PACKAGE / "ops/x.py", "from ssl_jax.losses import ntxent")
    assert violations(PACKAGE / "train/loop.py", "import flax.nnx") == ["flax"]
    assert "ssl_jax.sequences.decoding" in violations(PACKAGE / "report/x.py", "import ssl_jax.sequences.decoding")
    assert not violations(PACKAGE / "sequences/x.py", "from ssl_jax.sequences.decoding import beam\nimport flax")
    assert not violations(PACKAGE / "train/loop.py", "import optax\nfrom ssl_jax.ops.normalize import unit_length")


def test_every_floor_has_a_folder():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(FLOORS)


def test_what_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["speech"]]
    declared = {name.split(">")[0].replace("-", "_").lower() for name in named}
    declared |= {"orbax", "pil", "absl", "ssl_jax"}  # orbax-checkpoint, pillow
    standard = sys.stdlib_module_names
    for path in PACKAGE.rglob("*.py"):
        packages = {name.split(".")[0].lower() for name in imported(ast.parse(path.read_text()))}
        assert packages - standard <= declared, f"{path} imports something that pyproject.toml does not declare"


@pytest.mark.slow
def test_every_package_can_be_imported_first():
    """Two modules that import each other fail or not, depending on which comes first."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted([*PACKAGE.glob("*.py"), *PACKAGE.glob("*/__init__.py")])
        if path.name != "__main__.py"
    ]
    program = """if True:
        import importlib, sys
        for name in sys.argv[1:]:
            for loaded in [other for other in sys.modules if other.split(".")[0] == "ssl_jax"]:
                del sys.modules[loaded]
            importlib.import_module(name)
    """
    subprocess.run([sys.executable, "-c", program, *names], check=True)
