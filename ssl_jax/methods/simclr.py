"""SimCLR: each view of an image is the query for its other view among all views of the batch, on every device.

Collapse is prevented by the negatives: 2N - 2 of them for each of the 2N views.
Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
https://arxiv.org/abs/2002.05709.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.contrastive import ntxent
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State


@dataclass(frozen=True)
class SimCLR(JointEmbedding):
    """NT-Xent on the embeddings of two views.

    temperature: softmax temperature; 0.1 in the paper's ImageNet runs, 0.5 on CIFAR-10.
    scale: factor of the loss, the mean over all views; 2 in the authors' code, which adds the means of the two views.
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive", against_collapse="negatives", negatives="2N - 2 in the batch", paper="2002.05709"
    )

    temperature: float = 0.1
    scale: float = 1.0

    def chance_loss(self, batch_size: int) -> float | None:
        return self.scale * math.log(2 * batch_size - 1)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        first, second = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        loss = ntxent(first, second, temperature=self.temperature, axis_name=axis_name)
        return self.scale * loss, {}, {}
