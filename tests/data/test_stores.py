"""Images inside Parquet, Arrow, WebDataset, TFRecord and ArrayRecord: found by content, read at random, skipped when
damaged."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pytest
from data.stored_files import (
    IMAGE,
    SCHEMA,
    example,
    examples,
    frame,
    png,
    rows,
    shard,
    write_array_record,
    write_arrow,
    write_parquet,
    write_tar,
    write_tfrecord,
)  # fmt: skip

from ssl_jax.data import in_order, open_data, open_parts, resolve_name
from ssl_jax.data.places import place_of
from ssl_jax.data.subsets import Subset
from ssl_jax.errors import UsageError


def values(source):
    """The values and labels of all images."""
    return [(int(source[number]["image"].max()), int(source[number]["label"])) for number in range(len(source))]


def hub(root):
    write_parquet(root / "data/train-00000-of-00002.parquet", rows(range(6)))
    write_parquet(root / "data/train-00001-of-00002.parquet", rows(range(6, 10)))
    write_parquet(root / "data/test-00000-of-00001.parquet", rows(range(10, 15)))
    (root / "README.md").write_text("---\n")


def hub_of_links(root):
    hub(root.parent / "blobs")
    (root / "data").mkdir(parents=True)
    for path in (root.parent / "blobs/data").iterdir():
        (root / "data" / path.name).symlink_to(path)


def saved_to_disk(root):
    for part, numbers in {"train": range(10), "test": range(10, 15)}.items():
        write_arrow(root / part / "data-00000-of-00001.arrow", rows(numbers))
        (root / part / "state.json").write_text("{}")
    (root / "dataset_dict.json").write_text("{}")


def feather(root):
    for part, numbers in {"train": range(10), "validation": range(10, 15)}.items():
        write_arrow(root / f"{part}.arrow", rows(numbers), new=pa.ipc.new_file)


def large_binary(root):
    schema = pa.schema([("image", pa.large_binary()), ("label", pa.int8())])
    for part, numbers in {"train": range(10), "val": range(10, 15)}.items():
        table = pa.table({"image": list(map(png, numbers)), "label": [number % 2 for number in numbers]}, schema=schema)
        write_parquet(root / f"{part}.parquet", table)


def webdataset(root):
    write_tar(root / "train-000000.tar", shard(range(6)))
    write_tar(root / "train-000001.tar", shard(range(6, 10)))
    write_tar(root / "val-000000.tar", shard(range(10, 15)))


def tfrecords(root):
    write_tfrecord(root / "x-train.tfrecord-00000-of-00002", examples(range(6)))
    write_tfrecord(root / "x-train.tfrecord-00001-of-00002", examples(range(6, 10)))
    write_tfrecord(root / "x-test.tfrecord-00000-of-00001", examples(range(10, 15)))


def array_records(root):
    write_array_record(root / "train.array_record", examples(range(10), image="image", label="label"))
    write_array_record(root / "test.array_record-00000-of-00001", examples(range(10, 15), image="image", label="label"))


@pytest.mark.parametrize(
    "write", [hub, hub_of_links, saved_to_disk, feather, large_binary, webdataset, tfrecords, array_records]
)
def test_a_folder_is_known_by_its_content_and_read_in_any_order(tmp_path, write):
    write(tmp_path / "mine")
    data = open_data(str(tmp_path / "mine"))
    assert data.train.image_shape == (6, 8, 3) and len(data.classes) == 2
    assert values(data.train) == [(number, number % 2) for number in range(10)]
    assert values(data.test) == [(number, number % 2) for number in range(10, 15)]
    assert int(data.train[7]["image"].min()) == 7
    again = pickle.loads(pickle.dumps(data.train))  # For worker processes.
    assert values(again) == values(data.train)
    parts = open_parts(str(tmp_path / "mine"), image_size=4, channels=3)
    assert [len(part) for part in parts.values()] == [10, 5]
    assert open_data(str(tmp_path / "mine") + ",label=none").classes == ()


@pytest.mark.parametrize("write", [hub, webdataset, tfrecords])
def test_damaged_images_are_skipped_and_counted(tmp_path, write, capsys, monkeypatch):
    whole, cut = png(3), png(3)[:20]
    monkeypatch.setattr("data.stored_files.png", lambda value: cut if value == 3 else whole)
    write(tmp_path)
    source = open_data(str(tmp_path), image_size=4).train
    assert sum(len(batch["index"]) for batch in in_order(source, batch_size=4)) == 9 and source.unreadable == {3}
    said = capsys.readouterr().err
    assert str(tmp_path) in said and said.count("skipped, 1 of 10 images so far") == 1
    with pytest.raises(UsageError, match=r"strict: .* cannot be read"):
        open_data(str(tmp_path), image_size=4, strict=True)


def test_classes_have_the_names_of_the_metadata(tmp_path):
    hub(tmp_path)
    assert open_data(str(tmp_path)).classes == ("dark", "light")


def test_texts_and_missing_labels(tmp_path):
    schema = pa.schema([("img", IMAGE), ("label", pa.string())])
    images = [{"bytes": png(number), "path": None} for number in range(6)]
    table = pa.table({"img": images, "label": ["b", "a", None, "b", "a", "c\x1b"]}, schema=schema)
    for ending, write in (("parquet", write_parquet), ("arrow", write_arrow)):
        file = tmp_path / f"x.{ending}"
        write(file, table)
        data = open_data(str(file))
        assert data.classes == ("a", "b", "c\\x1b") and data.test is not None
        assert values(open_parts(str(file), image_size=4, channels=3)["train"]) == list(enumerate([1, 0, -1, 1, 0, 2]))


@pytest.mark.parametrize("name, write", [("x.parquet", write_parquet), ("x.arrow", write_arrow)])
def test_an_image_without_bytes_is_skipped_and_its_path_not_followed(tmp_path, capsys, name, write):
    (tmp_path / "secret.png").write_bytes(png(99))
    images = [
        {"bytes": None, "path": str(tmp_path / "secret.png")},
        *({"bytes": png(1), "path": None} for _ in range(3)),
    ]
    write(tmp_path / "x" / name, pa.table({"image": images, "label": [0] * 4}, schema=SCHEMA))
    source = open_data(str(tmp_path / "x"), image_size=4).train
    assert {value for value, _ in values(source)} == {1} and "no bytes of an image" in capsys.readouterr().err


@pytest.mark.parametrize("key, reported", [("", True), (",label=kind", False), (",label=none", False)])
def test_columns_that_may_be_labels_are_named_where_none_is_taken(tmp_path, capsys, key, reported):
    columns = {
        "image": [{"bytes": png(1), "path": ""}] * 6,
        "kind": ["a", "b"] * 3,
        "size": [0.5] * 6,
        "year": [1, 2] * 3,
    }
    file = tmp_path / "x.parquet"
    write_parquet(file, pa.table(columns))
    assert open_data(f"{file}{key}", image_size=4).classes == (("a", "b") if key == ",label=kind" else ())
    sentence = "has no column label or labels but kind, year: ,label=NAME chooses one of them\n"
    assert (sentence in capsys.readouterr().err) is reported


def several(root):
    schema = pa.schema([("left", IMAGE), ("right", IMAGE), ("fine_label", pa.int64()), ("coarse_label", pa.int64())])
    names = {"_type": "ClassLabel", "names": ["x", "y"]}
    features = {"left": {"_type": "Image"}, "right": {"_type": "Image"}, "fine_label": names, "coarse_label": names}
    schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    image = [{"bytes": png(1), "path": ""}] * 6
    columns = {"left": image, "right": image, "fine_label": [0] * 6, "coarse_label": [1] * 6}
    write_parquet(root / "x.parquet", pa.table(columns, schema=schema))


@pytest.mark.parametrize(
    "keys, sentence",
    [
        ("", "has several images, left, right: add ,image=left to its name"),
        (",image=left", "has several labels, fine_label, coarse_label: add ,label=fine_label to its name"),
        (",image=middle", "has no images in 'middle' but left, right, fine_label, coarse_label"),
        (",image=left,label=left", "has no label 'left': choose label=fine_label or label=coarse_label or label=none"),
        (",image=left,image=right", "expected each of range, image and label once"),
    ],
)
def test_several_images_or_labels_are_chosen_by_name(tmp_path, keys, sentence):
    several(tmp_path)
    with pytest.raises(UsageError, match=sentence):
        open_data(f"{tmp_path}{keys}", image_size=4)
    assert open_data(f"{tmp_path},image=left,label=coarse_label", image_size=4).train[0]["label"] == 1


def test_shards_are_named_by_braces_and_patterns(tmp_path, monkeypatch):
    webdataset(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("train-{000000..000001}.tar", "train-*.tar", "./train-00000?.tar", "{train-000000,train-000001}.tar"):
        data = open_data(name)
        assert isinstance(data.train, Subset) and len(data.train) + len(data.test) == 10
        assert resolve_name(name) == str(tmp_path / name.removeprefix("./")) and place_of(resolve_name(name))
    with pytest.raises(UsageError, match="names no file"):
        open_data("./nothing-{0..9}.tar")


def test_a_shard_that_is_missing_is_not_passed_over(tmp_path):
    write_tar(tmp_path / "train-000.tar", shard(range(6)))
    write_tar(tmp_path / "train-002.tar", shard(range(6, 10)))
    with pytest.raises(UsageError, match=r"1 of the 3 names in .* have no file, the first is .*train-001\.tar"):
        open_data(str(tmp_path / "train-{000..002}.tar"), image_size=8)


def test_a_label_that_no_example_has_is_refused(tmp_path):
    write_tar(tmp_path / "shards/train-0.tar", shard(range(10)))
    with pytest.raises(UsageError, match=r"no example of .*shards has a label in json\.species"):
        open_data(f"{tmp_path / 'shards'},label=json.species", image_size=8)


def test_labels_of_shards(tmp_path):
    members = {
        "./a/1.jpg": png(1), "./a/1.cls": b"cat\n", "./a/1.txt": b"a cat",
        "b/1.PNG": png(2), "b/1.json": b'{"label": "dog", "kind": 3}',
        "c.seg.png": png(3), "c.json": b"[",
        "d.txt": b"no image",
    }  # fmt: skip
    write_tar(tmp_path / "x.tar", members)
    for keys, classes in {
        "": ("cat", "dog"),
        ",label=json.kind": ("0", "1", "2", "3"),
        ",label=txt": ("a cat", "no image"),
    }.items():
        part = open_parts(f"{tmp_path}/x.tar{keys}", image_size=4, channels=3)["train"]
        assert len(part) == 3 and part.classes == classes[: len(part.classes)] and part.classes
    assert len(open_parts(f"{tmp_path}/x.tar,image=jpg", image_size=4, channels=3)["train"]) == 1
    assert part._where(0) == f"./a/1.jpg of {tmp_path}/x.tar"


def test_features_of_examples_are_chosen_by_name(tmp_path):
    write_tfrecord(tmp_path / "x.tfrecord", [example({"raw": png(5), "kind": b"cat", "label": -1})] * 5)
    with pytest.raises(
        UsageError, match="have no image in image/encoded or image but kind, label, raw: add ,image=KEY"
    ):
        open_data(f"{tmp_path}/x.tfrecord", image_size=4)
    data = open_data(f"{tmp_path},image=raw,label=kind", image_size=4)
    assert data.classes == ("cat",) and values(data.train)[0] == (5, 0)
    assert open_data(f"{tmp_path},image=raw", image_size=4).classes == ()


def test_checksums_are_those_of_tfrecord():
    """CRC-32C of "123456789" is E3069283 (RFC 3720's polynomial); masked as in tensorflow/tsl/lib/hash/crc32c.h."""
    from ssl_jax.data.stored.tf_records import masked_crc  # noqa: PLC0415

    assert masked_crc(b"123456789") == (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize(
    "files, sentence",
    [
        ({"x.parquet": b"no table"}, "x.parquet cannot be read"),
        ({"x.bin": b"?"}, "holds no images"),
        (
            {"x.tar": b"\x1f\x8b\x08"},
            "is compressed as a whole, so that it cannot be read at random: decompress it first",
        ),
        ({"x.tar.gz": b"?"}, "is compressed as a whole"),
        ({"x.tfrecord": b"no record, but long enough"}, "its record at byte 0 is damaged"),
        ({"x.tfrecord": frame(b"no example")}, "has no record that is a tf.train.Example"),
        ({"x.arrow": b"ARROW1\0\0"}, "x.arrow cannot be read"),
        ({"x.array_record": b"?" * 100}, "x.array_record cannot be read"),
        ({"x.parquet": b"PAR1", "y.tfrecord": b"?"}, "give files of one kind"),
        ({"a-test.tfrecord": b"", "a-val.tfrecord": b""}, "holds test and val but no train"),
    ],
)
def test_what_is_not_known_is_named_in_a_sentence(tmp_path, files, sentence):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as refused:
        open_data(str(tmp_path), image_size=4)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_a_folder_of_images_has_no_columns(tmp_path):
    (tmp_path / "1.png").write_bytes(png(1))
    with pytest.raises(UsageError, match="whose labels are the names of its folders: leave out image= and label="):
        open_data(f"{tmp_path},label=x", image_size=4)
    with pytest.raises(UsageError, match=r"data: .*nowhere is missing"):
        open_data(f"{tmp_path}/nowhere,label=x", image_size=4)


def test_names_with_commas_and_brackets_are_folders_where_they_exist(tmp_path):
    for name in ("a,label=b", "c[1]", "d{1..2}"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(1))
        assert len(open_data(str(tmp_path / name)).train) == 1
    assert place_of("imagenet2012:train[:10%]") is None and place_of("smallnorb,image=image2") is None
    np.testing.assert_equal(place_of("~").absolute, place_of("~").path.as_posix())
