"""Classification of pretext labels, which need no annotation (rotation, relative position, jigsaw), and of clusters.

B: examples of this shard; N: examples of the whole batch; K: classes. With `axis_name=None` the arrays hold the whole
batch; with a name they are one shard of it under that mapped axis, and the loss is the mean over the whole batch.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.checks import check_arrays, check_integers, check_labels, check_not_negative
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.explicit_axes import on_explicit_axes


@on_explicit_axes
def cross_entropy(logits: Array, labels: Array, *, label_smoothing: float = 0.0, axis_name: str | None = None) -> Array:
    """Cross-entropy of a softmax over classes, in nats.

    Chance level, where all logits are equal, is log K.

    Args:
      logits: `[..., K]`.
      labels: hard, integers `[...]`, of which negative ones are not counted (unlabelled) and under `jit` K or more give
        NaN; or soft, probabilities `[..., K]`.
      label_smoothing: share of the label spread evenly over all classes, in [0, 1).
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the labels that count, over all shards; 0 if none does.

    Raises:
      ValueError: labels do not fit the logits or are K or more, where values are concrete (not under `jit`); the input is
        empty, or the smoothing is out of range.

    Example:
      >>> logits = jnp.array([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
      >>> print(f"{cross_entropy(logits, jnp.array([0, 1])):.3f}, chance level {np.log(3):.3f}")
      0.240, chance level 1.099
    """
    check_classes("cross_entropy", labels, logits=logits)
    if not (isinstance(label_smoothing, int | float) and 0 <= label_smoothing < 1):
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1), got {label_smoothing}")
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))

    if labels.shape == logits.shape:  # soft
        at_label = jnp.sum(labels.astype(jnp.float32) * log_probabilities, axis=-1)
        counted = jnp.ones(at_label.shape, bool)
    else:
        at_label = _at_label(log_probabilities, labels)
        counted = labels >= 0
    nats = -(1 - label_smoothing) * at_label - label_smoothing * log_probabilities.mean(axis=-1)

    total = mean_over_shards(jnp.where(counted, nats, 0).sum(), axis_name)
    count = mean_over_shards(counted.sum().astype(jnp.float32), axis_name)
    return total / jnp.where(count > 0, count, 1)


@on_explicit_axes
def weighted_cross_entropy(logits: Array, labels: Array, weights: Array, *, axis_name: str | None = None) -> Array:
    """Cross-entropy with a weight for each class, in nats: for rare classes.

    Chance level is log K for any weights.

    Args:
      logits: `[..., K]`.
      labels: integers `[...]`, of which negative ones are not counted (unlabelled) and under `jit` K or more give NaN.
      weights: weights of the classes, `[K]`, not negative.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over all shards, weighted by the class of each label; 0 if no label counts.

    Raises:
      ValueError: the shapes or types do not fit, the input is empty, or, where values are concrete (not under `jit`), a label
        is K or more or a weight negative.

    Example:
      >>> logits = jnp.array([[2.0, 0.0], [2.0, 0.0]])
      >>> print(f"{weighted_cross_entropy(logits, jnp.array([0, 1]), jnp.array([1.0, 3.0])):.3f}, chance level {np.log(2):.3f}")
      1.627, chance level 0.693

    Source: Zhang et al. 2016, https://arxiv.org/abs/1603.08511, equations 2 and 3.
    """
    check_arrays("weighted_cross_entropy", logits=logits, weights=weights)
    check_integers("weighted_cross_entropy", labels=labels)
    if labels.shape != logits.shape[:-1] or weights.shape != logits.shape[-1:] or logits.size == 0:
        raise ValueError(
            "weighted_cross_entropy: needs logits [..., K], not empty, labels [...] and weights [K], got "
            f"{logits.shape}, {labels.shape} and {weights.shape}"
        )
    check_labels("weighted_cross_entropy", logits.shape[-1], least=None, labels=labels)
    check_not_negative("weighted_cross_entropy", weights=weights)
    at_label = _at_label(jax.nn.log_softmax(logits.astype(jnp.float32)), labels)
    weight = jnp.where(labels < 0, 0, jnp.asarray(weights, jnp.float32).at[labels].get(mode="clip"))
    total = mean_over_shards(jnp.mean(jnp.where(labels < 0, 0, weight * at_label)), axis_name)
    count = mean_over_shards(weight.mean(), axis_name)
    return -total / jnp.where(count > 0, count, 1)


def check_classes(function: str, labels: Array, **logits: Array) -> None:
    """Logits `[..., K]`, not empty, with soft labels `[..., K]` or integers `[...]`, below K where values are concrete."""
    check_arrays(function, **logits, labels=labels)
    ((name, scores),) = logits.items()
    soft = labels.shape == scores.shape and jnp.issubdtype(labels.dtype, jnp.floating)
    hard = labels.shape == scores.shape[:-1] and jnp.issubdtype(labels.dtype, jnp.integer)
    if not (soft or hard) or scores.size == 0:
        raise ValueError(
            f"{function}: needs {name} [..., K], not empty, with integer labels [...] or probabilities [..., K], got "
            f"{scores.shape} and {labels.dtype} {labels.shape}"
        )
    if hard:
        check_labels(function, scores.shape[-1], least=None, labels=labels)


def _at_label(log_probabilities: Array, labels: Array) -> Array:
    """`[..., K]` at labels `[...]`: `[...]`; NaN for K or more."""
    return jnp.take_along_axis(log_probabilities, labels[..., None], axis=-1, mode="fill")[..., 0]


def accuracy(logits: Array, labels: Array, *, axis_name: str | None = None) -> Array:
    """Share of `logits` `[..., K]` whose largest is at `labels` `[...]`, over all shards, in [0, 1]. Chance level 1 / K.

    Raises:
      ValueError: the labels are not integers of the logits' shape without its last axis, or the input is empty.
    """
    check_arrays("accuracy", logits=logits)
    check_integers("accuracy", labels=labels)
    if labels.shape != logits.shape[:-1] or logits.size == 0:
        raise ValueError(
            f"accuracy: needs logits [..., K], not empty, and labels [...], got {logits.shape} and {labels.shape}"
        )
    right = jnp.argmax(logits, axis=-1) == labels
    return mean_over_shards(right.mean(dtype=jnp.float32), axis_name)
