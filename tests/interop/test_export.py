"""`ssl-jax export` of a run of seconds, and the model card."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.views import evaluation_view
from ssl_jax.cli import main
from ssl_jax.commands.saved_run import restore
from ssl_jax.interop import read_weights
from ssl_jax.interop.card import pixels_of

SMALL = (
    "--data synthetic --image-size 16 --epochs 1 --batch-size 64 --log-every 8 --evaluate-every 8 --devices 1".split()
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    assert main(["pretrain", "simclr", *SMALL, "--encoder", "vit_micro", "--run", str(run)]) == 0
    return run


@pytest.mark.slow
def test_the_file_holds_the_weights_that_are_evaluated_and_the_card_how_to_use_them(run, tmp_path, capsys):
    output = tmp_path / "new" / "encoder.safetensors"
    assert main(["export", str(run), "--layout", "timm", "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert sorted(path.name for path in output.parent.iterdir()) == ["encoder.md", "encoder.safetensors"]
    _, recipe, state, _ = restore(run, None)
    expected = recipe.method.backbone(state.params, state.method_state)
    found, unused = read_weights(output, "timm", expected.net)
    assert not unused
    images = np.random.default_rng(0).standard_normal((2, 16, 16, 3)).astype(np.float32)
    features = [
        expected.net.apply(weights.params, weights.stats, jnp.asarray(images), train=False)[0]["features"]
        for weights in (found, expected)
    ]
    np.testing.assert_array_equal(*features)
    card, results = output.with_suffix(".md").read_text(), json.loads((run / "results.json").read_text())
    accuracy = results["features"]["pretrained"]["linear"]["accuracy"]
    for part in (
        'timm.create_model("vit_tiny_patch16_224", checkpoint_path="encoder.safetensors", num_classes=0, embed_dim=64',
        "img_size=16", "simclr, recipe demo", f"after {int(state.step)} steps on synthetic", f"| {100 * accuracy:.1f} ±",
        "arXiv:2002.05709", "torchvision.transforms.Normalize(", '"temperature": 0.2',
    ):  # fmt: skip
        assert part in card, part
    assert str(run) not in card


def test_weights_of_an_earlier_step_have_no_figures(run, tmp_path):
    steps = sorted(int(path.name) for path in (run / "checkpoints").iterdir() if path.name.isdigit())
    output = tmp_path / "x.safetensors"
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps(results | {"steps": steps[-1] + 1}))
    assert main(["export", str(run), "--layout", "timm", "--output", str(output)]) == 0
    (run / "results.json").write_text(json.dumps(results))
    assert "These weights were not evaluated." in output.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--layout transformers --output x.npz", "expected a file that ends in .safetensors: name it x.safetensors."),
        ("--layout transformers --output /dev/null/x.safetensors", "output: cannot write /dev/null/x.safetensors"),
        ("--layout tim --output x.safetensors", "invalid choice"),
        ("--layout timm --output x.safetensors --step 5", "step"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(run, tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").symlink_to(run)
    assert main(["export", "run", *words.split()]) in (1, 2)
    err = capsys.readouterr().err
    assert sentence in err and err.splitlines()[-1].startswith("ssl-jax: ")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_statistics_of_the_pixels_are_the_recipes():
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    view = evaluation_view(size=32, crop_fraction=0.875, mean=mean, std=std)
    assert pixels_of(view, (40, 36, 3)) == ((32, 32, 3), mean, std)
    assert pixels_of(lambda image: view(image)[..., ::-1], (40, 36, 3)) == ((32, 32, 3), None, None)
    assert pixels_of(lambda image: image[..., :1] / 255, (8, 8, 3)) == ((8, 8, 1), None, None)
    assert pixels_of(lambda image: jnp.square(image.astype(jnp.float32) / 255), (8, 8, 1)).mean is None
