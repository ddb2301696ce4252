"""A file is the old one or the new one; what is written as JSON is JSON."""

import json
import math

import pytest

from ssl_jax.files import read_metrics, replacing, to_json, write_atomically, write_json


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


def test_records_are_read_in_order_without_the_damaged_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    good = [{"step": 2, "loss": 1.0}, {"step": 4, "loss": None}, {"step": 4, "knn": 0.5}]
    lines = [b'{"step": 4, "loss": NaN}', b'{"step": 2, "loss": 1.0}', b'{"step": 4, "knn": 0.5}']
    damage = [b'{"step": 3, "lo', b"", b"\x00\xff", b"7", b"[]", b"null", b'{"loss": 1}', b'{"step": "5"}', b"[" * 5000]
    path.write_bytes(b"\n".join([lines[0], *damage, *lines[1:], b'{"step": 6, "l']))
    assert read_metrics(path) == good
