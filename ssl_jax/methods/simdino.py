"""SimDINO: the student's crops are to be the teacher's large ones, and the embeddings of a batch to fill all dimensions.

Collapse is prevented by the coding rate, in place of DINO's prototypes, centre, temperatures and their schedules.
Source: Wu et al. 2025, "Simplifying DINO via Coding Rate Regularization", https://arxiv.org/abs/2502.10385; the authors'
code, https://github.com/RobinWu218/SimDINO.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from jax import Array

from ssl_jax.losses.coding_rate import simdino
from ssl_jax.methods.joint_embedding import MomentumTeacher
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State
from ssl_jax.ranges import Range

Distortion = Annotated[float, Range(1e-3, 1e3)]
RateGroups = Annotated[int, Range(1, 2**16)]


@dataclass(frozen=True, kw_only=True)
class SimDINO(MomentumTeacher):
    """The head is DINO's without its prototypes: `prototype_head` with no outputs.

    distortion: of the coding rate: the squared error in which embeddings count as equal.
    invariance: weight of the cosines of the student's crops with the teacher's.
    rate_groups: parts of the batch, each with a coding rate of its own.
    """

    facts: ClassVar[Facts] = Facts(
        family="distillation",
        against_collapse="coding rate",
        positives="small and large crops",
        memory="teacher",
        passes="4 + 2 teacher",
        paper="2502.10385",
    )

    distortion: Distortion = 0.05
    invariance: float = 1.0
    rate_groups: RateGroups = 1

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        student, teacher = embeddings["embedding"].swapaxes(0, 1), embeddings["target"].swapaxes(0, 1)  # [V, B, D]
        loss = simdino(
            student,
            teacher,
            distortion=self.distortion,
            invariance=self.invariance,
            groups=self.rate_groups,
            axis_name=axis_name,
        )
        return loss, {}, {}
