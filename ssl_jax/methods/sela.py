"""SeLa: alternates between labels and network; labels are the optimal ones that partition the data set equally.

Collapse is prevented by the equal partition: minimising cross-entropy over the labels alone would give all images one label.
Unlike SwAV's codes, labels are hard, computed on the whole data set, and kept for an epoch.
Source: Asano et al. 2019, "Self-labelling via simultaneous clustering and representation learning",
https://arxiv.org/abs/1911.05371; with a bank, several crops and a projection head as in Caron et al. 2020.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.methods.deepcluster import LARGE, DeepCluster
from ssl_jax.methods.method import Facts, Params, State
from ssl_jax.ops.bank import fresh
from ssl_jax.ops.collectives import over_shards, row_numbers
from ssl_jax.ops.normalize import unit_length
from ssl_jax.ops.sinkhorn import sinkhorn_labels


@dataclass(frozen=True, kw_only=True)
class SeLa(DeepCluster):
    """Cross-entropy of hard, equally frequent labels, with prototypes that are trained; chance level log(clusters).

    clusters: number of pseudo-labels of each head.
    heads: number of simultaneous labellings, each of a different view.
    sharpness: lambda of the paper, the power of the network's probabilities in the optimal transport; its entropy term is
      1 / lambda.
    iterations: number of Sinkhorn-Knopp iterations.
    """

    facts: ClassVar[Facts] = Facts(
        family="clustering",
        against_collapse="equal partition of the data set",
        memory="bank, labels",
        paper="1911.05371",
    )

    sharpness: float = 25.0
    iterations: int = 100

    @property
    def fill_steps(self) -> int:
        """None: the first labels are random and equally frequent, so that the first epoch has a gradient."""
        return 0

    def fresh_banks(self, rng: Array) -> Array:
        """Random directions: every image has a label from the start, whether it was encoded or not."""
        keys = jax.random.split(rng, LARGE)
        return jnp.stack([fresh(key, self.rows, self.head.width).rows for key in keys], axis=1)

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, prototype_rng, label_rng = jax.random.split(rng, 3)
        params, state = super().init(rng)
        del state["centroids"]
        shape = self.heads, self.clusters, self.head.width
        params["prototypes"] = unit_length(jax.random.normal(prototype_rng, shape))
        even = jnp.arange(self.examples, dtype=jnp.int32) % self.clusters
        shuffled = jax.vmap(jax.random.permutation, in_axes=(0, None))
        labels = shuffled(jax.random.split(label_rng, self.heads), even).T
        padding = (0, self.rows - self.examples), (0, 0)
        return params, {**state, "labels": jnp.pad(labels, padding, constant_values=-1)}

    def prototypes(self, params: Params, state: State) -> Array:
        return params["prototypes"]

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        params = {**params, "prototypes": unit_length(params["prototypes"])}
        return super().after_step(params, state, step)

    def cluster(self, params: Params, state: State, step: Array) -> State:
        return {"labels": over_shards(self.label_rows, state["banks"], params["prototypes"])[0]}

    def label_rows(self, banks: Array, prototypes: Array, axis_name: str | None) -> tuple[Array, None]:
        """Labels of this shard's entries, `[B, heads]`."""
        counted = row_numbers(len(banks), axis_name) < self.examples

        def of_head(head: Array) -> Array:
            return sinkhorn_labels(
                banks[:, head % LARGE], prototypes[head], epsilon=self.temperature / self.sharpness,
                iterations=self.iterations, counted=counted, axis_name=axis_name,
            )  # fmt: skip

        return lax.map(of_head, jnp.arange(self.heads)).T, None
