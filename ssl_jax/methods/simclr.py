"""SimCLR: two views of an image must find each other among all other views of the batch, on every device.

Collapse is prevented by the negatives: 2N - 2 of them for each of the 2N views.
Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
https://arxiv.org/abs/2002.05709.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.contrastive import ntxent
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State


@dataclass(frozen=True)
class SimCLR(JointEmbedding):
    """NT-Xent on the embeddings of two views.

    temperature: of NT-Xent; 0.1 in the paper's ImageNet runs, 0.5 on CIFAR-10.
    scale: of the whole loss, here the mean over all views; the authors' code adds the means of the two views, which is 2.
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive", against_collapse="negatives", negatives="2N - 2 in the batch", paper="2002.05709"
    )

    temperature: float = 0.1
    scale: float = 1.0

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        first, second = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        loss = ntxent(first, second, temperature=self.temperature, axis_name=axis_name)
        return self.scale * loss, {}, {}
