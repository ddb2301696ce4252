"""Tables, archives and records made to harm: each ends in a sentence, or skips what is damaged, in little time and memory."""

import os
import struct
import subprocess
import sys
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.stored_files import (
    IMAGE,
    SCHEMA,
    example,
    field,
    frame,
    png,
    rows,
    shard,
    varint,
    write_arrow,
    write_parquet,
    write_tar,
    write_tfrecord,
)  # fmt: skip

from ssl_jax.data import open_data, open_parts
from ssl_jax.data.skipping import Unreadable
from ssl_jax.data.stored import tables
from ssl_jax.data.stored.tf_records import features_of
from ssl_jax.errors import UsageError


def table_of(*, image=IMAGE, names=None, **columns):
    schema = pa.schema([("image", image), *((name, pa.array(values).type) for name, values in columns.items())])
    count = len(next(iter(columns.values()), [0] * 4))
    content = {"image": [{"bytes": png(1), "path": ""}] * count} | columns
    table = pa.table(content, schema=schema)
    return table.rename_columns(names) if names else table


def metadata(text):
    return rows(range(4)).replace_schema_metadata({"huggingface": text})


# A table -> part of the sentence that refuses it; None where it is read.
TABLES = {
    "labels of billions": (
        table_of(label=[0, 2**40, 1, 2]),
        "the labels of .* are in 0 ... 1099511627776, expected 0 to 99999",
    ),
    "negative labels": (table_of(label=[0, -7, 1, 2]), "the labels of .* are in -7 ... 2"),
    "labels without a name": (
        rows([0, 1, 1]).set_column(1, "label", pa.array([0, 1, 9])),
        "are in 0 ... 9, expected 0 to 1",
    ),
    "two columns of one name": (table_of(a=[1, 2], names=["image", "image"]), "two columns of one name"),
    "metadata that is no JSON": (metadata("{"), None),
    "metadata of lists": (metadata("[" * 100_000), None),
    "names that are no texts": (
        metadata('{"info": {"features": {"label": {"_type": "ClassLabel", "names": [1, {}]}}}}'),
        None,
    ),
    "features that are none": (metadata('{"info": {"features": [1]}}'), None),
    "no images": (pa.table({"a": [1]}), "no column of images but a"),
    "no rows": (rows([]), "none of 0 images"),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables(tmp_path, name, kind):
    table, sentence = TABLES[name]
    (write_parquet if kind == "parquet" else write_arrow)(tmp_path / f"x.{kind}", table)
    if sentence is None:
        assert len(open_data(str(tmp_path), image_size=4).train)
        return
    with pytest.raises(UsageError, match=sentence) as refused:
        open_data(str(tmp_path), image_size=4)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables_that_are_cut_or_changed_anywhere_end_in_a_sentence(tmp_path, kind):
    """In a process of its own: offsets beyond a buffer would end it."""
    path = tmp_path / f"x.{kind}"
    (write_parquet if kind == "parquet" else write_arrow)(path, rows(range(6)))
    script = """if True:
        import sys, numpy as np
        from ssl_jax.data import open_data
        from ssl_jax.errors import UsageError
        path, whole = sys.argv[1], open(sys.argv[1], "rb").read()
        random, ended = np.random.default_rng(0), []
        for trial in range(90):
            content = bytearray(whole[: random.integers(9, len(whole))] if trial % 3 == 0 else whole)
            for at in random.integers(0, len(content), 3):
                content[at] = random.choice([0, 1, 127, 255])
            open(path, "wb").write(content)
            try:
                source = open_data(path, image_size=4).train
                [source[number] for number in range(len(source))]
                ended.append("read")
            except UsageError as reason:
                ended.append("refused")
                assert "\\n" not in str(reason) and len(str(reason)) < 700, reason
        print({each: ended.count(each) > 5 for each in set(ended)})
    """
    ended = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout.strip() in (
        "{'read': True, 'refused': True}",
        "{'refused': True, 'read': True}",
    ), (ended.returncode, ended.stdout, ended.stderr[-2000:])


def test_a_value_that_stands_in_a_million_rows_takes_no_terabyte(tmp_path, monkeypatch, capsys):
    """Of one image of 64 KB in 500 rows, which the file stores once."""
    monkeypatch.setattr(tables, "LARGEST_GROUP", 2**24)
    image = png(1) + bytes(2**16)
    table = pa.table({"image": [{"bytes": image, "path": ""}] * 500, "label": [0] * 500}, schema=SCHEMA)
    write_parquet(tmp_path / "x.parquet", table, row_group_size=500)
    assert (tmp_path / "x.parquet").stat().st_size < 2**18
    with pytest.raises(UsageError, match=r"none of .* can be read|cannot be read, nor any"):
        open_data(str(tmp_path), image_size=4).train[0]


def test_rows_without_bytes_in_the_file_are_refused(tmp_path):
    """Ten million labels and images that are all missing take a few kilobytes."""
    count = 1_000_000
    nothing = pa.nulls(count, IMAGE)
    labels = pa.array([0], pa.int64()).take(pa.array([0], pa.int32()).take(pa.nulls(count, pa.int32()).fill_null(0)))
    pq.write_table(pa.table({"image": nothing, "label": labels}, schema=SCHEMA), tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=r"it claims 1000000 rows in \d{3,6} bytes"):
        open_data(str(tmp_path), image_size=4)


def link(name, kind, target="/etc/passwd"):
    about = tarfile.TarInfo(name)
    about.type, about.linkname = kind, target
    return about


def test_members_that_are_no_files_and_names_that_lead_out(tmp_path, capsys):
    members = {
        "../../evil.png": png(1), "../../evil.cls": b"0", "/etc/x.png": png(2), "/etc/x.cls": b"1",
        "link.png": link("link.png", tarfile.SYMTYPE), "hard.png": link("hard.png", tarfile.LNKTYPE),
        "pipe.png": link("pipe.png", tarfile.FIFOTYPE), "disk.png": link("disk.png", tarfile.BLKTYPE),
        "red\x1b[31m.png": png(3), "long" * 60 + ".png": png(4),
    }  # fmt: skip
    write_tar(tmp_path / "in/x.tar", members)
    part = open_parts(f"{tmp_path}/in/x.tar", image_size=4, channels=3)["train"]
    assert [int(part[number]["image"].max()) for number in range(len(part))] == [1, 2, 3, 4]
    assert "4 links and devices" in capsys.readouterr().err and "\x1b" not in part._where(2)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "x.tar"]


