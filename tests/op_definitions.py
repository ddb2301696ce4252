"""Every public operation by its equation, to be computed in float64; arguments are those of `ssl_jax.ops`."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import log_softmax, logsumexp, softmax
from loss_definitions import standardize, unit

__all__ = ["standardize", "unit"]  # `unit_length` and `standardize`


def layer_norm(rows, *, epsilon):
    return (rows - rows.mean(axis=-1, keepdims=True)) / jnp.sqrt(rows.var(axis=-1, keepdims=True) + epsilon)


def attention_weights(query, key, *, inverse_temperature, mask, causal, hard):
    """`[B, H, T, S]`; 0 for a query without keys."""
    key = jnp.repeat(key, query.shape[2] // key.shape[2], axis=2)
    scores = jnp.einsum("bthd,bshd->bhts", query, key) * inverse_temperature
    seen = jnp.broadcast_to(mask, scores.shape)
    if causal:
        seen = seen & np.tri(*scores.shape[2:], dtype=bool)
    scores = jnp.where(seen, scores, -jnp.inf)
    if hard:
        weights = jax.nn.one_hot(scores.argmax(axis=-1), scores.shape[-1], dtype=scores.dtype)
    else:
        weights = softmax(jnp.where(seen.any(axis=-1, keepdims=True), scores, 0))
    return jnp.where(seen.any(axis=-1, keepdims=True), weights, 0)


def attention(query, key, value, **options):
    weights = attention_weights(query, key, **options)
    return jnp.einsum("bhts,bshe->bthe", weights, jnp.repeat(value, query.shape[2] // value.shape[2], axis=2))


def softmax_sum(queries, keys, values, *, inverse_temperature, skip, last, mask):
    places = np.arange(len(keys))
    seen = mask & (places <= last[:, None]) & (places[None, :, None] != skip[:, None]).all(axis=-1)
    scores = jnp.where(seen, inverse_temperature * queries @ keys.T, -jnp.inf)
    some = seen.any(axis=1, keepdims=True)
    weights = jnp.where(some, softmax(jnp.where(some, scores, 0)), 0)
    return jnp.where(some[:, 0], logsumexp(jnp.where(some, scores, 0), axis=1), -jnp.inf), weights @ values


def log_sum_exp(queries, keys, *, inverse_temperature):
    return logsumexp(inverse_temperature * queries @ keys.T, axis=1)


def free_energy(query, keys, *, inverse_temperature):
    return -log_sum_exp(query, keys, inverse_temperature=inverse_temperature) / inverse_temperature


def key_value_lookup(query, keys, values, *, inverse_temperature, top, num_classes=None):
    values = values if num_classes is None else jax.nn.one_hot(values, num_classes, dtype=query.dtype)
    scores = query @ keys.T
    least = jnp.sort(scores, axis=1)[:, -(top or len(keys))]
    return softmax(jnp.where(scores >= least[:, None], inverse_temperature * scores, -jnp.inf)) @ values


def latent_free_energy(energies, *, inverse_temperature):
    if inverse_temperature is None:
        return energies.min(axis=-1)
    return -jnp.log(jnp.exp(-inverse_temperature * (energies - energies.min(axis=-1, keepdims=True))).mean(axis=-1)) / (
        inverse_temperature
    ) + energies.min(axis=-1)


def descend_latent(start, *, steps, learning_rate):
    """Of the energy `|z - 3|^2`, whose slope is `2 (z - 3)`; the result is a constant."""
    latent = lax.stop_gradient(3 + (start - 3) * (1 - 2 * learning_rate) ** steps)
    return latent, ((latent - 3) ** 2).sum(axis=-1)


def rotation_matrix(free):
    skew = (free - jnp.swapaxes(free, -1, -2)) / 4
    return jnp.linalg.inv(np.eye(free.shape[-1]) - skew) @ (np.eye(free.shape[-1]) + skew)


def sinkhorn(scores, *, epsilon, iterations, counted):
    """Columns, of the rows that are counted, and rows are scaled to even sums in turn."""
    logits = lax.stop_gradient(scores) / epsilon
    counted = counted | ~counted.any()
    for _ in range(iterations):
        logits = log_softmax(logits - logsumexp(jnp.where(counted[:, None], logits, -jnp.inf), axis=0))
    return softmax(logits)
