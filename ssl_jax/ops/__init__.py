"""Building blocks of losses and networks: pure functions of arrays, whole or sharded by `axis_name`."""

from ssl_jax.ops.attention import attention, attention_weights
from ssl_jax.ops.energy import free_energy, key_value_lookup
from ssl_jax.ops.kmeans import kmeans
from ssl_jax.ops.latent import descend_latent, latent_free_energy
from ssl_jax.ops.rotation import rotation_matrix
from ssl_jax.ops.sinkhorn import sinkhorn
from ssl_jax.ops.streaming import log_sum_exp, softmax_sum

__all__ = [
    "attention",
    "attention_weights",
    "descend_latent",
    "free_energy",
    "key_value_lookup",
    "kmeans",
    "latent_free_energy",
    "log_sum_exp",
    "rotation_matrix",
    "sinkhorn",
    "softmax_sum",
]
