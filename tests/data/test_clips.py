"""Drawn clips: decided by seed and number, and a label that neither sight nor sound has alone."""

from collections import Counter

import jax
import numpy as np
import pytest

from ssl_jax.data import Batches, in_order, load_into_memory, model_inputs, open_data
from ssl_jax.data.drawn.clips import OUTLINES, TIMBRES, Clips


def test_a_clip_is_decided_by_seed_and_number_alone():
    clips, again, other = (Clips(size=30, seed=seed) for seed in (0, 0, 1))
    assert clips[5]["image"].shape == clips.image_shape == (4, 24, 24, 1) and clips[5]["image"].dtype == np.uint8
    assert clips[5]["audio"].shape == (2048,) and clips[5]["audio"].dtype == np.int16
    for name in ("image", "audio"):
        np.testing.assert_array_equal(clips[5][name], again[5][name])
        assert (clips[5][name] != other[5][name]).any() and (clips[5][name] != clips[17][name]).any()
    with pytest.raises(IndexError):
        clips[30]


def test_who_only_sees_or_only_hears_is_right_on_half_of_the_clips():
    classes = Clips().classes
    outlines, timbres = (Counter(name.split()[place] for name in classes) for place in (0, 1))
    assert len(set(classes)) == 12 and outlines == dict.fromkeys(OUTLINES, 2) and timbres == dict.fromkeys(TIMBRES, 2)
    labels = load_into_memory(Clips(size=24, side=4))["label"]
    assert np.bincount(labels).tolist() == [2] * 12


def test_silent_clips_are_labelled_by_their_look():
    silent = Clips(size=12, sound=False)
    assert silent.classes == tuple(OUTLINES) and set(silent[0]) == {"image", "label"}
    assert [int(silent[number]["label"]) for number in range(8)] == [0, 1, 2, 3, 4, 5, 0, 1]


def test_paths_are_where_the_shape_is():
    """The mean position of what is brighter than the middle of ground and shape, in the frames of some discs."""
    clips = Clips(size=60, side=48, seed=3, sound=False)
    for number in range(0, 60, 6):
        centres, radii = clips.paths(number)
        assert centres.shape == (4, 2) and radii.shape == (4,)
        for frame, centre, radius in zip(clips[number]["image"][..., 0] / 255, centres, radii, strict=True):
            inside = np.argwhere(frame > (frame.min() + frame.max()) / 2) + 0.5
            assert abs(np.median(inside, axis=0) - centre).max() < 2
            assert abs(len(inside) / (np.pi * (0.9 * radius) ** 2) - 1) < 0.15


def test_the_shape_moves_and_is_larger_when_it_is_louder():
    """Over many clips: bright pixels of a frame against the loudness of its quarter of a second."""
    clips = [Clips(size=60, seed=3)[number] for number in range(60)]
    bright = np.array([(clip["image"] > 128).sum((1, 2, 3)) for clip in clips], float)
    loud = np.array([(clip["audio"].astype(float) ** 2).reshape(4, -1).mean(1) for clip in clips])
    together = [np.corrcoef(area, power)[0, 1] for area, power in zip(bright, np.sqrt(loud), strict=True)]
    assert np.median(together) > 0.8
    assert all((clip["image"][0] != clip["image"][-1]).mean() > 0.5 for clip in clips)


def test_batches_hold_and_pass_on_the_sound():
    source = Clips(size=20, side=4, frames=2)
    whole = load_into_memory(source)
    assert {name: (array.shape, array.dtype.name) for name, array in whole.items()} == {
        "image": ((20, 2, 4, 4, 1), "uint8"), "label": ((20,), "int32"), "audio": ((20, 2048), "int16"),
    }  # fmt: skip
    streamed, held = (next(Batches(source, 8, seed=1, load_into_memory=hold)) for hold in (False, True))
    for batch in (streamed, held):
        assert set(batch) == {"image", "label", "audio", "index"}
        for name in whole:
            np.testing.assert_array_equal(batch[name], whole[name][jax.device_get(batch["index"])])
    assert [len(part["audio"]) for part in in_order(source, batch_size=16)] == [16, 4]


def test_what_takes_too_much_with_its_sound_is_streamed(monkeypatch):
    source, video = Clips(size=20, side=4, frames=2), 20 * 2 * 4 * 4
    monkeypatch.setattr("ssl_jax.data.batches.LARGEST_HELD", video + 20 * 2 * 2048)
    assert not Batches(source, 8, seed=0).held  # the labels are one too many
    monkeypatch.setattr("ssl_jax.data.batches.LARGEST_HELD", video + 20 * 2 * 2048 + 20 * 4)
    assert Batches(source, 8, seed=0).held


def test_a_network_may_see_all_but_label_and_number():
    assert model_inputs({"image": 1, "label": 2, "index": 3}) == 1
    assert model_inputs({"image": 1, "label": 2, "index": 3, "audio": 4}) == {"image": 1, "audio": 4}


def test_clips_by_name():
    for name, sound in (("clips", True), ("silent-clips", False)):
        data = open_data(name, image_size=12)
        assert len(data.train) == 4000 and len(data.test) == 1000 and data.train.image_shape == (4, 12, 12, 1)
        assert ("audio" in data.train[0]) == sound
        assert (data.train[0]["image"] != data.test[0]["image"]).any()
