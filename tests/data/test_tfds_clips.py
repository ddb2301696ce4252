"""Videos with sound out of a tiny tfds data set that is prepared here, without TensorFlow."""

import io
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from ssl_jax.data import in_order
from ssl_jax.data.tfds.clips import FRAMES, RATE, SECONDS, resampled
from ssl_jax.data.tfds.prepared import open_tfds
from ssl_jax.errors import UsageError

HERTZ = 1000


class Films(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Four seconds of 16 frames, frame t of grey t (the label on top), and a sound that is the time in milliseconds."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, name, *, sound, empty=(), **options):
        Films.name, self.sound, self.empty = name, sound, empty
        super().__init__(file_format="array_record", **options)

    def _info(self):
        features = {
            "video": tfds.features.Sequence(tfds.features.Image(shape=(None, None, 3))),
            "label": tfds.features.ClassLabel(names=["zero", "one"]),
        }
        if self.sound:
            features |= {"audio": tfds.features.Sequence(np.int64), "sample_rate": np.int64}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(labels) for name, labels in {"train": [0, 1, 0], "test": [1]}.items()}

    def _generate_examples(self, labels):
        for number, label in enumerate(labels):
            example = {
                "video": [self.frame(10 * time + label) for time in range(0 if number in self.empty else 16)],
                "label": label,
            }
            sound = {"audio": np.arange(4 * HERTZ), "sample_rate": HERTZ}
            yield number, example | (sound if self.sound else {})

    def frame(self, grey):
        encoded = io.BytesIO()
        Image.new("RGB", (6, 8), (grey,) * 3).save(encoded, "PNG")
        encoded.seek(0)
        return encoded


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    tfds.disable_progress_bar()
    folder = tmp_path_factory.mktemp("tfds")
    for name, sound in (("films", True), ("silent_films", False)):
        Films(name, sound=sound, data_dir=folder).download_and_prepare()
    Films("damaged_films", sound=True, empty=[1], data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(autouse=True)
def prepared(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))


def test_sight_and_sound_are_of_the_same_two_seconds():
    data = open_tfds("films", image_size=4)
    clip, test = data.train[1], data.test[0]
    assert data.train.image_shape == clip["image"].shape == (FRAMES, 4, 4, 3) and len(data.train) == 3
    assert data.train.classes == ("zero", "one") and int(test["label"]) == 1 and clip["image"].dtype == np.uint8
    np.testing.assert_array_equal(clip["image"][:, 0, 0, 0] // 10, np.arange(4, 12))  # from second 1 to second 3
    assert clip["audio"].dtype == np.int16 and clip["audio"].shape == (SECONDS * RATE,)
    assert abs(int(clip["audio"][0]) - HERTZ) <= 1 and abs(int(clip["audio"][-1]) - 3 * HERTZ) <= 1


def test_a_silent_video_is_seen_whole():
    clip = open_tfds("silent_films", image_size=4).train[0]
    assert set(clip) == {"image", "label"}
    np.testing.assert_array_equal(clip["image"][:, 0, 0, 0], np.arange(1, 16, 2) * 10)


def test_an_empty_video_is_skipped_and_counted_or_refused(capsys):
    source = open_tfds("damaged_films", image_size=4).train
    parts = list(in_order(source, batch_size=2))
    assert [len(part["label"]) for part in parts] == [2] and len(source.unreadable) == 1
    (empty,) = source.unreadable
    np.testing.assert_array_equal(source[empty]["image"], source[(empty + 1) % 3]["image"])
    said = f"data: video {empty} of damaged_films/1.0.0:train cannot be read (no frames): skipped, 1 of 3 videos so far"
    assert capsys.readouterr().err.splitlines()[0] == said
    with pytest.raises(
        UsageError, match=rf"^strict: video {empty} of damaged_films/1.0.0:train cannot be read \(no frames"
    ):
        open_tfds("damaged_films", image_size=4, strict=True)


def test_the_channels_of_clips_can_be_chosen():
    grey, colour = (open_tfds("silent_films", image_size=4, channels=channels).train[0]["image"] for channels in (1, 3))
    assert grey.shape == (FRAMES, 4, 4, 1) and colour.shape == (FRAMES, 4, 4, 3)
    np.testing.assert_array_equal(np.repeat(grey, 3, axis=-1), colour)


def test_sound_becomes_slower_without_what_is_too_fast():
    time = np.arange(4 * RATE) / (2 * RATE)
    slow, fast = (1000 * np.sin(2 * np.pi * hertz * time) for hertz in (100, RATE))
    np.testing.assert_allclose(resampled(slow, rate=2 * RATE, size=2 * RATE), slow[::2], atol=10)
    assert np.abs(resampled(fast, rate=2 * RATE, size=2 * RATE)).max() <= 1
    stereo = np.stack([slow, -slow], axis=1)
    assert not resampled(stereo, rate=2 * RATE, size=10).any()
    short = resampled(np.full(RATE, 7), rate=RATE, size=2 * RATE)
    assert (short[:RATE] == 7).all() and not short[RATE:].any()


def test_what_only_tensorflow_reads_is_one_sentence(data_dir):
    path = data_dir / "silent_films/1.0.0/features.json"
    text = path.read_text()
    described = json.loads(text)
    about = {"shape": {"dimensions": ["-1", "8", "6", "3"]}, "dtype": "uint8", "encodingFormat": "png"}
    video = {"pythonClassName": "tensorflow_datasets.core.features.video_feature.Video", "video": about}
    described["featuresDict"]["features"]["video"] = video
    path.write_text(json.dumps(described))
    try:
        with pytest.raises(UsageError, match=r"silent_films has features that tfds reads with tensorflow only: run"):
            open_tfds("silent_films", image_size=4)
    finally:
        path.write_text(text)


def test_videos_of_several_sizes_need_one():
    with pytest.raises(UsageError, match=r"image_size: none was given, but the videos of films/1.0.0 differ"):
        open_tfds("films")
