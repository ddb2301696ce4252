"""Linear probe as papers report it: SGD on augmented views of the images, with a sweep of learning rates in one run.

N: training images; B: images in a batch; D: size of a feature; K: classes; R: learning rates. The encoder is frozen, with
its running statistics; the classifier is one linear layer without a norm. Each step encodes a batch once, for all rates.

The sources differ in optimizer, rate for 256 images per step, epochs and schedule:
- SimCLR: 0.1, momentum SGD or LARS, 90 epochs, cosine (README.md of google-research/simclr)
- MoCo: 30, SGD, 100 epochs, a tenth at 60 and 80 (main_lincls.py of facebookresearch/moco)
- SwAV: 0.3, decay 1e-6, SGD, 100 epochs, cosine (eval_linear.py of facebookresearch/swav)
- DINO: 0.001, SGD, 100 epochs, cosine (eval_linear.py of facebookresearch/dino)
- DINOv2: 13 rates from 1e-5 to 0.1 at once, SGD, cosine (dinov2/eval/linear.py of facebookresearch/dinov2)
The last four keep the epoch or the rate that is best on the validation images that they report; here training images choose.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from numpy.typing import NDArray

from ssl_jax.data import Batches, Source, in_order, model_inputs, split_training
from ssl_jax.data.subsets import labelled
from ssl_jax.evaluate.crops import Augmentation
from ssl_jax.evaluate.features import Network, compiled, features_of
from ssl_jax.evaluate.intervals import wilson_interval
from ssl_jax.losses.pretext import cross_entropy
from ssl_jax.ops.bank import keys_of
from ssl_jax.ops.checks import check_all_positive, check_choice, check_count, check_positive, check_range, check_type
from ssl_jax.optimizers import Optimizer, cosine, lars, sgd

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": sgd, "lars": lars}


class SGDProbe(NamedTuple):
    """The classifier that was chosen. Accuracies are in [0, 1]."""

    accuracy: float  # on the test images
    interval: tuple[float, float]  # 95 % Wilson interval of the accuracy
    learning_rate: float  # the rate chosen, for 256 images per step
    held_out: dict[float, float]  # rate -> accuracy on the training images held out
    weights: NDArray[np.float32]  # [D, K]: logits are features @ weights + bias
    bias: NDArray[np.float32]  # [K]


def linear_sgd(
    network: Network,
    *,
    learning_rates: Sequence[float] = RATES,
    epochs: float = 100,
    batch_size: int = 256,
    optimizer: Literal["sgd", "lars"] = "sgd",
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    augment: Augmentation | None = None,
    seed: int = 0,
) -> SGDProbe:
    """Accuracy of a linear classifier of frozen features that is trained by SGD on augmented images. Chance level: 1/K.

    Two classifiers for each rate are trained in one run: one does not see a fifth of each class of the training images, which
    then choose the rate (the best, and the smallest among equals); of the others, trained on all, the one of that rate is
    evaluated once on the test images.

    Args:
      network: the frozen network, and data with labels and a test part.
      learning_rates: peaks for 256 images per step, scaled linearly with the batch; half a cosine takes them to 0.
      epochs: passes over the labelled training images; may be fractional.
      batch_size: images per step; a smaller data set is one batch.
      optimizer: SGD with momentum, or LARS.
      momentum: of the optimizer.
      weight_decay: of the weights, as part of the gradient.
      augment: of the training images, such as `crop_and_flip()`; None for none.
      seed: seed of the order of the images, their augmentation and the initial weights, normal with deviation 0.01.

    Raises:
      ValueError: a rate, a number of epochs, a momentum or a decay out of range.
      UsageError: fewer than five images, no class with two labelled training images, or no labelled test image.

    Example:
      >>> from ssl_jax.data import ArraySource, Data
      >>> labels = np.arange(40, dtype=np.int32) % 2
      >>> images = np.zeros((40, 2, 2, 1), np.uint8)
      >>> images[labels == 1, 0] = 255
      >>> source = ArraySource("toy", ("dark", "light"), images, labels)
      >>> def extract(params, state, images):
      ...     return images.reshape(len(images), -1).astype(jnp.float32) / 255
      >>> print(linear_sgd(Network(extract, None, None, Data("toy", source, source)), epochs=10).accuracy)
      1.0

    Sources: above, at the top of the file.
    """
    check_type("linear_sgd", Network, network=network)
    check_choice("linear_sgd", OPTIMIZERS, optimizer=optimizer)
    check_count("linear_sgd", least=0, seed=seed)
    _check(learning_rates, epochs=epochs, batch_size=batch_size, momentum=momentum, weight_decay=weight_decay)
    make = OPTIMIZERS[optimizer]
    train, classes = labelled(network.data.train), len(network.data.classes)
    split = split_training(replace(network.data, train=train))
    assert split.test is not None and network.data.test is not None
    rates = sorted(map(float, learning_rates))
    size = network.batch_size(min(batch_size, len(train)))
    batches = Batches(train, size, seed=seed, sharding=network.sharding)
    steps = max(1, round(epochs * batches.steps_per_epoch))

    def optimizer_of(rate: Array) -> optax.GradientTransformation:
        schedule = cosine(rate * (size / 256), 0.0, steps=steps)  # type: ignore[arg-type]
        return make(schedule, momentum=momentum, weight_decay=weight_decay).transformation

    held = np.zeros(len(train), bool)
    held[split.test.indices] = True  # type: ignore[attr-defined]
    probes = _train(
        network,
        batches,
        optimizer_of,
        np.array(rates, np.float32),
        held,
        augment,
        classes=classes,
        steps=steps,
        seed=seed,
    )
    run = compiled(network.extract, network.params, network.state)
    on_held, on_test = (_right(network, run, source, probes) for source in (split.test, network.data.test))
    accuracies = dict(zip(rates, on_held[0].mean(axis=1).tolist(), strict=True))
    best = int(on_held[0].mean(axis=1).argmax())
    share = float(on_test[1, best].mean())
    weights, bias = (leaf[1, best] for leaf in (probes["kernel"], probes["bias"]))
    interval = wilson_interval(share, on_test.shape[-1])
    return SGDProbe(share, interval, rates[best], accuracies, weights, bias)


def _check(
    learning_rates: Sequence[float], *, epochs: float, batch_size: int, momentum: float, weight_decay: float
) -> None:
    check_all_positive("linear_sgd", learning_rates=learning_rates)
    check_positive("linear_sgd", epochs=epochs)
    check_count("linear_sgd", batch_size=batch_size)
    check_range("linear_sgd", 0, 1, momentum=momentum)
    check_range("linear_sgd", 0, weight_decay=weight_decay)


def _train(
    network: Network,
    batches: Batches,
    optimizer_of: Any,
    rates: NDArray[np.float32],
    held: NDArray[np.bool_],
    augment: Augmentation | None,
    *,
    classes: int,
    steps: int,
    seed: int,
) -> dict[str, NDArray[np.float32]]:
    """Classifiers, first those that do not see the held-out images: "kernel" `[2, R, D, K]` and "bias" `[2, R, K]`."""

    def encode(params: Any, state: Any, batch: Any, rng: Array) -> Array:
        images = model_inputs(batch)
        if augment is not None:
            images = jax.vmap(augment)(keys_of(rng, batch["index"]), images)
        return network.extract(params, state, images)

    def update(rate: Array, probe: Any, moments: Any, features: Array, labels: Array) -> Any:
        def loss(probe: Any) -> Array:
            logits = jnp.matmul(features, probe["kernel"], precision="highest") + probe["bias"][None]
            return cross_entropy(logits, labels)

        updates, moments = optimizer_of(rate).update(jax.grad(loss)(probe), moments, probe)
        return optax.apply_updates(probe, updates), moments

    over_rates = jax.vmap(update, in_axes=(0, 0, 0, None, None))
    over_both = jax.vmap(over_rates, in_axes=(None, 0, 0, None, 0))

    @jax.jit
    def step(params: Any, state: Any, probes: Any, moments: Any, number: Array, batch: Any, constants: Any) -> Any:
        rates, held = constants
        features = encode(params, state, batch, jax.random.fold_in(jax.random.key(seed), number))
        labels = jnp.stack([jnp.where(held[batch["index"]], -1, batch["label"]), batch["label"]])
        return over_both(rates, probes, moments, features, labels)

    @jax.jit
    def begin(params: Any, state: Any, batch: Any, rates: Array) -> Any:
        width = jax.eval_shape(encode, params, state, batch, jax.random.key(0)).shape[1]
        kernel = 0.01 * jax.random.normal(jax.random.key(seed), (width, classes))
        probe = {"kernel": kernel, "bias": jnp.zeros(classes)}
        probes = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, len(rates), *leaf.shape)), probe)
        return probes, jax.vmap(jax.vmap(lambda rate, probe: optimizer_of(rate).init(probe), (0, 0)), (None, 0))(
            rates, probes
        )

    constants = jax.device_put((rates, held))
    probes = moments = None
    for number in range(steps):
        batch = next(batches)
        if probes is None:
            probes, moments = begin(network.params, network.state, batch, constants[0])
        probes, moments = step(network.params, network.state, probes, moments, np.int32(number), batch, constants)
    return jax.device_get(probes)


def _right(network: Network, run: Any, source: Source, probes: dict[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Which labelled images of a source each classifier predicts correctly, `[2, R, images]`."""
    features, labels = features_of(run, in_order(source, batch_size=512), sharding=network.sharding)
    features, labels = features[labels >= 0], labels[labels >= 0]
    logits = np.einsum("nd,trdk->trnk", features, probes["kernel"], optimize=True) + probes["bias"][:, :, None]
    return logits.argmax(axis=-1) == labels
