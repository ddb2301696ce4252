"""Relative position: classify the position of a tile relative to the middle one.

A pretext task: nothing collapses, since the labels are given. Trivial solutions are edges that continue from tile to tile
and chromatic aberration, which reveals the position of a tile in the photograph; `augment.pretext` prevents them.
Source: Doersch et al. 2015, "Unsupervised Visual Representation Learning by Context Prediction",
https://arxiv.org/abs/1505.05192.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.losses.pretext import accuracy, cross_entropy
from ssl_jax.methods.joint_embedding import JointEmbedding, on_views
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net

MIDDLE = 4
AROUND = np.array([tile for tile in range(9) if tile != MIDDLE])


@dataclass(frozen=True, kw_only=True)
class RelativePosition(JointEmbedding):
    """Cross-entropy over eight positions; chance level log 8 = 2.079. Each image gives eight pairs.

    head: features of a tile -> embedding, rectified.
    classifier: embeddings of the middle tile and of another, concatenated -> 8 logits.
    """

    facts: ClassVar[Facts] = Facts(
        family="pretext", against_collapse="labels", positives="-", negatives="-", passes="9 tiles", paper="1505.05192"
    )

    classifier: Net

    @property
    def networks(self) -> dict[str, Net]:
        return {**super().networks, "classifier": self.classifier}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" of the tiles `[B, 9, D]` and "logits" of the eight around `[B, 8, 8]`."""
        tiles, stats = self.project(params, state, views, rng)
        tiles = jax.nn.relu(tiles)
        around = tiles[:, AROUND]
        pairs = jnp.concatenate([jnp.broadcast_to(tiles[:, MIDDLE, None], around.shape), around], axis=-1)
        logits, classifier = on_views(self.classifier, params["classifier"], state["classifier"], pairs, rng=rng)
        return {"embedding": tiles, "logits": logits}, {**state, **stats, "classifier": classifier}

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(len(AROUND))

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        logits = embeddings["logits"]
        labels = jnp.broadcast_to(jnp.arange(8)[None], logits.shape[:2])
        metrics = {"task_accuracy": accuracy(logits, labels, axis_name=axis_name)}
        return cross_entropy(logits, labels, axis_name=axis_name), {}, metrics
