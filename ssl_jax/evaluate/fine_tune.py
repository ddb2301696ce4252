"""Fine-tuning: the encoder and a fresh linear classifier are trained on labels, from pre-trained or from untrained weights.

K: classes. It is supervised training by `ssl_jax.train.fit` that starts from given weights: batch statistics are updated,
augmentation is a random crop and a flip, and half a cosine takes the learning rate to 0.

The sources differ: SwAV trains 20 epochs of 1 % or 10 % of ImageNet's labels by SGD, 0.01 for the encoder and 0.2 for the
classifier (eval_semisup.py of facebookresearch/swav); MAE trains ViTs 50 to 100 epochs of all labels by AdamW with a layer
decay of 0.75 (util/lr_decay.py of facebookresearch/mae). Of few labels an epoch is few steps: BiT's rule is 500 steps below
20,000 images (https://arxiv.org/abs/1912.11370, its hyper-rule), and BYOL chooses rate and epochs on training images held out
(https://arxiv.org/abs/2006.07733, the appendix on semi-supervised training). The defaults follow both.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from jax.sharding import Mesh

from ssl_jax.data import Data, split_training
from ssl_jax.data.subsets import labelled
from ssl_jax.errors import UsageError, pick
from ssl_jax.evaluate.classifier_training import ClassifierTraining
from ssl_jax.evaluate.crops import Augmentation
from ssl_jax.evaluate.intervals import wilson_interval
from ssl_jax.methods.method import Backbone, Params, State
from ssl_jax.ops.checks import check_all_positive, check_count, check_positive, check_range
from ssl_jax.optimizers import Optimizer, adamw, sgd
from ssl_jax.train.mesh import make_mesh

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": sgd, "adamw": adamw}
FEW_IMAGES = 20_000  # Below so many labelled images several rates are tried, since a run is short.
RATES, UNTRIED, RATE = (0.003, 0.01, 0.03, 0.1), 0.03, 0.001  # Few images, so few that none is held out, and many.


class FineTuned(NamedTuple):
    """The result of fine-tuning. Accuracies are in [0, 1]."""

    accuracy: float  # on the test images
    interval: tuple[float, float]  # 95 % Wilson interval of the accuracy
    learning_rate: float  # the rate chosen, for 256 images per step
    held_out: dict[float, float]  # rate -> accuracy on the training images held out; empty for a single rate
    epochs: float  # passes over the labelled training images
    params: Params  # {"encoder": ..., "head": ...}
    state: State  # batch statistics, by the same names


def fine_tune(
    backbone: Backbone,
    prepare: Callable[[Any], Any],
    data: Data,
    *,
    learning_rates: Sequence[float] | None = None,
    epochs: float | None = None,
    batch_size: int = 256,
    optimizer: Literal["sgd", "adamw"] = "adamw",
    weight_decay: float = 0.05,
    warmup_epochs: float | None = None,
    layer_decay: float = 0.75,
    augment: Augmentation | None = None,
    mesh: Mesh | None = None,
    seed: int = 0,
) -> FineTuned:
    """Accuracy of the encoder and a linear classifier, both trained on the labels. Chance level: 1/K.

    Several rates are tried on four fifths of each class of the training images; the accuracy on the others chooses one (the
    smallest among equals), with which training on all of them starts anew. The test images are used once, at the end.

    Args:
      backbone: the network and the weights from which training starts; the given arrays are not changed.
      prepare: `uint8 image -> input of the network`, as in a recipe.
      data: data with labels and a test part.
      learning_rates: peaks for 256 images per step, scaled linearly with the batch, of the classifier. When None, four rates
        below 20,000 labelled images, from 0.003 to 0.1 (0.03 alone where no class has two images), and 0.001 for more.
      epochs: passes over the labelled training images; may be fractional. When None, 50, or more to make 500 steps.
      batch_size: images per step; a smaller data set is one batch.
      optimizer: AdamW, or SGD with momentum 0.9.
      weight_decay: of the weights, not of biases and norms.
      warmup_epochs: epochs in which the rate rises linearly; a tenth of all when None.
      layer_decay: rate of a layer over that of the next, see `with_layer_decay`; 1 for one rate.
      augment: of the training images, such as `crop_and_flip()`; None for none.
      mesh: devices to use; all when None.
      seed: seed of the classifier's weights, the order of the images, and their augmentation.

    Raises:
      ValueError: a rate or another number out of range.
      UsageError: labels are missing, or too few to hold some out for the choice of a rate.
      RunError: the loss is no longer finite.

    Example:
      >>> from ssl_jax.data import ArraySource
      >>> from ssl_jax.networks import encoder
      >>> labels = np.arange(64, dtype=np.int32) % 2
      >>> images = np.where(labels[:, None, None, None], np.uint8(255), np.uint8(0)) * np.ones((64, 8, 8, 1), np.uint8)
      >>> source = ArraySource("toy", ("dark", "light"), images, labels)
      >>> net = encoder("small", image_shape=(8, 8, 1))
      >>> backbone = Backbone(net, *net.init(jax.random.key(0)))
      >>> def prepare(image):
      ...     return image.astype(np.float32) / 255
      >>> options = {"epochs": 10, "batch_size": 8, "learning_rates": (0.1,), "mesh": make_mesh(1)}
      >>> print(fine_tune(backbone, prepare, Data("toy", source, source), **options).accuracy)
      1.0

    Sources: above, at the top of the file.
    """
    data = replace(data, train=labelled(data.train))
    learning_rates = default_rates(data) if learning_rates is None else learning_rates
    _check(learning_rates, epochs=epochs, batch_size=batch_size, weight_decay=weight_decay, layer_decay=layer_decay)
    training = ClassifierTraining(
        backbone,
        prepare,
        len(data.classes),
        OPTIMIZERS[pick("optimizer", optimizer, OPTIMIZERS)],
        epochs=epochs,
        batch_size=batch_size,
        weight_decay=weight_decay,
        warmup_epochs=warmup_epochs,
        layer_decay=layer_decay,
        augment=augment,
        mesh=mesh or make_mesh(),
        seed=seed,
    )
    rates, held_out = sorted(map(float, learning_rates)), dict[float, float]()
    if len(rates) > 1:
        split = split_training(data)
        assert split.test is not None
        for rate in rates:
            state, _ = training.train(split.train, rate)
            held_out[rate] = float(training.correct(state, split.test).mean())
    rate = max(held_out, key=held_out.__getitem__, default=rates[0])
    state, passes = training.train(data.train, rate)
    assert data.test is not None
    correct = training.correct(state, data.test)
    share = float(correct.mean())
    interval = wilson_interval(share, len(correct))
    return FineTuned(share, interval, rate, held_out, passes, state.params, state.method_state)


def default_rates(data: Data) -> tuple[float, ...]:
    """The rates to try for these labelled training images, as `fine_tune` states them."""
    if len(data.train) >= FEW_IMAGES:
        return (RATE,)
    try:
        split_training(data)
    except UsageError:
        return (UNTRIED,)
    return RATES


def _check(
    learning_rates: Sequence[float], *, epochs: float | None, batch_size: int, weight_decay: float, layer_decay: float
) -> None:
    check_all_positive("fine_tune", learning_rates=learning_rates)
    check_positive("fine_tune", layer_decay=layer_decay, **({} if epochs is None else {"epochs": epochs}))
    check_count("fine_tune", batch_size=batch_size)
    check_range("fine_tune", 0, weight_decay=weight_decay)
    check_range("fine_tune", 0, 1, layer_decay=layer_decay)
