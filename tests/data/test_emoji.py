"""Emoji by several artists: prepared from packages made here, and read as other data sets are."""

import io
import json

import numpy as np
import pytest
from archives import package, tarball
from PIL import Image, ImageFont

from ssl_jax.data import open_data
from ssl_jax.data.named import emoji
from ssl_jax.data.named.emoji_artists import ARTISTS, GROUPS, Artist, drawing, read_concepts, read_files, read_font
from ssl_jax.data.preparation import emoji as preparation
from ssl_jax.data.preparation.emoji import prepare_emoji
from ssl_jax.errors import RunError, UsageError

CODES = ["1F600", "2601-FE0F", "1F1E6-1F1E8", "1F33E"]
ENTRIES = [
    {
        "unified": code,
        "non_qualified": "2601" if code[:4] == "2601" else None,
        "name": name,
        "category": group,
        "sort_order": order,
    }
    for order, (code, name, group) in enumerate(
        zip(
            CODES,
            ["GRINNING FACE", "CLOUD", "Flag", "CLOUD"],
            [GROUPS[0], GROUPS[4], GROUPS[8], GROUPS[2]],
            strict=True,
        )
    )
] + [{"unified": "1F3FB", "non_qualified": None, "name": "TONE", "category": "Component", "sort_order": 9}]


def picture(colour, *, size=64, kind="PNG"):
    """A square of one colour; its left half is transparent."""
    pixels = np.zeros((size, size, 4), np.uint8)
    pixels[:, size // 2 :] = (*colour, 255)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return encoded.getvalue()


def artist(name, folder, *, codes, size=64, kind="PNG", concepts=False):
    """An artist whose package is in the folder: one colour for each of these codes."""
    suffix = f".{kind.lower()}"
    files = {
        f"package/img/{code}{suffix}": picture((40 * row, 90, 200), size=size, kind=kind)
        for row, code in enumerate(codes)
    }
    files |= {"package/emoji.json": json.dumps(ENTRIES[::-1]).encode()} if concepts else {}
    content = tarball(files)
    (folder / f"{name}.tgz").write_bytes(content)
    return Artist(
        name, package(f"http://127.0.0.1:1/{name}.tgz", content),
        lambda path, concepts: read_files(path, concepts, prefix="package/img/", suffix=suffix),
    )  # fmt: skip


@pytest.fixture
def artists(tmp_path):
    """The four names, with packages of our own in a folder."""
    folder = tmp_path / "packages"
    folder.mkdir()
    made = {
        name: artist(name, folder, codes=[code.lower() for code in CODES], concepts=name == "google")
        for name in ARTISTS
    }
    made["microsoft"] = artist("microsoft", folder, codes=["1f600", "2601", "1f33e"], size=256, kind="WEBP")
    return made


@pytest.fixture
def prepared(artists, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    return prepare_emoji(packages=tmp_path / "packages", artists=artists)


def test_every_artist_has_the_concepts_that_all_have_drawn(prepared):
    data = open_data("emoji,label=concept")
    assert (len(data.train), len(data.test), data.train.image_shape) == (9, 3, (64, 64, 3))
    assert data.classes == ("grinning face", "cloud", "cloud (1F33E)")  # the flag is not among Microsoft's
    by_label = {int(example["label"]): example["image"] for example in map(data.test.__getitem__, range(3))}
    assert sorted(by_label) == [0, 1, 2]
    assert (by_label[1][:, :32] == 255).all() and (by_label[1][:, 32:] == (40, 90, 200)).all()  # on white
    assert np.bincount([int(data.train[number]["label"]) for number in range(9)]).tolist() == [3, 3, 3]


def test_the_name_chooses_artists_and_labels(prepared):
    groups = open_data("emoji", image_size=32)
    assert groups.classes == GROUPS and groups.train.image_shape == (32, 32, 3)
    assert sorted(int(groups.test[number]["label"]) for number in range(3)) == [0, 2, 4]
    other = open_data("emoji:google+twitter,test=microsoft,label=artist")
    assert (len(other.train), {int(other.test[number]["label"]) for number in range(3)}) == (6, {2})
    assert open_data("emoji,label=none").classes == ()


@pytest.mark.parametrize(
    ("name", "sentence"),
    {
        "emoji,test=gogle": "unknown artist 'gogle': did you mean 'google'",
        "emoji,label=name": "unknown label 'name'",
        "emoji,hand=google": "is not a name of emoji: write it like",
        "emoji,test=google,test=twitter": "is not a name of emoji",
        "emoji:openmoji": "openmoji is both to train on .* and to test on",
        "emoji:apple": "has no examples in a split 'apple'",
    }.items(),
)
def test_mistaken_names_are_one_sentence(prepared, name, sentence):
    with pytest.raises(UsageError, match=sentence):
        open_data(name)


def test_where_it_is_not_prepared_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"is not prepared in .*: run `ssl-jax data prepare emoji`, which downloads 183 MB"
    ):
        open_data("emoji")


def test_it_is_announced_and_prepared_once(artists, prepared, tmp_path, capsys):
    prepare_emoji(packages=tmp_path / "packages", artists=artists)
    assert "is there already: remove it to prepare it again" in capsys.readouterr().err
    prepare_emoji(tmp_path / "other", packages=tmp_path / "packages", artists=artists)
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert "4 packages of public registries" in lines[0] and "CC0 (its LICENSE)" in lines[1] and "reading" in lines[5]
    assert "3 of 4 emoji are drawn by all 4 artists" in said.err and "TFDS_DATA_DIR=" in lines[-1] and not said.out
    assert "google: CC0" in (tmp_path / "other/emoji/1.0.0/LICENSE").read_text()


def test_nothing_is_left_of_a_preparation_that_fails(artists, tmp_path, monkeypatch):
    sets = tmp_path / "sets"
    (sets / "emoji/1.0.0").mkdir(parents=True)  # Half of a data set, as another program may leave it.
    (sets / "emoji/1.0.0/emoji-google.array_record-00000-of-00001").write_bytes(b"half")
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "shared_concepts", lambda *_: [])
        with pytest.raises(RunError, match="no emoji in common"):
            prepare_emoji(sets, packages=tmp_path / "packages", artists=artists)
    assert [path.name for path in sets.iterdir()] == ["emoji"]
    prepare_emoji(sets, packages=tmp_path / "packages", artists=artists)
    monkeypatch.setenv("TFDS_DATA_DIR", str(sets))
    assert len(open_data("emoji").test) == 3 and [path.name for path in sets.iterdir()] == ["emoji"]


