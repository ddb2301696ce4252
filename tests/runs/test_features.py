"""Kept features: whole or not there, bounded, and nothing else in their folder is touched."""

import os

import numpy as np
import pytest

from ssl_jax.runs import feature_file, feature_files, read_arrays, read_features, write_features
from ssl_jax.runs import features as module

NAMES = [letter * 32 for letter in "abc"]
ROWS = np.arange(250, dtype=np.float32).reshape(50, 5)  # 1000 bytes.


def write(run, name, *, used=()):
    return write_features(feature_file(run, name), {"0": ROWS}, used={feature_file(run, each) for each in used})


def names(run):
    return [path.stem for path in feature_files(run)]


def test_what_was_written_is_read(tmp_path):
    assert write(tmp_path, NAMES[0])
    (found,) = read_features(feature_file(tmp_path, NAMES[0])).values()
    assert found.dtype == np.float32 and (found == ROWS).all()


def test_a_file_of_another_name_or_a_damaged_one_is_none(tmp_path):
    write(tmp_path, NAMES[0])
    path, other = feature_file(tmp_path, NAMES[0]), feature_file(tmp_path, NAMES[1])
    other.write_bytes(path.read_bytes())
    assert read_features(path) and read_features(other) is None and read_arrays(other, at_most=10_000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert read_features(path) is None and read_arrays(path, at_most=10_000) is None


def test_an_archive_that_inflates_is_not_read(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", zeros=np.zeros(10_000, np.uint8))
    assert (tmp_path / "x.npz").stat().st_size < 1000
    assert read_arrays(tmp_path / "x.npz", at_most=9_000) is None and read_arrays(tmp_path / "x.npz", at_most=11_000)


def test_those_that_were_not_used_for_long_make_room(tmp_path, monkeypatch):
    for number, name in enumerate(NAMES[:2]):
        write(tmp_path, name)
        os.utime(feature_file(tmp_path, name), ns=(number, number))
    foreign = [tmp_path / "features" / name for name in ("notes.txt", "mine.npz")]
    for path in foreign:
        path.write_bytes(bytes(5000))
    read_features(feature_file(tmp_path, NAMES[0]))
    assert names(tmp_path) == [NAMES[1], NAMES[0]]
    monkeypatch.setattr(module, "MOST_FEATURES", 3500)  # A file has its 1000 bytes, and about 600 of zip's and numpy's.
    assert write(tmp_path, NAMES[2]) and names(tmp_path) == [NAMES[0], NAMES[2]]
    assert all(path.exists() for path in foreign)


def test_what_the_same_command_used_stays_and_what_has_no_room_is_not_kept(tmp_path, monkeypatch):
    for name in NAMES[:2]:
        write(tmp_path, name)
    monkeypatch.setattr(module, "MOST_FEATURES", 3500)
    assert not write(tmp_path, NAMES[2], used=NAMES[:2]) and set(names(tmp_path)) == set(NAMES[:2])
    monkeypatch.setattr(module, "MOST_FEATURES", 900)
    assert not write(tmp_path, NAMES[2]) and set(names(tmp_path)) == set(NAMES[:2])


@pytest.mark.parametrize("note", [True, False])
def test_a_reader_that_changes_nothing(tmp_path, note):
    write(tmp_path, NAMES[0])
    path = feature_file(tmp_path, NAMES[0])
    os.utime(path, ns=(0, 0))
    assert read_features(path, note=note) and (path.stat().st_mtime_ns > 0) == note
