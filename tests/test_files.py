"""A file is the old one or the new one; what is written as JSON is JSON."""

import errno
import json
import math
import os

import pytest

from ssl_jax.files import (
    filled,
    open_regular,
    printable,
    read_object,
    read_regular,
    replacing,
    to_json,
    write_atomically,
    write_json,
)


def test_text_replaces_a_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "report.html"
    write_atomically(path, "old")
    write_atomically(path, "nüw")
    assert path.read_bytes() == "nüw".encode() and list(tmp_path.iterdir()) == [path]


def test_an_exception_inside_the_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "features.npy"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as draft:
        draft.write_text("ha")
        assert path.read_text() == "old" and draft.suffix == ".npy"
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_numbers_that_json_does_not_have_are_null(tmp_path):
    value = {"a": math.nan, "b": [1.5, -math.inf, (math.inf,)], "c": {"d": math.nan, "e": "NaN"}, "f": True}
    expected = {"a": None, "b": [1.5, None, [None]], "c": {"d": None, "e": "NaN"}, "f": True}
    assert json.loads(to_json(value)) == expected
    write_json(tmp_path / "results.json", value)
    text = (tmp_path / "results.json").read_text()
    assert json.loads(text) == expected and text.endswith("}\n") and "Infinity" not in text


def test_a_part_is_put_between_its_marks():
    page = "a <!-- x -->old<!-- /x --> b <!-- y -->\n<!-- /y -->"
    expected = "a <!-- x -->\n1\n<!-- /x --> b <!-- y -->\n2\n<!-- /y -->"
    assert filled(page, {"x": "1", "y": "2"}) == expected == filled(expected, {"y": "2", "x": "1"})


@pytest.mark.parametrize("page", ["", "<!-- x -->", "<!-- /x --> <!-- x -->", "<!-- x --> <!-- x --> <!-- /x -->"])
def test_a_page_without_the_marks_of_a_part_is_refused(page):
    with pytest.raises(ValueError, match="filled: the page must have <!-- x --> and then <!-- /x -->, each once"):
        filled(page, {"x": "1"})


def test_a_regular_file_is_read_also_through_a_link(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_regular(tmp_path / "a", at_most=7) == read_regular(tmp_path / "b", at_most=9) == b"content"


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/tty", "pipe"])
def test_what_never_ends_is_not_read(tmp_path, target):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").symlink_to(target if target.startswith("/") else tmp_path / target)
    if os.path.exists(target) or target == "pipe":
        with pytest.raises(OSError) as refused:
            open_regular(tmp_path / "a", at_most=9)
        assert refused.value.errno in (errno.EINVAL, errno.ENXIO)  # A terminal that is not there.


def test_a_file_that_claims_no_size_is_empty():
    """Some of the kernel's never end, or wait: /proc/kmsg."""
    assert os.path.getsize("/proc/self/status") == 0 and read_regular("/proc/self/status", at_most=9) == b""


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="1099511627776 bytes, more than 9") as refused:
        read_regular(tmp_path / "a", at_most=9)
    assert refused.value.errno == errno.EFBIG and read_object(tmp_path / "a") is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Käse 犬 👩\u200d🔬\u202e", "Käse 犬 👩\u200d🔬\u202e"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\x1b[2J\n\x00\x7f\x9b", "\\x1b[2J\\x0a\\x00\\x7f\\x9b"),
        ("\ud800\udfff", "\\ud800\\udfff"),
    ],
)
def test_names_are_shown_without_what_a_terminal_obeys_or_utf_8_lacks(name, shown):
    assert printable(name) == shown and shown.encode()


def test_text_that_utf_8_lacks_is_written_as_escapes(tmp_path):
    write_atomically(tmp_path / "a", "caf\udce9 \ud800")
    assert (tmp_path / "a").read_bytes() == b"caf\\udce9 \\ud800"
