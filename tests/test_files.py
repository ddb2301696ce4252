"""A file is the old one or the new one; what is written as JSON is JSON."""

import json
import math

import pytest

from ssl_jax.files import filled, replacing, to_json, write_atomically, write_json


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
