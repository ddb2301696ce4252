"""BYOL as one program on the pieces of the package, without its trainer, methods and recipes.

    python examples/byol.py

The same method with checkpoints, several devices and a report is `ssl-jax pretrain byol`; `ssl_jax/methods/byol.py` has it.
Source: Grill et al. 2020, "Bootstrap Your Own Latent", https://arxiv.org/abs/2006.07733.
"""

import functools
from typing import Any

import jax
import optax
from jax import Array

from ssl_jax.augment.views import digit_views, evaluation_view
from ssl_jax.data import Batches, load_into_memory, open_data
from ssl_jax.evaluate import knn_accuracy
from ssl_jax.losses import negative_cosine
from ssl_jax.networks import encoder, projection_head
from ssl_jax.ops.moving_average import cosine_momentum, moving_average
from ssl_jax.optimizers import adamw, warmup_cosine

SHOWN = {"size": 28, "mean": (0.13,), "std": (0.31,)}
ENCODER = encoder("small", image_shape=(28, 28, 1))
HEAD = projection_head(inputs=ENCODER.width, widths=(256, 64))
PREDICTOR = projection_head(inputs=64, widths=(256, 64))
NETWORKS = {"encoder": ENCODER, "head": HEAD, "predictor": PREDICTOR}


def forward(params: Any, stats: Any, images: Array, *names: str) -> tuple[list[Array], Any]:
    """The outputs of the networks of these names, each on that of the one before, and the new batch statistics."""
    outputs, stats = [images], dict(stats)
    for name in names:
        found, stats[name] = NETWORKS[name].apply(params[name], stats[name], outputs[-1], train=True)
        outputs.append(found["features"] if name == "encoder" else found)
    return outputs[1:], stats


def loss_of(params: Any, stats: Any, teacher: Any, views: Array) -> tuple[Array, tuple[Any, Any]]:
    """Squared distance of the student's prediction from each view to the teacher's embedding of the other: in [0, 8]."""
    predictions, targets, (teacher, teacher_stats) = [], [], teacher
    for view in (0, 1):
        (*_, prediction), stats = forward(params, stats, views[:, view], "encoder", "head", "predictor")
        (*_, target), teacher_stats = forward(teacher, teacher_stats, views[:, view], "encoder", "head")
        predictions.append(prediction)
        targets.append(target)
    loss = 4 + 2 * (negative_cosine(predictions[0], targets[1]) + negative_cosine(predictions[1], targets[0]))
    return loss, (stats, teacher_stats)


def train(*, steps: int = 300, batch_size: int = 256, seed: int = 0) -> tuple[list[float], float]:
    """The losses, and the k-NN accuracy of the frozen features; chance is 0.1."""
    data = open_data("digits")
    rng, *keys = jax.random.split(jax.random.key(seed), 1 + len(NETWORKS))
    made = {name: net.init(key) for key, (name, net) in zip(keys, NETWORKS.items(), strict=True)}
    params, stats = ({name: pair[which] for name, pair in made.items()} for which in (0, 1))
    teacher, augment = (params, stats), jax.vmap(digit_views(**SHOWN))
    optimizer = adamw(warmup_cosine(3e-3, steps=max(steps, 1), warmup=steps // 20), weight_decay=1e-4).transformation

    @jax.jit
    def update(step: Array, images: Array, params: Any, stats: Any, teacher: Any, moments: Any) -> tuple[Any, ...]:
        views = augment(jax.random.split(jax.random.fold_in(rng, step), len(images)), images)
        compute = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (stats, teacher_stats)), gradient = compute(params, stats, teacher, views)
        updates, moments = optimizer.update(gradient, moments, params)
        params = optax.apply_updates(params, updates)
        averaged = moving_average(teacher[0], params, momentum=cosine_momentum(step, steps=steps, start=0.99))
        return loss, params, stats, (averaged, teacher_stats), moments

    losses, moments = [], optimizer.init(params)
    with Batches(data.train, batch_size, seed=seed) as batches:
        for step in range(steps):
            loss, params, stats, teacher, moments = update(
                step, next(batches)["image"], params, stats, teacher, moments
            )
            losses.append(loss)

    @jax.jit
    def features(images: Array) -> Array:
        prepared = jax.vmap(evaluation_view(**SHOWN))(images)
        return ENCODER.apply(params["encoder"], stats["encoder"], prepared, train=False)[0]["features"]

    bank, test = (load_into_memory(part) for part in (data.train, data.test))
    accuracy = functools.partial(knn_accuracy, num_classes=10)
    found = accuracy(features(bank["image"]), bank["label"], features(test["image"]), test["label"])
    return [float(loss) for loss in losses], float(found)


if __name__ == "__main__":
    losses, accuracy = train()
    print(f"loss {losses[0]:.3f} to {losses[-1]:.3f}, k-NN {accuracy:.1%}")
