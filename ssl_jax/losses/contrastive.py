"""Contrastive losses: views of one example attract, views of different examples repel.

B: examples held here; N: examples of the whole batch; D: size of an embedding.

`axis_name=None` says that the arrays hold the whole batch, so N = B. A name says that the caller runs once per shard
under that mapped axis (`shard_map`, `pmap`, `vmap`): local queries meet the keys of every shard, and the loss is the mean
over the whole batch, the same number on every shard.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.collectives import gather_rows, mean_over_shards, row_numbers
from ssl_jax.ops.normalize import unit_length


def ntxent(first: Array, second: Array, *, temperature: float = 0.1, axis_name: str | None = None) -> Array:
    """Normalized-temperature cross entropy of SimCLR, in nats.

    Row i of `first` must pick row i of `second` out of the other 2N - 1 embeddings, and the other way round. Chance level,
    and the value of collapsed embeddings, is log(2N - 1).

    Args:
      first, second: embeddings of the two views, `[B, D]`; scaled to unit length here, in float32.
      temperature: divides cosine similarities; above 0.

    Returns:
      Mean over the 2N rows, a scalar.

    Raises:
      ValueError: the views are not two matrices of one shape, or the temperature is not positive.

    Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, equation 1.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"ntxent: first and second must be [B, D] of one shape, got {first.shape} and {second.shape}")
    if temperature <= 0:
        raise ValueError(f"ntxent: temperature must be above 0, got {temperature}")
    first, second = unit_length(first), unit_length(second)
    all_first, all_second = gather_rows(first, axis_name), gather_rows(second, axis_name)
    total = len(all_first)

    queries = jnp.concatenate([first, second])  # [2B, D]
    keys = jnp.concatenate([all_first, all_second])  # [2N, D]
    here = row_numbers(len(first), axis_name)
    itself = jnp.concatenate([here, here + total])
    positive = jnp.concatenate([here + total, here])

    logits = queries @ keys.T / temperature  # [2B, 2N]
    logits = jnp.where(jax.nn.one_hot(itself, 2 * total, dtype=bool), -jnp.inf, logits)
    return mean_over_shards(cross_entropy(logits, positive).mean(), axis_name)


def cross_entropy(logits: Array, label: Array) -> Array:
    """`[B, K]` logits and `[B]` integer labels -> `[B]` nats."""
    picked = jnp.take_along_axis(logits, label[:, None], axis=-1)[:, 0]
    return jax.nn.logsumexp(logits, axis=-1) - picked
