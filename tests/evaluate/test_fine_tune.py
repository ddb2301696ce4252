"""Fine-tuning starts from the given weights, changes encoder and head, and chooses its rate without the test labels."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.data import ArraySource, Data
from ssl_jax.data.subsets import Subset
from ssl_jax.evaluate.fine_tune import default_rates, fine_tune
from ssl_jax.methods.method import Backbone
from ssl_jax.networks.small import small_convnet
from ssl_jax.train import fit
from ssl_jax.train.mesh import make_mesh
from ssl_jax.train.program import make_program

NET = small_convnet(widths=(4, 8), strides=(2, 2))
BACKBONE = Backbone(NET, *jax.jit(NET.init)(jax.random.key(1)))
OPTIONS = {"epochs": 1, "batch_size": 16, "warmup_epochs": 0}


def source(size, *, seed, labels=None):
    each = (np.arange(size) % 3).astype(np.int32)
    images = np.random.default_rng(seed).integers(0, 80, (size, 8, 8, 1))
    images[np.arange(size), 2 * each] += 150  # The row of the class is lighter.
    return ArraySource(f"rows:{seed}", ("a", "b", "c"), images.astype(np.uint8), each if labels is None else labels)


DATA = Data("rows", source(48, seed=0), source(24, seed=1))


def prepare(image):
    return image.astype(jnp.float32) / 255


def tuned(data=DATA, **options):
    return fine_tune(BACKBONE, prepare, data, mesh=make_mesh(1), **OPTIONS | options)


@pytest.mark.slow
def test_encoder_and_head_learn_from_the_given_weights():
    before = jax.device_get(BACKBONE.params)
    found = tuned(epochs=40, learning_rates=(0.05,))
    assert found.accuracy > 0.9 and found.interval[0] < found.accuracy and found.held_out == {}
    jax.tree.map(np.testing.assert_array_equal, before, jax.device_get(BACKBONE.params))
    still = tuned(learning_rates=(1e-9,))
    for after, start in zip(jax.tree.leaves(still.params["encoder"]), jax.tree.leaves(before), strict=True):
        np.testing.assert_allclose(after, start, atol=1e-6)


def moved(found, name):
    kernel = [params[name]["conv"]["kernel"] for params in (found.params["encoder"], BACKBONE.params)]
    return float(jnp.abs(jax.device_get(kernel[0]) - jax.device_get(kernel[1])).max())


@pytest.mark.slow
def test_earlier_layers_move_less_by_the_layer_decay():
    """A step of SGD is proportional to the rate: half of it for the last layer, a quarter for the first."""
    alike, decayed = (
        tuned(batch_size=48, learning_rates=(0.1,), optimizer="sgd", weight_decay=0.0, layer_decay=decay)
        for decay in (1.0, 0.5)
    )
    for name, factor in {"layer1": 0.25, "layer2": 0.5}.items():
        assert moved(decayed, name) == pytest.approx(factor * moved(alike, name), rel=1e-3)


@pytest.mark.slow
def test_test_labels_choose_nothing():
    other = Data("rows", DATA.train, source(24, seed=1, labels=np.roll(DATA.test.labels, 1)))
    first, second = (tuned(data, learning_rates=(0.02, 1e-6), epochs=10) for data in (DATA, other))
    assert first.learning_rate == second.learning_rate == 0.02
    assert first.held_out == second.held_out and list(first.held_out) == [1e-6, 0.02]
    jax.tree.map(np.testing.assert_array_equal, *jax.device_get((first.params, second.params)))
    assert second.accuracy != first.accuracy


@pytest.mark.slow
def test_few_images_are_shown_more_often_and_choose_a_rate(monkeypatch):
    """48 images in batches of 16: an epoch is 3 steps, and 2 of 38 images, without those held out."""
    made = []

    def counted(*words, steps, **options):
        made.append(steps)
        return fit(*words, steps=steps, **options)

    for name, value in {"fit": counted, "EPOCHS": 2, "LEAST_STEPS": 12}.items():
        monkeypatch.setattr(f"ssl_jax.evaluate.classifier_training.{name}", value)
    monkeypatch.setattr("ssl_jax.evaluate.fine_tune.RATES", (0.01, 0.02))
    default = {"epochs": None, "warmup_epochs": None}
    few = tuned(**default)
    assert made == [12, 12, 12] and few.epochs == 4 and list(few.held_out) == [0.01, 0.02]
    monkeypatch.setattr("ssl_jax.evaluate.fine_tune.FEW_IMAGES", 48)
    many = tuned(**default, batch_size=4)
    assert made[3:] == [24] and many.epochs == 2 and many.held_out == {} and many.learning_rate == 0.001


@pytest.mark.slow
def test_all_rates_are_trained_by_one_program(monkeypatch):
    """They differ in the images alone, of which there are fewer while some are held out; a batch of 16 is one program."""
    made = []

    def counted(*words, **options):
        made.append(make_program(*words, **options))
        return made[-1]

    monkeypatch.setattr("ssl_jax.evaluate.classifier_training.make_program", counted)
    tuned(learning_rates=(0.01, 0.02, 0.04), epochs=4)
    assert len(made) == 2  # 38 images, then 48: more steps.
    assert made[0].step._cache_size() == made[1].step._cache_size() == 1


def test_where_no_class_has_two_images_there_is_one_rate():
    one_each = replace(DATA, train=Subset(DATA.train, range(3)))
    assert default_rates(one_each) == (0.03,) and len(default_rates(DATA)) == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"learning_rates": ()}, "learning_rates must be one or more numbers above 0"),
        ({"learning_rates": (-1.0,)}, "learning_rates must be above 0, got -1.0"),
        ({"layer_decay": 1.5}, "layer_decay must be in \\[0, 1\\], got 1.5"),
        ({"optimizer": "lars"}, "unknown optimizer 'lars'"),
    ],
)
def test_wrong_input_is_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        tuned(**options)