def header(name, size, kind=b"0", base256=False):
    """A header of tar that claims this size."""
    field_of_size = b"\x80" + size.to_bytes(11, "big") if base256 else f"{size:011o}\0".encode()
    made = bytearray(name.ljust(100, b"\0") + b"0000644\0" * 3 + field_of_size + b"00000000000\0" + b" " * 8 + kind)
    made = made.ljust(257, b"\0") + b"ustar\00000"
    made = made.ljust(512, b"\0")
    made[148:156] = f"{sum(made):06o}\0 ".encode()
    return bytes(made)


ARCHIVES = {
    "a member of terabytes": header(b"1.png", 2**60, base256=True) + png(1),
    "a name of terabytes": header(b"././@LongLink", 2**50, b"L", base256=True) + bytes(512),
    "a comment of terabytes": header(b"x", 2**50, b"x", base256=True) + b"20 path=a\n".ljust(512),
    "a damaged comment": header(b"x", 12, b"x") + b"999999999 path=a\n".ljust(512) + header(b"1.png", 4),
    "a member of less than nothing": header(b"1.png", 0).replace(b"00000000000\0", b"-0000000007\0", 1),
    "half a header": shard_header if (shard_header := header(b"1.png", 5)[:300]) else b"",
    "nothing": bytes(1024),
    "a comment that names the size": header(b"x", 30, b"x")
    + b"30 size=99999999999999999999\n".ljust(512)
    + header(b"1.png", 4),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(tmp_path, name):
    (tmp_path / "x.tar").write_bytes(ARCHIVES[name])
    with pytest.raises(UsageError) as refused:
        open_data(str(tmp_path), image_size=4)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


def test_a_truncated_shard_has_its_whole_images(tmp_path, capsys):
    write_tar(tmp_path / "x.tar", shard(range(8)))
    content = (tmp_path / "x.tar").read_bytes()
    (tmp_path / "x.tar").write_bytes(content[: 5 * 2048 + 530])
    source = open_parts(str(tmp_path), image_size=4, channels=3)["train"]
    assert len(source) == 5 and source.labels.tolist() == [0, 1, 0, 1, 0]
    assert "1 truncated" in capsys.readouterr().err


def test_labels_of_members_are_bounded(tmp_path):
    members = {
        "1.png": png(1),
        "1.cls": b"9" * 5000,
        "2.png": png(2),
        "2.cls": b"x" * 2**17,
        "3.png": png(3),
        "3.json": b'{"label": 1e999}',
    }
    write_tar(tmp_path / "x.tar", members)
    part = open_parts(str(tmp_path), image_size=4, channels=3)["train"]
    assert part.labels.tolist() == [0, -1, -1]


RECORDS = {
    "a length of terabytes": frame(example({"image": png(1)}))[:0] + struct.pack("<Q", 2**60),
    "a checksum that is right, and a length that is not": frame(b"x" * 100)[:50],
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records(tmp_path, name):
    (tmp_path / "x.tfrecord").write_bytes(RECORDS[name])
    with pytest.raises(UsageError, match="its record at byte 0 is damaged"):
        open_data(str(tmp_path), image_size=4)


EXAMPLES = {
    "a field beyond the end": field(1, b"\x0a\xff\x01abc"),
    "an endless integer": b"\xff" * 100,
    "half an integer": b"\x0a",
    "groups": b"\x0b\x0b\x0b",
    "a name that is no text": field(1, field(1, field(1, b"\xff\xfe") + field(2, field(1, field(1, b"x"))))),
    "an entry without a name": field(1, field(1, field(2, field(1, field(1, b"x"))))),
    "a feature that is an integer": field(1, field(1, field(1, b"image") + b"\x10\x05")),
    "features that are an integer": b"\x08\x05",
    "too many features": field(1, b"".join(field(1, field(1, str(number).encode())) for number in range(10_002))),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_records_that_are_no_examples_are_unreadable(tmp_path, name, capsys):
    with pytest.raises(Unreadable, match=r"^no tf.train.Example$"):
        features_of(EXAMPLES[name])
    good = [example({"image": png(number), "label": number}) for number in range(3)]
    write_tfrecord(tmp_path / "x.tfrecord", [good[0], EXAMPLES[name], *good[1:]])
    source = open_parts(str(tmp_path), image_size=4, channels=3)["train"]
    assert source.labels.tolist() == [0, -1, 1, 2] and source[1]["label"] == 1 and source.unreadable == {1}
    assert "record 1 of" in capsys.readouterr().err


def test_values_of_examples_are_read_once_and_signed():
    packed = field(1, field(1, field(1, b"label") + field(2, field(3, field(1, varint(7) * 100_000)))))
    single = field(1, field(1, field(1, b"label") + field(2, field(3, b"\x08" + varint(2**64 - 3)))))
    assert features_of(packed) == {"label": 7} and features_of(single) == {"label": -3} and features_of(b"") == {}


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()])
@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.tar", "x.tfrecord", "x.array_record"])
def test_what_is_no_file_is_no_store(tmp_path, make, name):
    make(tmp_path / name)
    with pytest.raises(UsageError):
        open_data(str(tmp_path), image_size=4)


@pytest.mark.parametrize("name, write", [("x.tar", lambda path: write_tar(path, shard(range(4)))),
                                         ("x.tfrecord", lambda path: write_tfrecord(path, [example({"image": png(1)})] * 4)),
                                         ("x.parquet", lambda path: write_parquet(path, rows(range(4))))])  # fmt: skip
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: None])
def test_a_store_that_vanishes_is_skipped_in_a_sentence(tmp_path, name, write, make):
    write(tmp_path / name)
    source = open_data(str(tmp_path), image_size=4).train
    tables._kept.clear()
    (tmp_path / name).unlink()
    make(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read, nor any of the"):
        source[0]
