"""Losses: pure functions of embeddings, in nats where they are entropies, whole or sharded by `axis_name`."""

from ssl_jax.losses.contrastive import ntxent

__all__ = ["ntxent"]
