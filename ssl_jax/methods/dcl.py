"""Decoupled contrastive learning: SimCLR without the positive in the denominator of the softmax.

Collapse is prevented by the negatives, as in SimCLR, but an easy positive no longer shrinks their gradient: small batches
suffice. Source: Yeh et al. 2021, "Decoupled Contrastive Learning", https://arxiv.org/abs/2110.06848.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.contrastive import decoupled_contrastive
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State
from ssl_jax.methods.simclr import SimCLR


@dataclass(frozen=True)
class DCL(SimCLR):
    """temperature: softmax temperature, 0.1 in the paper."""

    facts: ClassVar[Facts] = Facts(
        family="contrastive", against_collapse="negatives", negatives="2N - 2 in the batch", paper="2110.06848"
    )

    def chance_loss(self, batch_size: int) -> float | None:
        return self.scale * math.log(2 * batch_size - 2)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        first, second = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        loss = decoupled_contrastive(first, second, temperature=self.temperature, axis_name=axis_name)
        return self.scale * loss, {}, {}
