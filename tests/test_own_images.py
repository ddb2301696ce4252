"""What a trained run says about images of one's own: `ssl-jax embed`, `ssl-jax neighbors`, `ssl_jax.load`."""

import csv
import json

import jax.numpy as jnp
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

import ssl_jax
from ssl_jax.cli import main
from ssl_jax.errors import UsageError

SIDE = 12


def command(capsys, *words):
    code = main(list(map(str, words)))
    said = capsys.readouterr()
    return code, said.out, said.err


def draw(path, seed, size=(20, 16)):
    """A picture with coarse colours that depend on the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(cells).resize(size, Image.Resampling.BILINEAR).save(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one step on 16 images without labels."""
    folder = tmp_path_factory.mktemp("trained")
    for number in range(16):
        draw(folder / f"data/{number:02}.png", number)
    words = f"--data {folder}/data --image-size {SIDE} --batch-size 16 --epochs 1 --devices 1 --run {folder}/run"
    assert main(["pretrain", "simclr", *words.split()]) == 0
    return folder / "run"


@pytest.fixture
def mine(tmp_path):
    """Images of one's own: three parts, two classes, one image that cannot be read, a name with a comma and a quote."""
    folder = tmp_path / "mine"
    for seed, name in enumerate(
        ("train/cat/1.png", "train/cat/3.png", 'train/dog/a, "b".png', "test/cat/1.png", "val/x.png")
    ):
        draw(folder / name, 100 + seed, size=(20 + seed, 16))
    (folder / "train/cat/2.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def trained(run):
    return ssl_jax.load(run)


@pytest.mark.slow
def test_embed_writes_the_same_rows_as_parquet_csv_and_npy(run, mine, tmp_path, capsys):
    files = {ending: tmp_path / f"new/features.{ending}" for ending in ("parquet", "csv", "npy")}
    for file in files.values():
        code, out, err = command(capsys, "embed", run, mine, "--output", file, "--split", "all")
        assert code == 0 and out == f"{file}\n"
        said = f"{file}: 5 rows of 256 numbers, without 1 of 6 images, which cannot be read"
        assert err.splitlines()[-1] == said
    table = pyarrow.parquet.read_table(files["parquet"])
    assert str(table.schema.field("embedding").type).startswith("list<") and "float" in str(table.schema)
    rows = table.to_pylist()
    assert list(rows[0]) == ["path", "split", "label", "embedding"]
    assert [(row["path"].removeprefix(f"{mine}/"), row["split"], row["label"]) for row in rows] == [
        ("train/cat/1.png", "train", "cat"),
        ("train/cat/3.png", "train", "cat"),
        ('train/dog/a, "b".png', "train", "dog"),
        ("test/cat/1.png", "test", "cat"),
        ("val/x.png", "val", ""),
    ]
    features = np.load(files["npy"])
    assert features.dtype == np.float32 and len(np.unique(features, axis=0)) == 5
    np.testing.assert_array_equal(features, np.array([row["embedding"] for row in rows], np.float32))
    with files["csv"].open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["path", "split", "label", *(f"e{number}" for number in range(256))]
    assert [line[:3] for line in lines[1:]] == [[row[name] for name in ("path", "split", "label")] for row in rows]
    np.testing.assert_array_equal(np.array([line[3:] for line in lines[1:]], np.float32), features)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "features.csv",
        "features.npy",
        "features.parquet",
    ]


