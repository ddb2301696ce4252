"""Jigsaw: classify the order in which the nine tiles of the image are shown.

A pretext task: nothing collapses, since the labels are given. Each tile goes through the encoder alone, so that its
features describe contents rather than how edges meet; `augment.pretext` prevents the other trivial solutions.
Source: Noroozi and Favaro 2016, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles",
https://arxiv.org/abs/1603.09246.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.losses.pretext import accuracy, cross_entropy
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net


@dataclass(frozen=True, kw_only=True)
class Jigsaw(JointEmbedding):
    """Cross-entropy over P orders; chance level log P.

    head: features of a tile -> embedding, rectified.
    classifier: embeddings of the tiles in the order shown, concatenated -> P logits.
    """

    facts: ClassVar[Facts] = Facts(
        family="pretext", against_collapse="labels", positives="-", negatives="-", passes="9 tiles", paper="1603.09246"
    )

    # The entry of the views that the classifier predicts, and the error where it is not there.
    target: ClassVar[str] = "order"
    without_target: ClassVar[str] = "jigsaw: views need the index of their order: make them with jigsaw_views."

    classifier: Net

    @property
    def networks(self) -> dict[str, Net]:
        return {**super().networks, "classifier": self.classifier}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" of the tiles `[B, 9, D]`, "logits" `[B, P]` and the "order" `[B]`."""
        if self.target not in views:
            raise UsageError(self.without_target)
        tiles, stats = self.project(params, state, views, rng)
        tiles = jax.nn.relu(tiles)
        shown = tiles.reshape(len(tiles), -1)
        logits, classifier = self.classifier.apply(
            params["classifier"], state["classifier"], shown, train=True, rng=rng
        )
        embeddings = {"embedding": tiles, "logits": logits, self.target: views[self.target]}
        return embeddings, {**state, **stats, "classifier": classifier}

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(self.classifier.width)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        logits, target = embeddings["logits"], embeddings[self.target]
        metrics = {"task_accuracy": accuracy(logits, target, axis_name=axis_name)}
        return cross_entropy(logits, target, axis_name=axis_name), {}, metrics
