"""Exported encoders in the libraries themselves, and encoders of the libraries imported, where PyTorch is installed.

    pip install -e '.[dev,torch-export]'
    pytest -n0 tests/interop

`python experiments/weights_table.py` measures the same for the larger networks, too, and writes the table of docs/weights.md.
"""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import numpy as np
import pytest
import weights_table as measured
from safetensors.numpy import load_file

from ssl_jax.interop import LAYOUTS, write_weights
from ssl_jax.interop.loading import FILE

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
LARGE = ("regnety_8gf", "regnety_32gf", "ResNet-101", "vit_base", "vit_large", "vit_small/8")  # The script has them.
CASES = [
    (name, layout)
    for name, case in measured.CASES.items()
    if not name.startswith(LARGE)
    for layout in case.layouts
]  # fmt: skip


@pytest.fixture(autouse=True)
def libraries():
    for library in measured.LIBRARIES:
        pytest.importorskip(library)


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_features_are_the_same_there_and_back(name, layout):
    out, back = measured.differences(name, layout)
    assert out < 1e-4 and back < 1e-4


def test_the_lines_of_the_card_need_no_line_of_ours(tmp_path):
    """In a process that cannot import this package."""
    backbone, images, expected = measured.ours("vit_micro/7, 28 pixels, 1 channel")
    np.save(tmp_path / "images.npy", images.transpose(0, 3, 1, 2))
    for layout in ("timm", "transformers"):
        lines = write_weights(tmp_path / "x.safetensors", layout, backbone, image_size=28)
        program = [
            "import sys", "sys.modules['ssl_jax'] = sys.modules['jax'] = None", "import numpy, torch",
            "images = torch.from_numpy(numpy.load('images.npy'))", *lines,
            "numpy.save('features.npy', features.detach().numpy())",
        ]  # fmt: skip
        text = "\n".join(program).replace(FILE, json.dumps("x.safetensors"))
        subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True, capture_output=True, env={"PATH": ""})
        assert measured.difference(np.load(tmp_path / "features.npy"), expected) < 1e-4


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_sizes_of_images(layout, tmp_path):
    """transformers interpolates positions as ours are, timm with another kernel; torchvision takes the size of the file."""
    import torch  # noqa: PLC0415

    backbone, _, _ = measured.ours("vit_tiny/4, 32 pixels")
    lines = write_weights(tmp_path / "x.safetensors", layout, backbone, image_size=32)
    model, _ = measured.theirs(lines, tmp_path / "x.safetensors", np.zeros((1, 32, 32, 3), np.float32))
    images = np.random.default_rng(0).standard_normal((2, 48, 48, 3)).astype(np.float32)
    tensor = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    expected = measured.features_of(backbone, images)
    with torch.no_grad():
        if layout == "transformers":
            found = model(tensor, interpolate_pos_encoding=True).last_hidden_state[:, 0].numpy()
            assert measured.difference(found, expected) < 1e-4
        else:
            with pytest.raises(AssertionError):
                model(tensor)


def test_weights_of_the_card_as_onnx(tmp_path):
    """docs/weights.md: PyTorch's exporter, from the model that the lines make."""
    torch = pytest.importorskip("torch")
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library)
    import onnxruntime  # noqa: PLC0415

    page = (Path(__file__).parents[2] / "docs/weights.md").read_text()
    snippet = textwrap.dedent(re.search(r"( +import torch\n\n +batch = .*?\n    \)\n)", page, re.DOTALL)[1])
    for name in ("resnet18, 32 pixels", "vit_tiny/4, 32 pixels"):
        backbone, images, expected = measured.ours(name)
        lines = write_weights(tmp_path / "x.safetensors", "timm", backbone, image_size=32)
        model, _ = measured.theirs(lines, tmp_path / "x.safetensors", images)
        tensor = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        exec(snippet.replace('"encoder.onnx"', repr(str(tmp_path / "x.onnx"))), {"model": model, "images": tensor})
        session = onnxruntime.InferenceSession(tmp_path / "x.onnx")
        for count in (2, 1):  # Of any batch.
            found = session.run(None, {"images": tensor[:count].numpy()})[0]
            np.testing.assert_allclose(found, expected[:count], atol=1e-4 * expected.std())


def test_what_is_saved_and_imported_and_exported_again_is_the_same_bits(tmp_path):
    import timm  # noqa: PLC0415

    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, embed_dim=64, depth=4, num_heads=4, img_size=32)
    measured.redrawn(model)
    file = measured.saved(model, tmp_path)
    case = measured.of("vit_micro", 32, ("timm",))
    backbone = measured.imported(case, "timm", file, tmp_path)
    write_weights(tmp_path / "again.safetensors", "timm", backbone, image_size=32)
    before, after = load_file(file), load_file(tmp_path / "again.safetensors")
    assert before.keys() == after.keys()
    jax.tree.map(np.testing.assert_array_equal, after, before)
