"""Supervised cross-entropy under the same contract: an upper bound for methods without labels."""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from ssl_jax.losses.pretext import cross_entropy
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch


@dataclass(frozen=True)
class Supervised(JointEmbedding):
    """The head is the classifier: features -> logits of the classes.

    label_smoothing: probability that is spread over all classes.
    """

    facts: ClassVar[Facts] = Facts(
        family="supervised", against_collapse="labels", positives="-", negatives="-", passes="1"
    )

    label_smoothing: float = 0.0

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        embeddings, state = super().encode(params, state, views, rng, step)
        return {**embeddings, "label": views["label"]}, state

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(self.head.width)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        logits = embeddings["embedding"]  # [B, V, classes]
        size, views, classes = logits.shape
        loss = cross_entropy(
            logits.reshape(size * views, classes),
            jnp.repeat(embeddings["label"], views),
            label_smoothing=self.label_smoothing,
            axis_name=axis_name,
        )
        return loss, {}, {}
