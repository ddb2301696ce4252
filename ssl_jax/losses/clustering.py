"""Clustering losses: views of one example are assigned to the same prototype.

V: crops; A: assigned crops, the first A of the V; B: examples of this shard; N: examples of the whole batch; K: prototypes.
With `axis_name=None` the arrays hold the whole batch; with a name they are one shard of it under that mapped
axis, and the loss is the mean over the whole batch.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.losses.pretext import check_classes, cross_entropy
from ssl_jax.ops.checks import check_arrays, check_positive
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.explicit_axes import on_explicit_axes


@on_explicit_axes
def swav(scores: Array, assignments: Array, *, temperature: float = 0.1, axis_name: str | None = None) -> Array:
    """Swapped prediction of SwAV, in nats: each crop predicts the prototypes assigned to the other crops.

    Assignment a comes from crop a and is not compared with it. Chance level, where all scores are equal, is log K.

    Args:
      scores: similarity of each crop to each prototype, both at unit length, `[V, B, K]`.
      assignments: probabilities of the first A crops, from `sinkhorn`, `[A, B, K]`; taken as constants.
      temperature: divides the scores; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the A (V - 1) pairs of crops and the N examples.

    Raises:
      ValueError: the shapes do not fit, there are fewer than two crops, or the temperature is not positive.

    Example:
      >>> scores = jnp.stack([jnp.eye(4), jnp.eye(4)])  # two crops of four images, four prototypes
      >>> print(f"{swav(scores, sinkhorn(scores[0])[None], temperature=0.5):.3f}, chance level {np.log(4):.3f}")
      0.341, chance level 1.386

    Source: Caron et al. 2020, https://arxiv.org/abs/2006.09882, equations 2 and 6.
    """
    check_crops("swav", scores=scores, assignments=assignments)
    check_positive("swav", temperature=temperature)
    targets = lax.stop_gradient(assignments).astype(jnp.float32)
    log_probabilities = jax.nn.log_softmax(scores.astype(jnp.float32) / temperature)
    return -mean_over_crop_pairs(log_probabilities, targets, axis_name)


@on_explicit_axes
def cluster_cross_entropy(
    scores: Array, labels: Array, *, temperature: float = 0.1, axis_name: str | None = None
) -> Array:
    """Cross-entropy of each example's cluster, found on the whole data set, in nats (DeepCluster-v2, ClusterFit, SeLa).

    Chance level is log K.

    Args:
      scores: `[B, K]`; similarities at unit length, or the logits of a linear layer with temperature 1.
      labels: hard, integers `[B]`, negative where an example has no cluster yet (it is not counted); or soft,
        probabilities `[B, K]`, taken as constants.
      temperature: divides the scores; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Raises:
      ValueError: labels do not fit the scores, the input is empty, or the temperature is not positive.

    Example:
      >>> scores, labels = jnp.eye(4), jnp.arange(4)
      >>> print(f"{cluster_cross_entropy(scores, labels, temperature=0.5):.3f}, chance level {np.log(4):.3f}")
      0.341, chance level 1.386

    Source: Caron et al. 2018, https://arxiv.org/abs/1807.05520, equation 1; temperature as in Caron et al. 2020.
    """
    check_classes("cluster_cross_entropy", labels, scores=scores)
    check_positive("cluster_cross_entropy", temperature=temperature)
    return cross_entropy(scores.astype(jnp.float32) / temperature, lax.stop_gradient(labels), axis_name=axis_name)


def check_crops(function: str, **crops: Array) -> None:
    """The first of two arrays is `[V, B, K]`, V at least 2, the second `[A, B, K]`, of the first A of these crops."""
    check_arrays(function, **crops)
    (name, student), (other, targets) = crops.items()
    if student.ndim != 3 or targets.ndim != 3 or student.shape[1:] != targets.shape[1:] or student.size == 0:
        raise ValueError(
            f"{function}: needs {name} [V, B, K] and {other} [A, B, K], not empty, got {student.shape} and {targets.shape}"
        )
    if len(student) < 2 or not 1 <= len(targets) <= len(student):
        raise ValueError(
            f"{function}: needs {name} of V >= 2 crops and {other} of 1 to V of them, got {len(student)} and {len(targets)}"
        )


def mean_over_crop_pairs(student: Array, targets: Array, axis_name: str | None) -> Array:
    """Mean inner product over the batch and over all pairs of a target and another crop; `[V, B, K]`, `[A, B, K]`."""
    pairs = jnp.einsum("abk,vbk->av", targets, student, precision="highest") / targets.shape[1]
    itself = jnp.eye(len(targets), len(student), dtype=bool)
    mean = jnp.where(itself, 0, pairs).sum() / (len(targets) * (len(student) - 1))
    return mean_over_shards(mean, axis_name)
