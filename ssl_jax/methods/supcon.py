"""Supervised contrastive learning: views of one class attract. An upper bound for methods without labels.

Collapse is prevented by the negatives, which are of other classes.
Source: Khosla et al. 2020, "Supervised Contrastive Learning", https://arxiv.org/abs/2004.11362.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from ssl_jax.losses.contrastive import supervised_contrastive
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.methods.simclr import SimCLR


@dataclass(frozen=True)
class SupCon(SimCLR):
    """temperature: softmax temperature, 0.1 in the paper.

    scale: factor of the loss; temperature / 0.07 in the authors' code.
    """

    facts: ClassVar[Facts] = Facts(
        family="supervised",
        against_collapse="negatives",
        positives="views of one class",
        negatives="other classes",
        paper="2004.11362",
    )

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        embeddings, state = super().encode(params, state, views, rng, step)
        return {**embeddings, "label": views["label"]}, state

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        embedding = embeddings["embedding"]
        size, views, dim = embedding.shape
        loss = supervised_contrastive(
            embedding.reshape(size * views, dim),
            jnp.repeat(embeddings["label"], views),
            temperature=self.temperature,
            axis_name=axis_name,
        )
        return self.scale * loss, {}, {}
