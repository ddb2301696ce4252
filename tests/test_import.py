"""`ssl-jax import` as a user types it: weights of a run leave, come back, and every command takes them."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

import ssl_jax
from ssl_jax.cli import main
from ssl_jax.commands.importing import _summary
from ssl_jax.interop import write_weights
from ssl_jax.methods.method import Backbone
from ssl_jax.networks import encoder

SMALL = "--data synthetic --image-size 14 --epochs 1 --batch-size 64 --devices 1".split()


def command(capsys, *words):
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, its encoder exported, and that imported again, with an array that the encoder has no place for."""
    folder = tmp_path_factory.mktemp("weights")
    words = ["--encoder", "vit_micro/7", "--run", folder / "run"]
    assert main(["pretrain", "simclr", *SMALL, *map(str, words)]) == 0
    assert main(["export", f"{folder}/run", "--layout", "timm", "--output", f"{folder}/x.safetensors"]) == 0
    arrays = {f"module.{name}": array for name, array in load_file(folder / "x.safetensors").items()}
    save_file(arrays | {"module.head.weight": np.ones((10, 64), np.float32)}, folder / "y.safetensors")
    return folder


@pytest.fixture(scope="module")
def imported(folder):
    words = ["import", folder / "y.safetensors", "--encoder", "vit_micro", "--data", "synthetic"]
    assert main([*map(str, words), "--run", f"{folder}/imported"]) == 0
    return folder / "imported"


@pytest.mark.slow
def test_what_was_exported_comes_back_bit_by_bit(folder, imported, tmp_path, capsys):
    output = tmp_path / "again.safetensors"
    assert command(capsys, "export", imported, "--layout", "timm", "--output", output)[0] == 0
    before, after = load_file(folder / "x.safetensors"), load_file(output)
    assert before.keys() == after.keys() and all((after[name] == array).all() for name, array in before.items())
    card = output.with_suffix(".md").read_text()
    assert "The encoder vit_micro, imported from y.safetensors" in card and str(folder) not in card
    own, back = ssl_jax.load(folder / "run"), ssl_jax.load(imported)
    images = np.random.default_rng(0).integers(0, 256, (4, 14, 14, 3), np.uint8)
    np.testing.assert_array_equal(back.features(images), own.features(images))
    assert back.layers == own.layers


