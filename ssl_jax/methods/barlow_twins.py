"""Barlow Twins: each dimension of the embedding agrees between two views and does not correlate with the others.

Collapse is prevented by standardising over the batch (a constant has no correlation with itself) and by decorrelation
(copies of one dimension are penalised); no negatives, no asymmetry.
Source: Zbontar et al. 2021, "Barlow Twins", https://arxiv.org/abs/2103.03230.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.decorrelation import barlow_twins
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State


@dataclass(frozen=True)
class BarlowTwins(JointEmbedding):
    """Cross-correlation of two views against the identity.

    off_diagonal_weight: weight of the off-diagonal (redundancy) term; the diagonal (invariance) term has weight 1.
    scale: factor of the whole loss, which is a sum over D x D correlations; 0.024 in the authors' code with LARS.
    """

    facts: ClassVar[Facts] = Facts(
        family="redundancy", against_collapse="standardised, decorrelated dimensions", paper="2103.03230"
    )

    per_view_statistics = True

    off_diagonal_weight: float = 5e-3
    scale: float = 1.0

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        first, second = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        loss = barlow_twins(first, second, off_diagonal_weight=self.off_diagonal_weight, axis_name=axis_name)
        return self.scale * loss, {}, {}