@pytest.mark.slow
def test_embed_a_split_a_file_and_the_runs_own_data(run, mine, tmp_path, capsys):
    def rows(*words, name="x.npy"):
        assert command(capsys, "embed", run, *words, "--output", tmp_path / name)[0] == 0
        return np.load(tmp_path / name) if name == "x.npy" else pyarrow.parquet.read_table(tmp_path / name).to_pylist()

    assert len(rows(mine)) == 3 and len(rows(mine, "--split", "test")) == 1
    assert [row["path"] for row in rows(name="x.parquet")] == [str(run.parent / f"data/{n:02}.png") for n in range(16)]
    (alone,) = rows(mine / "train/cat/3.png", name="x.parquet")
    assert alone["path"] == str(mine / "train/cat/3.png") and alone["label"] == ""
    np.testing.assert_allclose(alone["embedding"], rows(mine)[1], atol=1e-6)
    first, *_ = rows("synthetic", name="x.parquet")
    assert first["path"] == "synthetic:0[0]" and first["label"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "{mine} --output x.txt",
            "output: got x.txt, expected a file that ends in .parquet, .csv or .npy: name it x.parquet.",
        ),
        ("{mine}/none.png --output x.csv", "none.png: name an image, a folder or a data set."),
        ("{mine}/train/cat/1.png --split test --output x.csv", "split: got test, but "),
        ("{mine}/train --layer layer9 --output x.csv", "unknown layer 'layer9': did you mean 'layer"),
        ("cifar --output x.csv", "cifar10"),
    ],
)
def test_mistakes_are_one_sentence(run, mine, tmp_path, monkeypatch, capsys, words, sentence):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, out, err = command(capsys, "embed", run, *words.format(mine=mine).split())
    assert code == 2 and out == "" and sentence in err and err.startswith("ssl-jax: ") and err.count("\n") == 1, err
    assert not list((tmp_path / "here").iterdir())


def test_a_loaded_run_computes_what_embed_writes(run, trained, mine, tmp_path, capsys):
    assert command(capsys, "embed", run, mine / "train", "--output", tmp_path / "x.npy")[0] == 0
    written = np.load(tmp_path / "x.npy")
    paths = [mine / "train/cat/1.png", str(mine / "train/cat/3.png"), mine / 'train/dog/a, "b".png']
    arrays = [np.asarray(Image.open(path)) for path in paths]
    found = trained.features(paths)
    assert found.dtype == np.float32 and found.shape == (3, 256)
    np.testing.assert_allclose(found, written, atol=1e-6)
    for same in (arrays, [Image.open(path) for path in paths], [paths[0], arrays[1], Image.open(paths[2])]):
        np.testing.assert_array_equal(trained.features(same), found)
    np.testing.assert_allclose(trained.features(arrays[1]), found[1], atol=1e-6)
    np.testing.assert_allclose(trained.features(jnp.asarray(arrays[1])[None]), found[1:2], atol=1e-6)
    assert command(capsys, "embed", run, mine / "train", "--layer", "layer2", "--output", tmp_path / "x.npy")[0] == 0
    np.testing.assert_allclose(trained.features(paths, "layer2"), np.load(tmp_path / "x.npy"), atol=1e-6)


def test_a_loaded_run_takes_more_images_than_a_batch(trained):
    images = np.random.default_rng(0).integers(0, 256, (520, 10, 14), np.uint8)
    features = trained.features(list(images))
    np.testing.assert_allclose(
        features[[0, 511, 512, 519]], trained.features(images[[0, 511, 512, 519], ..., None]), atol=1e-6
    )


def test_what_a_loaded_run_says_of_itself(run, trained, mine):
    assert list(trained.layers) == ["layer1", "layer2", "layer3", "features"] and trained.layers["features"] == 256
    assert all(trained.features(mine / "val/x.png", layer).shape == (width,) for layer, width in trained.layers.items())
    assert trained.classes == () and trained.image_shape == (SIDE, SIDE, 3)
    flat = trained.preprocess(np.full((30, 40), 128, np.uint8))
    assert flat.shape == (SIDE, SIDE, 3) and flat.dtype == np.float32 and np.ptp(flat, axis=(0, 1)).max() == 0
    assert "step" in json.dumps(ssl_jax.load.__doc__)
    with pytest.raises(UsageError, match="step: got 77"):
        ssl_jax.load(run, step=77)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "images: got none, expected at least one image."),
        (np.zeros((2, 8, 8, 3), np.float32), "images: got images of float32, expected uint8"),
        (np.zeros((8, 8, 4), np.uint8), "images: got images of shape"),
        (["/nowhere/x.png"], "images: /nowhere/x.png cannot be read .No such file or directory.: repair"),
    ],
)
def test_what_is_no_image_is_a_value_error(trained, images, sentence):
    with pytest.raises(ValueError, match=sentence):
        trained.features(images)