@pytest.mark.slow
def test_it_says_what_it_found(folder, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["import", folder / "y.safetensors", "--encoder", "vit_micro", "--image-size", 21, "--run", run]
    code, out, err = command(capsys, *words)
    about = json.loads(out)
    assert code == 0 and "vit_micro in the names of timm under 'module.'" in err
    assert "not used: module.head.weight\n" in err and "ssl-jax evaluate" in err
    assert about | {"parameters": 0} == {
        "run": str(run), "encoder": "vit_micro", "image_size": 21, "layout": "timm", "prefix": "module.", "parameters": 0,
        "unused": ["module.head.weight"],
    }  # fmt: skip
    record = json.loads((run / "run.json").read_text())
    assert record["init"]["path"] == str(folder / "y.safetensors") and len(record["init"]["checksum"]) == 16
    assert record["arguments"]["trained_size"] == 14 and record["arguments"]["patch_size"] == 7
    assert ssl_jax.load(run).features(np.zeros((21, 21), np.uint8)).shape == (64,)
    assert command(capsys, *words)[0] == 0  # The same once more changes nothing.
    code, _, err = command(capsys, *words, "--prefix", "module.", "--pixels", "half")
    assert code == 2 and "holds another run (pixels is 'imagenet' in its run.json and 'half' in this command)" in err


@pytest.mark.slow
def test_images_that_are_no_squares_come_back_bit_by_bit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = encoder("vit_micro/7", image_shape=(14, 21, 3))
    write_weights("x.safetensors", "timm", Backbone(net, *net.init(jax.random.key(0))), image_size=(14, 21))
    words = "import x.safetensors --encoder vit_micro --run run".split()
    code, _, err = command(capsys, *words)
    assert code == 2 and "has 7 positions, expected those of a square and the class token: name the height and" in err
    code, out, _ = command(capsys, *words, "--image-size", 14, 21)
    assert code == 0 and json.loads(out)["image_size"] == [14, 21] and not json.loads(out)["unused"]
    assert command(capsys, *"export run --layout timm --output y.safetensors".split())[0] == 0
    before, after = load_file("x.safetensors"), load_file("y.safetensors")
    assert before.keys() == after.keys() and all((after[name] == array).all() for name, array in before.items())
    assert "img_size=(14, 21)" in (tmp_path / "y.md").read_text()


@pytest.mark.slow
def test_the_padding_of_a_small_stem_is_stated(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = encoder("resnet18", image_shape=(32, 32, 3), stem_padding=2)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), jax.eval_shape(net.init, jax.random.key(0)))
    write_weights("x.safetensors", "timm", Backbone(net, *zeros), image_size=32)
    words = "import x.safetensors --encoder resnet18 --run".split()
    for options, padding in (([], 1), (["--stem-padding", 2], 2)):
        run = f"run{padding}"
        code, _, err = command(capsys, *words, run, *options)
        assert code == 0 and f"with padding of {padding} before the first convolution, which no file shows" in err
        assert command(capsys, "export", run, "--layout", "timm", "--output", "y.safetensors")[0] == 0
        assert f"torch.nn.Conv2d(3, 64, 3, padding={padding}, bias=False)" in (tmp_path / "y.md").read_text()
    arrays = load_file("x.safetensors") | {"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}
    save_file(arrays, "z.safetensors")
    code, _, err = command(capsys, "import", "z.safetensors", "--encoder", "resnet18", "--stem-padding", 2)
    assert code == 2 and "stem_padding: z.safetensors has no ResNet with a stem for 32 pixels" in err


def test_names_that_are_not_used_are_summed_up():
    names = [
        "module.encoder_k.bn1.bias",
        "module.encoder_k.conv1.weight",
        "module.queue",
        *(f"x{part}" for part in range(8)),
    ]
    assert _summary(names) == "module.encoder_k (2 arrays), module.queue, x0, x1, x2, x3, x4, x5 and 2 more"
    names = [f"state_dict.module.{name}" for name in ("fc.0.weight", "fc.0.bias", "encoder_k.conv1.weight", "queue")]
    assert (
        _summary(names)
        == "state_dict.module.fc (2 arrays), state_dict.module.encoder_k.conv1.weight, state_dict.module.queue"
    )


@pytest.mark.slow
def test_the_commands_take_it(imported, tmp_path, capsys):
    code, out, _ = command(capsys, "evaluate", imported, "--layers", "all", "--protocols", "knn", "--save")
    layers = json.loads(out)["layers"]
    assert code == 0 and {"patches", "block1", "block4", "features"} <= layers.keys()
    code, _, err = command(capsys, "embed", imported, "--output", tmp_path / "x.npy")
    assert code == 0 and np.load(tmp_path / "x.npy").shape[1] == 64
    words = "--learning-rates 0.01 --epochs 0.1 --batch-size 64 --optimizer sgd"
    code, out, _ = command(capsys, "finetune", imported, *words.split())
    assert code == 0 and json.loads(out)["steps"] == 0
    page = (imported / "report.html").read_text()
    assert "imported" in page
    Image.fromarray(np.zeros((14, 14, 3), np.uint8)).save(tmp_path / "query.png")
    words = ["neighbors", imported, tmp_path / "query.png", "synthetic", "--count", 2]
    words += ["--output", tmp_path / "near.html"]
    code, out, _ = command(capsys, *words)
    assert code == 0 and len(json.loads(out)["neighbors"]) == 2
    words = ["--init", imported, "--encoder", "vit_micro/7", "--run", tmp_path / "on"]
    code, _, err = command(capsys, "pretrain", "byol", *SMALL, *words)
    assert code == 0 and f"starting from {imported}: encoder, " in err and "; new: head, predictor" in err
    code, _, err = command(capsys, "pretrain", "imported")
    assert code == 2 and "unknown method" in err


@pytest.mark.slow
def test_what_cannot_be_imported_is_one_sentence_and_nothing_is_written(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = folder / "y.safetensors"
    (tmp_path / "x.pth").write_bytes(b"\x80\x04")
    (tmp_path / "x.weights").write_bytes(b"PK\x03\x04")
    for words, sentence in {
        "x.pth --encoder resnet18": "is a pickle, which can run any program when it is read: convert it where PyTorch 2.10",
        "x.weights --encoder resnet18": "x.weights is a pickle",  # By its first bytes.
        "nothing.safetensors --encoder resnet18": "nothing.safetensors cannot be read",
        f"{file} --encoder resnet18": "has no ResNet by the names of timm",
        f"{file} --encoder vit_mikro": "did you mean 'vit_micro'?",
        f"{file} --encoder vit_tiny": "has no blocks.10.attn.proj.bias",
        f"{file} --encoder vit_tiny/8": "has patches of 7 pixels, got vit_tiny/8",
        f"{file} --encoder vit_micro --prefix x.": "prefix: got 'x.'",
        f"{file} --encoder vit_micro --heads 3": "heads",
        f"{file} --encoder vit_micro --image-size 17": "image_size",
        f"{file} --encoder vit_micro --data nowhere": "nowhere",
        f"{file}": "--encoder",
    }.items():
        code, out, err = command(capsys, "import", *words.split())
        assert code == 2 and sentence in err and err.startswith("ssl-jax: ") and err.count("\n") == 1, err
        assert not out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pth", "x.weights"]
