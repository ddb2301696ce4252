"""Images that are no squares, as on the command line: `--image-size 12 16`, height first."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ssl_jax.cli import main
from ssl_jax.commands.first_weights import fitted
from ssl_jax.commands.saved_run import make_again
from ssl_jax.composition.images import Images
from ssl_jax.data import Data, as_source, open_data
from ssl_jax.errors import UsageError
from ssl_jax.networks.vit import vit
from ssl_jax.options import parse
from ssl_jax.recipes import find


def command(capsys, *words):
    code = main(list(map(str, words)))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def album(tmp_path):
    """Two classes of photographs, portraits and landscapes, with a test folder."""
    rng = np.random.default_rng(0)
    for number in range(24):
        path = (
            tmp_path
            / "album"
            / ("test" if number % 3 == 2 else "train")
            / "cat dog".split()[number % 2]
            / f"{number:02}.png"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (60, 50 + number, 3), np.uint8)).save(path)
    return tmp_path / "album"


@pytest.mark.slow
def test_all_commands_take_the_shape_of_a_run(album, tmp_path, capsys):
    """A ViT, whose positions and attention maps have a grid of 2 x 3 patches."""
    run, near, features = tmp_path / "run", tmp_path / "near.png", tmp_path / "features.csv"
    words = f"pretrain simclr --data {album} --image-size 14 21 --encoder vit_micro/7 --batch-size 8 --epochs 1".split()
    words += ["--devices", "1", "--run", str(run)]
    code, out, err = command(capsys, *words)
    request = json.loads((run / "run.json").read_text())
    assert code == 0 and "24 images of 14 x 21 x 3" in err and 0 <= json.loads(out)["knn"] <= 1
    assert request["arguments"]["image_size"] == [14, 21] and request["examples"]["train_shape"] == "14x21x3"
    with np.load(run / "pictures.npz") as pictures:
        assert pictures["views"].shape[2:] == (14, 21, 3) and pictures["rollout"].shape[1:] == (2, 3)
    page = (run / "report.html").read_text()
    assert "Attention maps" in page and 'class="notice"' not in page
    assert "resuming from step 2 of 2" in command(capsys, *words)[2]
    code, _, err = command(capsys, *words[:5], "14", *words[7:])
    assert code == 2 and "image_size" in err
    assert command(capsys, "embed", run, album, "--output", features)[0] == 0
    assert len(features.read_text().splitlines()) == 25
    assert command(capsys, "neighbors", run, album / "test/cat/02.png", "--output", near, "--count", 3)[0] == 0
    results = json.loads(command(capsys, "evaluate", run, "--layers", "patches", "block4")[1])
    assert "block4" in json.dumps(results)
    weights = tmp_path / "weights.safetensors"
    assert command(capsys, "export", run, "--layout", "timm", "--output", weights)[0] == 0
    card = weights.with_suffix(".md").read_text()
    assert "img_size=(14, 21)" in card and "`[B, 3, 14, 21]`" in card
    code, _, err = command(capsys, "export", run, "--layout", "torchvision", "--output", tmp_path / "no.safetensors")
    assert code == 2 and "torchvision has no vision transformer of images that are no squares: timm has" in err
    assert not (tmp_path / "no.safetensors").exists()


MISTAKES = {
    "rotation --recipe demo --data digits": "rotation needs square images, got 96 x 128: give one side, such as 96,",
    "jigsaw --data emblems": "jigsaw needs square images, got 96 x 128",
    "pirl": "pirl needs square images, got 96 x 128",
    "relative_position": "relative_position needs square images, got 96 x 128",
    "simclr --encoder vit_micro/7": "patch_size 7 must divide image_size 96 x 128: choose another, or resize",
    "simclr --stored-size 90": "stored_size: got 90, expected at least the shorter side of the image_size, 96 x 128",
    "simclr --data objects": "image_size: the images of objects are square, got 96 x 128: give one side, such as 96.",
    **dict.fromkeys(
        ["avid", "avc --recipe kinetics", "frames", "tracks", "cma"],
        "image_size: clips are square, got 96 x 128: give one side, such as 96.",
    ),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_what_needs_squares_refuses_in_a_sentence(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(capsys, "pretrain", *words.split(), "--image-size", "96", "128")
    assert code == 2 and out == "" and err.count("\n") == 1 and MISTAKES[words] in err
    assert not list(tmp_path.iterdir())


def test_sizes_are_two_numbers_of_pixels_at_most(capsys):
    _, _, err = command(capsys, "pretrain", "simclr", "--image-size", "1", "2", "3")
    assert "--image-size: got 1 2 3, expected INT or INT INT (all options:" in err
    _, _, err = command(capsys, "pretrain", "simclr", "--image-size", "48,64")
    assert "--image-size: got 48,64, expected" in err  # As it was typed.
    for typed in ("64x48", "64X48", "64,48", "64 48", "64 x 48"):
        _, _, err = command(capsys, "pretrain", "simclr", "--image-size", typed)
        assert "expected INT or INT INT: write --image-size 64 48 (all options:" in err
    _, _, err = command(capsys, "pretrain", "simclr", "--image-size", "48 64")
    assert "--image-size: got '48 64', expected" in err
    assert (
        "image_size: got 9000, expected 1 to 8,192"
        in command(capsys, "pretrain", "simclr", "--image-size", "8", "9000")[2]
    )


def test_one_number_is_the_side_of_a_square():
    def options(*, image_size: int | tuple[int, int] = 28):
        return image_size

    parsed = partial(parse, options, prog="ssl-jax")
    assert parsed(["--image-size", "96"]) == 96 and parsed(["--image-size", "96", "128"]) == (96, 128)


def test_the_largest_central_part_of_the_shape_is_kept(tmp_path):
    pixels = np.zeros((8, 30, 3), np.uint8)
    pixels[:, 9:21] = 200  # 8 x 12, the shape of 4 x 6.
    (tmp_path / "wide").mkdir()
    Image.fromarray(pixels).save(tmp_path / "wide/1.png")
    Image.fromarray(pixels.swapaxes(0, 1)).save(tmp_path / "wide/2.png")
    wide, tall = (open_data(str(tmp_path / "wide"), image_size=(4, 6)).train[number]["image"] for number in (0, 1))
    assert wide.shape == tall.shape == (4, 6, 3) and (tall == 200).all()
    assert wide.min() > 180  # Resampling sees a pixel of the border.


@pytest.mark.parametrize(("stored", "shape"), [(None, (12, 16, 1)), (24, (24, 32, 1))])
def test_stored_images_have_the_shape_of_the_views(stored, shape):
    opened = Images("digits", (12, 16), "small", stored_size=stored).open()
    assert opened.data.train.image_shape == shape and opened.image_size == (12, 16)
    assert opened.prepare(opened.data.train[0]["image"]).shape == (12, 16, 1)


def test_runs_of_one_number_are_made_again():
    request = {"method": "simclr", "recipe": "demo", "arguments": {"data": "digits", "image_size": 12}}
    assert make_again(request)().data.train.image_shape == (12, 12, 1)
    request["arguments"]["image_size"] = [12, 16]
    assert make_again(request)().data.train.image_shape == (12, 16, 1)


def test_two_equal_sides_are_a_square():
    assert Images("digits", (12, 12), "small").open().image_size == 12
    assert find("rotation", "demo")(image_size=(12, 12)).data.train.image_shape == (12, 12, 1)


def test_a_patch_divides_both_sides():
    assert Images("digits", (96, 128), "vit_micro").open().grid == (12, 16)
    with pytest.raises(UsageError, match="no patch of 2 to 16 pixels cuts 96 x 101 pixels into 7 or more"):
        Images("digits", (96, 101), "vit_micro").open()


def given(height, width):
    """Eight images in colour of this shape, in Python."""
    images = np.random.default_rng(0).integers(0, 256, (8, height, width, 3)).astype(np.uint8)
    return Data("given", as_source((images, np.arange(8) % 2), classes=("a", "b")), None)


@pytest.mark.parametrize("method", ["mae", "ijepa", "ibot", "swav", "cpc", "inpainting", "colorization"])
def test_methods_that_need_no_squares_take_both_sides(method):
    recipe = find(method, "demo")(data=given(28, 56), image_size=(28, 56), batch_size=2, epochs=1)

    def encode(rng):
        params, state = recipe.method.init(rng)
        views = jax.vmap(recipe.augment)(jax.random.split(rng, 2), jnp.zeros((2, 28, 56, 3), jnp.uint8))
        embeddings, _ = recipe.method.encode(
            params, state, {**as_dict(views), "index": jnp.arange(2)}, rng, jnp.int32(0)
        )
        return views, embeddings, recipe.method.reconstruct(params, state, as_dict(views))

    views, embeddings, whole = jax.eval_shape(encode, jax.random.key(0))
    assert as_dict(views)["views"].shape[2:4] == (28, 56) and embeddings["embedding"].shape[0] == 2
    assert whole is None or whole.shape[:3] == (2, 28, 56)
    if method in ("mae", "ijepa"):
        assert recipe.method.encoder.module.grid == {"mae": (7, 14), "ijepa": (4, 8)}[method]


def test_chance_counts_the_patches_of_both_sides():
    recipe = find("cpc", "demo")(data=given(28, 56), image_size=(28, 56), batch_size=2, epochs=1)
    assert np.isclose(recipe.method.chance_loss(2), np.log(2 * 3 * 7))  # Patches of 14 pixels, 7 apart.


def test_positions_for_another_grid_start_a_run():
    """The class token's stays, the others are interpolated as the network of the first run does it."""
    options = {"patch_size": 7, "dim": 8, "depth": 1, "heads": 2}
    theirs, ours = vit(image_size=(14, 21), **options), vit(image_size=(28, 14), **options)
    params, stats = theirs.init(jax.random.key(0))
    found = fitted(np.asarray(params["positions"]), np.zeros((9, 8), np.float32), "positions", theirs=theirs, ours=ours)
    expected, _ = theirs.apply(params, stats, (4, 2), train=False, method="positions_of")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def as_dict(views):
    return views if isinstance(views, dict) else {"views": views}
