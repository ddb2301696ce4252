"""The schedules of recipes: each is what its class says, at any number of steps."""

import numpy as np
import pytest

from ssl_jax.composition.training import Album, Constant, Laptop, SoloLearn, Staircase, Training, frozen_prototypes
from ssl_jax.data import Data, steps_per_epoch
from ssl_jax.data.drawn.synthetic import Synthetic
from ssl_jax.optimizers import adam, lars, sgd

TRAINING = Training(20, 512, 0.3, 1e-4, warmup_epochs=2)


def rates(optimizer, steps):
    return [float(optimizer(steps).learning_rate(step)) for step in steps * np.array([0, 0.05, 0.1, 0.55, 1])]


def test_a_cosine_warms_up_in_epochs_to_a_rate_scaled_with_the_batch():
    assert rates(TRAINING.optimizer(lars), 1000) == pytest.approx([0, 0.3, 0.6, 0.3, 0], abs=1e-7)
    found = rates(TRAINING.optimizer(lars, peak=0.2, start=0.1, end=0.02), 1000)
    assert found == pytest.approx([0.1, 0.15, 0.2, 0.11, 0.02], abs=1e-7)
    swav = Training(200, 4096, 0.3, 1e-6).optimizer(lars, start=0.3, end=0.0048)(2000).learning_rate
    assert [float(swav(step)) for step in (0, 100, 2000)] == pytest.approx([0.3, 4.8, 0.0048])


def test_options_and_the_decay_reach_the_optimizer():
    settings = TRAINING.optimizer(lars, rate_last=True)(100).settings
    assert settings["weight_decay"] == 1e-4 and settings["rate_last"] is True
    assert SoloLearn(1000, 256, 0.3, 1e-6).clipped_lars(100).name == "clipped_lars"


def test_a_laptop_warms_up_in_a_twentieth():
    assert Laptop().adamw(1000).settings["weight_decay"] == 1e-4
    assert rates(Laptop().adamw, 1000)[:2] == pytest.approx([0, 3e-3], abs=1e-9)


def test_a_staircase_drops_in_proportion():
    training = Staircase(105, 256, 0.1, 1e-4, drops=(30, 60), of=100, factor=0.2)
    optimizer = training.optimizer(sgd, warmup=10, start=0.05)
    steps = [0, 50, 100, 299, 300, 600]
    found = [float(optimizer(1000).learning_rate(step)) for step in steps]
    assert found == pytest.approx([0.05, 0.075, 0.1, 0.1, 0.02, 0.004])
    assert rates(training.optimizer(sgd, peak=1.0), 1000)[0] == 1


def test_a_constant_rate_is_not_scaled():
    assert rates(Constant(3, 1024, 2e-4, 0.0).optimizer(adam), 1000) == pytest.approx([2e-4] * 5)


def test_prototypes_are_frozen_for_epochs_of_the_run():
    frozen = frozen_prototypes(TRAINING.optimizer(sgd), TRAINING, epochs=2)(1000)
    assert frozen.settings["steps"] == 100 and frozen.settings["parameter"] == "prototypes"


def test_steps_are_those_of_the_data():
    assert TRAINING.steps(Data("synthetic", Synthetic(size=1024, side=4, seed=0), None)) == 40


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [
        (100_000, 256, 2000 / 390),
        (512, 256, 1000),
        (511, 128, 2000 / 3),
        (100, 32, 2000 / 3),
        (3, 1, 2000 / 3),
        (1, 1, 2000),
    ],
)
def test_an_album_has_a_batch_and_a_length_that_suit_it(images, batch, epochs):
    fitted = Album().fitted(images)
    assert fitted.batch_size == batch and fitted.epochs == pytest.approx(epochs)
    assert round(fitted.epochs * steps_per_epoch(images, batch)) == 2000
    assert Album(epochs=3, batch_size=8).fitted(images) == Laptop(3, 8, 1e-3, 1e-4)
