"""Recipes on clips, run from beginning to end on a few of them: the data, the evaluation and the report handle two senses."""

from functools import partial

import numpy as np
import pytest

from ssl_jax.commands import Options, pretrain
from ssl_jax.data import Clips, Data
from ssl_jax.errors import UsageError
from ssl_jax.recipes import find


@pytest.fixture(autouse=True)
def few_clips(monkeypatch):
    """In place of the drawn ones, which are many."""

    def opened(name, *, image_size, strict):
        parts = (Clips(size=size, side=image_size, seed=size, sound=name == "clips") for size in (60, 24))
        return Data(name, *parts)

    monkeypatch.setattr("ssl_jax.composition.clips.open_data", opened)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options", "views"),
    [
        ("avc", {"fusion": "map"}, (8, 1, 12, 12, 1)),
        ("avid", {"negatives": 8}, (8, 4, 12, 12, 1)),
        ("shuffle_and_learn", {}, (8, 3, 12, 12, 1)),
        ("tracks", {"stored_size": 14}, (8, 2, 12, 12, 1)),
    ],
)
def test_a_run_ends_with_results_and_pictures(method, options, views, tmp_path):
    make = partial(find(method, "demo"), image_size=12, epochs=1, batch_size=20, **options)
    results = pretrain(make, Options(run=tmp_path / "run", devices=1, log_every=3, evaluate_every=3))
    assert results["method"] == method and results["steps"] == 3
    assert 0 <= results["features"]["pretrained"]["knn"]["accuracy"] <= 1
    assert 0 < results["features"]["pixels"]["linear"]["accuracy"] <= 1
    side = options.get("stored_size", 12)
    with np.load(tmp_path / "run/pictures.npz") as pictures:
        assert pictures["views"].shape == views and 0 < pictures["views"].mean() < 255
        assert pictures["views_original"].shape == (8, side, side, 1)
        queries = 10 if method in ("avc", "avid") else 6  # One of each of ten of the classes, or of all six.
        assert pictures["query"].shape == (queries, side, side, 1)
        assert pictures["neighbors_after"].shape == (queries, 8, side, side, 1)
        assert pictures["frames"].shape == (8, 4, side, side, 1) and ("sound" in pictures) == (queries == 10)
    assert (tmp_path / "run/report.html").read_text().count("<img") > 40


@pytest.mark.parametrize("recipe", ["demo", "kinetics"])
def test_positives_come_after_six_tenths_of_a_run(recipe):
    """As the authors' 30 and 20 epochs, positives being found each fifth of the latter: four times in all."""
    made = find("cma", recipe)(
        epochs=10, batch_size=6, image_size=12, **({"stored_size": 12} if recipe != "demo" else {})
    )
    assert made.steps == 100 and made.method.start_step == 60 and made.method.refresh_every == 10
    assert made.method.positive_pool == made.method.positives_per_clip == 32 and made.method.negatives_within == 64
    assert made.method.estimator_within == ("info_nce" if recipe == "demo" else "nce")


def test_avid_has_the_numbers_of_the_paper():
    made = find("avid", "kinetics")(image_size=12, stored_size=12, batch_size=6).method
    assert (made.negatives, made.momentum, made.temperature, made.clips) == (1024, 0.5, 0.07, 60)
    assert (made.video.width, made.audio.width, made.video_head.width) == (512, 512, 128)


@pytest.mark.parametrize(
    ("method", "data", "sentence"),
    [
        ("avid", "digits", "data: digits holds no clips with sound: choose clips, or other data with sound."),
        (
            "cma",
            "silent-clips",
            "data: silent-clips holds no clips with sound: choose clips, or other data with sound.",
        ),
        ("frames", "digits", "data: digits holds no clips but still images: choose silent-clips."),
        ("tracks", "digits", "data: digits holds no clips but still images: choose silent-clips."),
        ("simclr", "clips", "data: clips holds clips, expected images: choose frames, tracks, avid or cma for them."),
    ],
)
def test_data_of_another_kind_are_one_sentence(method, data, sentence, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(UsageError) as refused:
        find(method, "demo")(data=data)
    assert str(refused.value) == sentence
