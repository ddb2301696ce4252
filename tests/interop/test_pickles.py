"""The line that converts a file of PyTorch, with a stand-in for PyTorch; test_checkpoints.py runs it with PyTorch."""

import re
import shlex
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors

from ssl_jax.errors import UsageError
from ssl_jax.interop import arrays_in
from ssl_jax.interop.pickles import LINE, conversion_of

ROOT = Path(__file__).parents[2]


class Tensor(np.ndarray):
    def clone(self):
        return self.copy()

    def contiguous(self):
        return self


def tensor(number):
    return np.full(2, number).view(Tensor)


@pytest.fixture
def allowed():
    """What stands for each class or function that a file names."""
    return {}


@pytest.fixture
def converted(monkeypatch, allowed):
    """What the command of a refused file writes, by its name, from what `torch.load` gives."""

    def convert(file, loaded):
        written = {}
        serialization = SimpleNamespace(
            add_safe_globals=lambda pairs: allowed.update({name: made for made, name in pairs}),
            get_unsafe_globals_in_checkpoint=lambda path: ["__main__.exclude_bias_and_norm", "numpy.dtype"],
        )
        torch = SimpleNamespace(
            load=lambda path, **options: loaded if (path, options) == (str(file), OPTIONS) else None,
            is_tensor=lambda value: isinstance(value, Tensor),
            serialization=serialization,
        )
        saver = SimpleNamespace(save_file=lambda arrays, path: written.update({path: arrays}))
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setitem(sys.modules, "safetensors.torch", saver)
        monkeypatch.setattr(safetensors, "torch", saver, raising=False)
        command = re.search(r"python -c .*(?= \(see)", str(conversion_of(file)))[0]
        _, _, code = shlex.split(command)
        exec(code, {})
        return written

    return convert


OPTIONS = {"map_location": "cpu", "weights_only": True}


def test_arrays_alone_keep_their_names(converted):
    found = converted(Path("it's a.pth.tar"), {"conv1.weight": tensor(1), "fc.bias": tensor(2)})
    assert found.keys() == {"it's a.safetensors"}
    assert found["it's a.safetensors"].keys() == {"conv1.weight", "fc.bias"}


def test_the_parts_of_a_checkpoint_are_before_the_names(converted):
    optimizer = {"state": {0: {"step": tensor(1)}}, "param_groups": []}
    parts = {"teacher": {"backbone.norm.bias": tensor(3)}, "student": {"module.norm.bias": tensor(4)}}
    found = converted(Path("a/x.pth"), parts | {"epoch": 3, "args": SimpleNamespace(lr=1), "optimizer": optimizer})
    arrays = found["a/x.safetensors"]
    assert {name: array[0] for name, array in arrays.items()} == {
        "teacher.backbone.norm.bias": 3,
        "student.module.norm.bias": 4,
    }


def test_what_a_file_names_is_neither_imported_nor_called(converted, allowed, tmp_path):
    """In its place is an empty list, whatever it is called with and whatever its state is; others could run a program."""
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", b"")
    converted(tmp_path / "x.pth", {"a": tensor(1)})
    assert allowed.keys() == {"__main__.exclude_bias_and_norm", "numpy.dtype"}
    (ignored,) = set(allowed.values())
    made = ignored("f8", False, align=True)
    made.__setstate__((3, "<", None))
    assert isinstance(made, list) and made == [] == ignored.__new__(ignored, 1, 2) and len({made, ignored()}) == 2
    converted(Path("of an older form.pth"), {"a": tensor(1)})
    assert "argparse.Namespace" in allowed


def test_files_are_known_by_their_first_bytes(tmp_path):
    header = b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}'.ljust(640)
    for start, kind in {
        b"PK\x03\x04": "is a pickle",
        b"\x80\x02\x8a\nl\xfc": "is a pickle",
        b"\x80\x02.": "is no whole",
    }.items():
        (tmp_path / "x").write_bytes(start)
        with pytest.raises(UsageError, match=kind):
            arrays_in(tmp_path / "x", at_most=2**20)
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + b"7")
    assert (tmp_path / "x").read_bytes().startswith(b"\x80\x02") and arrays_in(tmp_path / "x", at_most=2**20)["a"] == 55


def test_the_page_shows_the_line():
    page = (ROOT / "docs/weights.md").read_text()
    assert "".join(LINE.format(file='"x.pth"', output='"x.safetensors"').split()) in "".join(page.split())


def test_the_line_writes_over_nothing(tmp_path):
    (tmp_path / "model.safetensors").touch()
    assert str(tmp_path / "model.v1.safetensors") in str(conversion_of(tmp_path / "model.v1"))


def test_a_pickle_with_the_ending_of_safetensors_is_to_be_renamed(tmp_path):
    assert "rename it to" in str(conversion_of(tmp_path / "x.safetensors"))
