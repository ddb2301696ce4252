"""RotNet: classify the rotation of the image, by 0, 90, 180 or 270 degrees.

A pretext task: nothing collapses, since the labels are given; but features contain no more than the task needs, and
objects that are round or have no upright orientation teach nothing. Interpolation would leave traces, a trivial solution,
so that rotations swap and reverse axes instead.
Source: Gidaris et al. 2018, "Unsupervised Representation Learning by Predicting Image Rotations",
https://arxiv.org/abs/1803.07728.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.losses.pretext import accuracy, cross_entropy
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State


@dataclass(frozen=True)
class Rotation(JointEmbedding):
    """Cross-entropy over four classes; chance level log 4 = 1.386. View i is rotated by i quarter turns.

    head: classifier, features -> 4 logits.
    """

    facts: ClassVar[Facts] = Facts(
        family="pretext", against_collapse="labels", positives="-", negatives="-", passes="4", paper="1803.07728"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head.width != 4:
            raise UsageError(f"rotation: the head must have 4 outputs, got {self.head.width}.")

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(4)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        logits = embeddings["embedding"]  # [B, 4, 4]
        turns = jnp.broadcast_to(jnp.arange(4)[None], logits.shape[:2])
        metrics = {"task_accuracy": accuracy(logits, turns, axis_name=axis_name)}
        return cross_entropy(logits, turns, axis_name=axis_name), {}, metrics
