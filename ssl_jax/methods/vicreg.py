"""VICReg: views agree, each dimension of the embedding varies over the batch, no two of them vary together.

Collapse is prevented by the variance term, and its milder form, dimensions that repeat each other, by the covariance term.
Source: Bardes et al. 2021, "VICReg", https://arxiv.org/abs/2105.04906.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.decorrelation import vicreg
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State


@dataclass(frozen=True)
class VICReg(JointEmbedding):
    """invariance, variance, covariance: weights of the three terms of the loss."""

    facts: ClassVar[Facts] = Facts(
        family="redundancy", against_collapse="variance and covariance terms", paper="2105.04906"
    )

    per_view_statistics = True

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        loss = vicreg(
            embeddings["embedding"][:, 0],
            embeddings["embedding"][:, 1],
            invariance=self.invariance,
            variance=self.variance,
            covariance=self.covariance,
            axis_name=axis_name,
        )
        return loss, {}, {}
