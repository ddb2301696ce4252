"""Classification of labels that the data gives for free: rotation, relative position, jigsaw; and of clusters.

B: examples held here; N: examples of the whole batch; K: classes. `axis_name=None` says that the arrays hold the whole
batch; a name says that they are one shard of it under that mapped axis, and the loss is the mean over the whole batch.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.collectives import mean_over_shards


def cross_entropy(logits: Array, labels: Array, *, label_smoothing: float = 0.0, axis_name: str | None = None) -> Array:
    """Cross-entropy of a softmax over classes, in nats.

    Chance level, where all logits are equal, is log K.

    Args:
      logits: `[..., K]`.
      labels: hard, integers `[...]`, of which negative ones are not counted (unlabelled) and K or more give NaN; or
        soft, probabilities `[..., K]`.
      label_smoothing: share of the label spread evenly over all classes, in [0, 1).

    Returns:
      Mean over what was counted, over all shards; 0 where nothing was.

    Raises:
      ValueError: labels do not fit the logits, nothing came in, or the smoothing is out of range.
    """
    soft = labels.shape == logits.shape and jnp.issubdtype(labels.dtype, jnp.floating)
    hard = labels.shape == logits.shape[:-1] and jnp.issubdtype(labels.dtype, jnp.integer)
    if not (soft or hard) or logits.size == 0:
        raise ValueError(
            "cross_entropy: needs logits [..., K], not empty, with integer labels [...] or probabilities [..., K], got "
            f"{logits.shape} and {labels.dtype} {labels.shape}"
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1), got {label_smoothing}")
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))

    if soft:
        at_label = jnp.sum(labels.astype(jnp.float32) * log_probabilities, axis=-1)
        counted = jnp.ones(at_label.shape, bool)
    else:
        at_label = jnp.take_along_axis(log_probabilities, labels[..., None], axis=-1, mode="fill")[..., 0]
        counted = labels >= 0
    nats = -(1 - label_smoothing) * at_label - label_smoothing * log_probabilities.mean(axis=-1)

    total = mean_over_shards(jnp.where(counted, nats, 0).sum(), axis_name)
    count = mean_over_shards(counted.sum().astype(jnp.float32), axis_name)
    return total / jnp.where(count > 0, count, 1)


def weighted_cross_entropy(logits: Array, labels: Array, weights: Array, *, axis_name: str | None = None) -> Array:
    """Cross-entropy in which each class counts as much as it is told to, in nats: for classes that are rare.

    Chance level is log K, whatever the weights.

    Args:
      logits: `[..., K]`.
      labels: integers `[...]` in [0, K).
      weights: of the classes, `[K]`, not negative.

    Returns:
      Mean over all shards, each label with the weight of its class.

    Raises:
      ValueError: the shapes do not fit, or nothing came in.

    Source: Zhang et al. 2016, https://arxiv.org/abs/1603.08511, equations 2 and 3.
    """
    if labels.shape != logits.shape[:-1] or weights.shape != logits.shape[-1:] or logits.size == 0:
        raise ValueError(
            "weighted_cross_entropy: needs logits [..., K], not empty, labels [...] and weights [K], got "
            f"{logits.shape}, {labels.shape} and {weights.shape}"
        )
    log_probabilities = jax.nn.log_softmax(logits.astype(jnp.float32))
    at_label = jnp.take_along_axis(log_probabilities, labels[..., None], axis=-1)[..., 0]
    weight = jnp.take(weights.astype(jnp.float32), labels)
    return -mean_over_shards(jnp.mean(weight * at_label), axis_name) / mean_over_shards(weight.mean(), axis_name)


def accuracy(logits: Array, labels: Array, *, axis_name: str | None = None) -> Array:
    """Share of `logits` `[..., K]` whose largest is at `labels` `[...]`, over all shards, in [0, 1]. Chance level 1 / K."""
    right = jnp.argmax(logits, axis=-1) == labels
    return mean_over_shards(right.mean(dtype=jnp.float32), axis_name)
