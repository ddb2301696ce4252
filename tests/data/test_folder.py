"""Folders of images: classes, parts, sizes, and what can be wrong with them."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

from ssl_jax.data.folders.folder import open_folder
from ssl_jax.errors import UsageError


def put(path, size=(4, 4), mode="RGB", value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def labels(source):
    return [int(source[number]["label"]) for number in range(len(source))]


def test_folders_are_classes_in_alphabetical_order(tmp_path):
    for name in ("dog/2.png", "dog/1.JPG", "cat/deep/3.png", "cat/.hidden.png", ".cache/1.png", "notes.txt"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("x")
        else:
            put(tmp_path / name)
    (tmp_path / "empty").mkdir()
    data = open_folder(tmp_path)
    assert data.train.classes == ("cat", "dog") and data.test is None
    assert labels(data.train) == [0, 1, 1] and data.train.image_shape == (4, 4, 3)
    assert [data.train._records.where(number) for number in range(3)] == [
        str(tmp_path / name) for name in ("cat/deep/3.png", "dog/1.JPG", "dog/2.png")
    ]


@pytest.mark.parametrize("name", ["test", "val", "validation"])
def test_parts_are_found_and_labels_count_in_the_classes_of_training(tmp_path, name):
    for path in ("train/a/1.png", "train/b/1.png", "train/c/1.png", f"{name}/c/1.png"):
        put(tmp_path / path)
    data = open_folder(tmp_path)
    assert labels(data.train) == [0, 1, 2] and labels(data.test) == [2]
    assert data.test.classes == ("a", "b", "c")


def test_a_test_folder_without_labels_gives_way_to_one_with_labels(tmp_path):
    for path in ("train/a/1.png", "train/b/1.png", "test/images/1.png", "val/b/1.png"):
        put(tmp_path / path)
    assert labels(open_folder(tmp_path).test) == [1]


@pytest.mark.parametrize("inside", ["", "images"])
def test_images_without_class_folders_have_no_labels(tmp_path, inside):
    put(tmp_path / inside / "1.png")
    put(tmp_path / inside / "2.png")
    data = open_folder(tmp_path)
    assert data.train.classes == () and labels(data.train) == [-1, -1]


def test_all_images_become_squares_of_the_size_asked_for(tmp_path):
    put(tmp_path / "1.png", size=(8, 4), value=(10, 20, 30))
    put(tmp_path / "2.png", size=(3, 5), mode="L", value=7)
    source = open_folder(tmp_path, image_size=6).train
    assert source.image_shape == (6, 6, 3)
    assert (source[0]["image"] == [10, 20, 30]).all() and (source[1]["image"] == 7).all()


@pytest.mark.parametrize("image_size, shape", [(None, (4, 6, 1)), (8, (8, 8, 1))])
def test_grey_images_keep_one_channel(tmp_path, image_size, shape):
    put(tmp_path / "1.png", size=(6, 4), mode="L", value=200)
    put(tmp_path / "2.png", size=(6, 4), mode="I;16", value=200 * 257)
    source = open_folder(tmp_path, image_size=image_size).train
    assert source.image_shape == shape
    assert all((source[number]["image"] == 200).all() for number in range(2))


def test_a_truncated_jpeg_is_skipped_with_a_count_or_refused(tmp_path, capsys):
    for name in ("1.jpg", "2.jpg"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / name)
    whole = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(whole[: len(whole) // 2])
    source = open_folder(tmp_path).train
    np.testing.assert_array_equal(source[0]["image"], source[1]["image"])
    said = capsys.readouterr().err
    assert said.startswith(f"data: {tmp_path / '1.jpg'} cannot be read (") and said.endswith("1 of 2 images so far\n")
    with pytest.raises(UsageError, match=r"strict: .*1\.jpg cannot be read \(.*truncated"):
        open_folder(tmp_path, strict=True)


def test_a_file_that_vanishes_is_skipped(tmp_path, capsys):
    put(tmp_path / "1.png", value=(1, 1, 1))
    put(tmp_path / "2.png", value=(2, 2, 2))
    source = open_folder(tmp_path).train
    os.remove(tmp_path / "1.png")
    assert (source[0]["image"] == 2).all()
    assert "No such file or directory" in capsys.readouterr().err


KINDS = ".jpg, .png, .webp, .tif and others"


@pytest.mark.parametrize(
    "files, sentence",
    [
        ({}, f"data: ROOT holds no images ({KINDS}): name another folder."),
        ({"train/x.txt": None}, f"data: ROOT/train holds no images ({KINDS}), but 1 .txt: name another folder."),
        (
            {"a/1.png": (4, 4), "1.png": (4, 4)},
            "data: ROOT holds both images (1.png) and folders of images (a): "
            "move the images into the folders of their classes.",
        ),
        (
            {"1.png": (4, 4), "2.png": (5, 4), "3.png": (6, 7)},
            "image_size: none was given, but the images in ROOT differ in size, from 4x4 to 7x6 pixels: "
            "give the size for all, such as 224.",
        ),
        (
            {"train/a/1.png": (4, 4), "train/b/1.png": (4, 4), "val/b/1.png": (4, 4), "val/c/1.png": (4, 4)},
            "data: ROOT/val has a class 'c' that the training images do not have: rename it or remove it.",
        ),
        ({"1.png": None, "2.png": None}, "data: none of 2 images in ROOT can be read: name another folder."),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_a_sentence(tmp_path, files, sentence):
    for name, size in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        put(tmp_path / name, size=size) if size else (tmp_path / name).write_text("no image")
    with pytest.raises(UsageError) as refused:
        open_folder(tmp_path)
    assert str(refused.value) == sentence.replace("ROOT", str(tmp_path))


def test_a_folder_that_is_none_or_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    for name, what in {"file": "a file", "nowhere": "missing"}.items():
        with pytest.raises(UsageError) as refused:
            open_folder(tmp_path / name)
        assert str(refused.value) == f"data: {tmp_path / name} is {what}: name a folder of images."

    def locked(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", locked)  # The tests may run as root, who may list everything.
    with pytest.raises(UsageError) as refused:
        open_folder(tmp_path)
    assert str(refused.value) == (
        f"data: {tmp_path} cannot be read (Permission denied): make it readable or name another folder."
    )


@pytest.mark.parametrize(
    "train, test",
    [
        ("Train", "Test"), ("training", "testing"), ("train", "valid"), ("train", "Val"), ("TRAIN", "validation"),
        ("training_set", "test_set"), ("train2017", "val2017"), ("Training Data", "Validation data"),
    ],
)  # fmt: skip
def test_parts_are_known_by_their_usual_names(tmp_path, train, test):
    for path in (f"{train}/a/1.png", f"{train}/b/1.png", f"{test}/b/1.png"):
        put(tmp_path / path)
    data = open_folder(tmp_path)
    assert labels(data.train) == [0, 1] and labels(data.test) == [1] and data.train.classes == ("a", "b")


@pytest.mark.parametrize(
    "names", [("tested", "trainer"), ("valley", "trains"), ("pretest", "retrain"), ("freight_train", "test_tube")]
)
def test_classes_that_only_sound_like_parts_are_classes(tmp_path, names):
    for name in names:
        put(tmp_path / name / "1.png")
    assert open_folder(tmp_path).train.classes == tuple(sorted(names))


@pytest.mark.parametrize(
    "paths, sentence",
    [
        (
            ["train/a/1.png", "Train/a/2.png", "test/a/3.png"],
            "data: ROOT holds several folders for one part, Train, test, train: move all but one away.",
        ),
        (
            ["test/a/1.png", "cats/2.png"],
            "data: ROOT holds test but no folder train: rename the folder of training images to train, or rename "
            "a class that has the name of a part.",
        ),
        (
            ["train/1.png", "boat/2.png"],
            "data: ROOT holds train beside boat: move boat away if these are parts, or give train another name if they are "
            "classes.",
        ),
        (
            ["seg_train/seg_train/a/1.png", "seg_test/seg_test/a/2.png"],
            "data: ROOT holds seg_train and seg_test: rename them to train and test if these are parts, or rename one "
            "of them if they are classes.",
        ),
        (
            ["a/1.png", "testA/2.png", "trainA/3.png"],
            "data: ROOT holds trainA and testA: rename them to train and test if these are parts, or rename one of "
            "them if they are classes.",
        ),
        (
            ["set/train/a/1.png", "set/test/a/2.png"],
            "data: ROOT/set holds parts (test, train): name that folder, or move the parts above the classes.",
        ),
        (
            ["cat/Train/1.png", "cat/Val/2.png", "dog/train/3.png", "dog/val/4.png"],
            "data: ROOT/cat holds parts (Train, Val): name that folder, or move the parts above the classes.",
        ),
    ],
)
def test_parts_that_cannot_be_told_from_classes_are_refused(tmp_path, paths, sentence):
    for path in paths:
        put(tmp_path / path)
    with pytest.raises(UsageError) as refused:
        open_folder(tmp_path)
    assert str(refused.value) == sentence.replace("ROOT", str(tmp_path))


def test_what_lies_beside_the_parts_is_mentioned(tmp_path, capsys):
    for path in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "more/x/1.png", "cover.png"):
        put(tmp_path / path)
    (tmp_path / "notes").mkdir()
    assert len(open_folder(tmp_path).train) == 2
    said = f"data: {tmp_path}: the images in test, train are read, those in more, cover.png are not\n"
    assert capsys.readouterr().err == said


def test_folders_without_images_are_mentioned(tmp_path, capsys):
    for path in ("cat/1.png", "dog/1.png"):
        put(tmp_path / path)
    (tmp_path / "emu").mkdir()
    assert open_folder(tmp_path).train.classes == ("cat", "dog")
    assert capsys.readouterr().err == f"data: {tmp_path}: no images in emu: not counted as classes\n"
    os.remove(tmp_path / "dog/1.png")
    assert open_folder(tmp_path).train.classes == ()
    said = f"data: {tmp_path}: no images in dog, emu: not counted as classes, so that its images have no labels\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("link", ["file", "folder"])
def test_test_images_that_are_links_to_training_images_are_left_out(tmp_path, capsys, link):
    for path in ("train/a/1.png", "train/b/1.png", "store/2.png"):
        put(tmp_path / path)
    (tmp_path / "test").mkdir()
    if link == "folder":
        (tmp_path / "test/a").symlink_to(tmp_path / "train/a")
    else:
        (tmp_path / "test/a").mkdir()
        (tmp_path / "test/a/1.png").symlink_to(tmp_path / "train/a/1.png")
    (tmp_path / "test/b").symlink_to(tmp_path / "store")
    data = open_folder(tmp_path)
    assert labels(data.test) == [1] and len(data.train) == 2
    assert f"data: {tmp_path}/test: 1 images are training images, too: left out\n" in capsys.readouterr().err


def test_a_file_that_is_too_large_is_skipped(tmp_path, monkeypatch, capsys):
    for name in ("1.png", "2.png"):
        put(tmp_path / name, value=(int(name[0]),) * 3)
    monkeypatch.setattr("ssl_jax.data.pixels.formats.LARGEST_FILE", (tmp_path / "2.png").stat().st_size)
    with open(tmp_path / "1.png", "ab") as file:
        file.write(b"0" * 10_000)
    source = open_folder(tmp_path).train
    assert (source[0]["image"] == 2).all() and "bytes, more than" in capsys.readouterr().err


def test_a_computer_out_of_files_is_no_damage(tmp_path, monkeypatch):
    put(tmp_path / "1.png")
    source = open_folder(tmp_path).train

    def exhausted(path, at_most):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("ssl_jax.data.pixels.formats.read_regular", exhausted)
    with pytest.raises(OSError, match="Too many open files"):
        source[0]
    assert not source.unreadable