def test_too_little_room_and_places_that_cannot_be_written(artists, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UsageError, match=r"folder: cannot write .*file.* \(.*\): free disk space, or give another --folder"
    ):
        prepare_emoji(tmp_path / "file", packages=tmp_path / "packages", artists=artists)
    for missing in (tmp_path / "pakages", tmp_path / "file"):
        with pytest.raises(UsageError, match=f"packages: there is no folder {missing}: name the one that has"):
            prepare_emoji(tmp_path / "sets", packages=missing, artists=artists)
    assert not (tmp_path / "sets").exists() and not (tmp_path / "pakages").exists()
    monkeypatch.setattr(preparation, "ROOM", 10**18)
    with pytest.raises(RunError, match=r"MB free and \d+ MB are needed"):
        prepare_emoji(tmp_path / "sets", packages=tmp_path / "packages", artists=artists)
    assert emoji.prepared_folder(tmp_path) == tmp_path / "emoji/1.0.0"


def test_a_package_without_names_or_with_damaged_drawings(tmp_path):
    path = tmp_path / "things.tgz"
    for content in ({}, {"package/emoji.json": b"{"}, {"package/emoji.json": b'[{"sort_order": 1}]'}):
        path.write_bytes(tarball(content))
        with pytest.raises(RunError, match=r"has no readable package/emoji\.json"):
            read_concepts(path)
    path.write_bytes(tarball({"package/emoji.json": json.dumps(ENTRIES).encode(), "1f600.png": b"no picture"}))
    concepts = read_concepts(path)
    assert [concept.name for concept in concepts] == ["grinning face", "cloud", "flag", "cloud (1F33E)"]
    with pytest.raises(RunError, match=r"1f600\.png in .* cannot be read"):
        list(read_files(path, concepts, prefix="", suffix=".png"))


def test_drawings_of_a_font_fill_their_squares(tmp_path):
    """Pillow's own font, in black: the letter M in the upper part of a square."""
    path = tmp_path / "fonts.tgz"
    path.write_bytes(tarball({"font.ttf": ImageFont.load_default(10).font_bytes}))
    concepts = [concept._replace(code="004d") for concept in _concepts(tmp_path)[:1]]
    [(code, image)] = read_font(path, concepts, name="font.ttf")
    pixels = np.asarray(drawing(image))
    assert (code, pixels.shape) == ("004d", (64, 64, 3))
    assert 0.02 < (pixels < 128).mean() < 0.5 and (pixels[:, -8:] == 255).all()
    with pytest.raises(RunError, match=r"has no readable font other\.ttf"):
        list(read_font(path, concepts, name="other.ttf"))


def _concepts(folder):
    path = folder / "names.tgz"
    path.write_bytes(tarball({"package/emoji.json": json.dumps(ENTRIES).encode()}))
    return read_concepts(path)
