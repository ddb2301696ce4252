"""Each real file once: links, cycles, pipes, devices and other files."""

import os
from collections import Counter

import pytest
from PIL import Image

from ssl_jax.data.folders.folder import open_folder
from ssl_jax.data.folders.scan import scan


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)


def test_the_order_is_that_of_a_walk_through_the_folders(tmp_path):
    paths = ["b.png", "z.png", "a/2.png", "a/b/1.png", "a/b/c/0.png", "a-1/1.png", "c/1.png"]
    for path in paths:
        put(tmp_path / path)
    assert scan(tmp_path).images == ["b.png", "z.png", "a/2.png", "a/b/1.png", "a/b/c/0.png", "a-1/1.png", "c/1.png"]


@pytest.mark.parametrize("target", [".", "..", "cat", "/", "../.."])
def test_a_link_into_an_ancestor_is_not_followed(tmp_path, target):
    root = tmp_path / "photos"
    for path in ("cat/1.png", "dog/1.png"):
        put(root / path)
    (root / "cat/loop").symlink_to(root / target if target == "cat" else target)
    found = scan(root)
    assert found.images == ["cat/1.png", "dog/1.png"]
    assert found.passed_over == {"links to folders that are read already": 1}


def test_links_that_lead_to_each_other_end(tmp_path):
    for name in ("a", "b"):
        put(tmp_path / f"outside/{name}/1.png")
    (tmp_path / "outside/a/next").symlink_to(tmp_path / "outside/b")
    (tmp_path / "outside/b/next").symlink_to(tmp_path / "outside/a")
    (tmp_path / "outside/b/up").symlink_to(tmp_path / "outside")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/cat").symlink_to(tmp_path / "outside/a")
    found = scan(tmp_path / "root")
    assert found.images == ["cat/1.png", "cat/next/1.png"]
    assert found.passed_over == {"links to folders that are read already": 2}


def test_each_real_file_is_read_once_under_its_own_name_where_it_has_one(tmp_path):
    for path in ("root/b/1.png", "store/x.png", "store/blob"):
        put(tmp_path / f"{path}.png")
    os.rename(tmp_path / "store/blob.png", tmp_path / "store/blob")
    root = tmp_path / "root"
    (root / "a").symlink_to(root / "b")
    (root / "c").mkdir()
    (root / "c/same.png").symlink_to(root / "b/1.png.png")
    (root / "c/other.png").symlink_to(tmp_path / "store/x.png.png")
    (root / "c/twice.png").symlink_to(tmp_path / "store/x.png.png")
    (root / "c/content.png").symlink_to(tmp_path / "store/blob")
    (root / "c/nowhere.png").symlink_to(tmp_path / "store/nothing")
    found = scan(root)
    assert found.images == ["b/1.png.png", "c/content.png", "c/other.png"]
    assert found.passed_over == {
        "links to folders that are read already": 1,
        "links to images that are read already": 2,
        "links to no file": 1,
    }


def test_pipes_and_devices_are_not_opened(tmp_path):
    put(tmp_path / "1.png")
    os.mkfifo(tmp_path / "2.png")
    (tmp_path / "3.png").symlink_to("/dev/zero")
    (tmp_path / "4.png").symlink_to(tmp_path / "2.png")
    found = scan(tmp_path)
    assert found.images == ["1.png"] and found.passed_over == {"pipes and devices": 1, "links to no file": 2}
    assert len(open_folder(tmp_path).train) == 1


@pytest.mark.parametrize("folder", ["@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", "System Volume Information"])
def test_folders_of_the_file_system_are_no_classes_and_hold_no_images(tmp_path, folder):
    for name in ("cats/1.png", "dogs/2.png", f"{folder}/3.png", f"cats/{folder}/1.png"):
        put(tmp_path / name)
    assert scan(tmp_path).images == ["cats/1.png", "dogs/2.png"]
    assert open_folder(tmp_path).classes == ("cats", "dogs")


def test_other_files_are_counted_in_one_line(tmp_path, capsys):
    for name in (
        "1.png",
        "2.JFIF",
        "3.apng",
        "4.tga",
        ".hidden.txt",
        "5.heic",
        "6.HEIC",
        "notes.txt",
        "README",
        "7.eps",
    ):
        (tmp_path / name).write_bytes(b"")
    put(tmp_path / "1.png")
    found = scan(tmp_path)
    assert found.images == ["1.png", "2.JFIF", "3.apng", "4.tga"]
    assert found.passed_over == Counter({".heic": 2, ".txt": 1, ".eps": 1, "without an ending": 1})
    open_folder(tmp_path, image_size=4)
    said = f"data: {tmp_path}: 5 passed over: 1 .eps, 2 .heic, 1 .txt, 1 without an ending\n"
    assert capsys.readouterr().err.splitlines(keepends=True)[0] == said
