"""MoCo v3: the student's prediction from each view is the query for the teacher's embedding of the other, in the batch.

Collapse is prevented by the negatives: the other N - 1 keys of the batch, of all devices; there is no queue.
Source: Chen et al. 2021, "An Empirical Study of Training Self-Supervised Vision Transformers",
https://arxiv.org/abs/2104.02057.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.contrastive import moco_v3
from ssl_jax.methods.byol import BYOL
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State


@dataclass(frozen=True, kw_only=True)
class MoCoV3(BYOL):
    """BYOL's networks under a contrastive loss.

    temperature: softmax temperature, 0.2 for vision transformers, 1 for ResNets.
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        negatives="N - 1 in the batch",
        memory="teacher",
        passes="2 + 2 teacher",
        paper="2104.02057",
    )

    temperature: float = 0.2

    def chance_loss(self, batch_size: int) -> float | None:
        return 4 * self.temperature * math.log(batch_size)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        query, key = embeddings["prediction"], embeddings["target"]
        loss = moco_v3(
            query[:, 0], query[:, 1], key[:, 0], key[:, 1], temperature=self.temperature, axis_name=axis_name
        )
        return loss, {}, {}
