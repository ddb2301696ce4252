"""LeJEPA: views predict their mean, and a regulariser makes embeddings follow an isotropic Gaussian.

Collapse is prevented by the distribution: in every direction, the embeddings must follow a standard normal.
No teacher, no stop-gradient, no schedule, one weight.
Source: Balestriero and LeCun 2025, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics",
https://arxiv.org/abs/2511.08544, section 5.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.decorrelation import lejepa_prediction, sigreg
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State


@dataclass(frozen=True, kw_only=True)
class LeJEPA(JointEmbedding):
    """Distance of each view to the mean of the large ones, and SIGReg of each view over the batch.

    weight: lambda, the weight of SIGReg, in [0, 1]; the prediction term has 1 minus this weight.
    directions: number of random directions in which SIGReg compares the embeddings with a Gaussian, drawn in each step.
    """

    facts: ClassVar[Facts] = Facts(
        family="redundancy", against_collapse="a Gaussian in all directions", paper="2511.08544"
    )

    weight: float = 0.05
    directions: int = 256
    large: int = 2

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        views = embeddings["embedding"].swapaxes(0, 1)  # [V, B, D]
        prediction = lejepa_prediction(views, large=self.large, axis_name=axis_name)
        gaussian = sigreg(rng, views, directions=self.directions, axis_name=axis_name)
        loss = (1 - self.weight) * prediction + self.weight * gaussian
        return loss, {}, {"prediction": prediction, "gaussian": gaussian}