def test_neighbors_are_those_of_the_cosine_without_the_query(run, trained, mine, capsys):
    query = mine / "train/cat/1.png"
    code, out, err = command(capsys, "neighbors", run, query, mine, "--count", 3)
    (line,) = out.splitlines()
    found = json.loads(line)
    assert code == 0 and found.keys() == {"query", "data", "layer", "neighbors"} and found["query"] == str(query)
    assert "searching 4 images of" in err
    paths = [mine / name for name in ("train/cat/3.png", 'train/dog/a, "b".png', "test/cat/1.png", "val/x.png")]
    first, others = trained.features(query).astype(float), trained.features(paths).astype(float)
    cosines = [float(first @ row / np.sqrt((first @ first) * (row @ row))) for row in others]
    nearest = sorted(zip(cosines, map(str, paths), strict=True), reverse=True)[:3]
    assert [each["path"] for each in found["neighbors"]] == [path for _, path in nearest]
    assert [each["cosine"] for each in found["neighbors"]] == pytest.approx([cosine for cosine, _ in nearest], abs=1e-5)
    assert all(each.keys() == {"path", "split", "label", "cosine"} for each in found["neighbors"])


def test_neighbors_finds_a_copy_among_the_runs_training_images(run, tmp_path, capsys):
    draw(tmp_path / "copy.png", 5)
    code, out, _ = command(capsys, "neighbors", run, tmp_path / "copy.png", "--count", 99, "--layer", "layer1")
    found = json.loads(out)["neighbors"]
    assert code == 0 and len(found) == 16 and found[0]["path"].endswith("data/05.png") and found[1]["cosine"] < 1 - 1e-6
    assert found[0]["cosine"] == pytest.approx(1, abs=1e-5) and {each["split"] for each in found} == {"train"}


@pytest.mark.slow
def test_neighbors_as_page_picture_and_json(run, mine, tmp_path, capsys):
    hostile = mine / "train/cat/<img src=stolen>.png"
    draw(hostile, 7, size=(400, 300))
    for ending in ("html", "png", "json"):
        file = tmp_path / f"out/near.{ending}"
        code, out, err = command(capsys, "neighbors", run, hostile, mine, "--output", file)
        assert code == 0 and err.splitlines()[-1] == f"wrote {file}"
    assert (
        json.loads((tmp_path / "out/near.json").read_text()) == json.loads(out)
        and len(json.loads(out)["neighbors"]) == 5
    )
    page = (tmp_path / "out/near.html").read_text()
    assert "<img src=stolen>" not in page and "&lt;img src=stolen&gt;.png" in page
    assert page.count('src="data:image/') == 6 and "a, &quot;b&quot;.png" in page and ">dog<" in page
    with Image.open(tmp_path / "out/near.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 200 and len(np.unique(np.asarray(picture))) > 99
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["near.html", "near.json", "near.png"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("none.png {mine}", "query: none.png cannot be read (No such file or directory): name an image file."),
        ("{mine}/train/cat/2.png", "2.png cannot be read (not an image of a known format): name an image file."),
        ("{mine}/val/x.png {mine} --output x.gif", "output: got x.gif, expected a file that ends in .html, .png or .json"),
        ("{mine}/val/x.png --count 0", "count: got 0, expected 1 to 1,000."),
        ("{mine}/val/x.png {mine}/val/x.png --output x.png", "x.png holds no image but the query: name a folder"),
    ],
)  # fmt: skip
def test_mistakes_of_neighbors_are_one_sentence(run, mine, tmp_path, monkeypatch, capsys, words, sentence):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, out, err = command(capsys, "neighbors", run, *words.format(mine=mine).split())
    assert code == 2 and out == "" and sentence in err and "\nssl-jax: " in f"\n{err}", err
    assert not list((tmp_path / "here").iterdir())
