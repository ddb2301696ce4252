"""Shuffle and Learn: are three frames of a clip in the order of time?

A pretext task: nothing collapses, since the labels are given. What reveals the order is what moves and how it turns, so that
features describe position and pose rather than the kind of the object. Triples with and without order share their first and
last frame; `augment.clip_tasks.order_views` draws them.
Source: Misra, Zitnick and Hebert 2016, "Shuffle and Learn: Unsupervised Learning using Temporal Order Verification",
https://arxiv.org/abs/1603.08561; the authors' code, https://github.com/imisra/shuffle-tuple.
"""

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
class ShuffleAndLearn(JointEmbedding):
    """Cross-entropy of two classes; chance level log 2 = 0.693, or 0.562 for a quarter in order.

    head: features of a frame -> embedding, rectified.
    classifier: embeddings of the three frames as shown, concatenated -> 2 logits.
    """

    facts: ClassVar[Facts] = Facts(
        family="pretext", against_collapse="labels", positives="-", negatives="-", passes="3 frames", paper="1603.08561"
    )

    classifier: Net

    @property
    def networks(self) -> dict[str, Net]:
        return {**super().networks, "classifier": self.classifier}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" of the frames `[B, 3, D]`, "logits" `[B, 2]` and the class "in_order" `[B]`."""
        if "in_order" not in views:
            raise UsageError("shuffle_and_learn: views need their class: make them with order_views.")
        frames, stats = self.project(params, state, views, rng)
        frames = jax.nn.relu(frames)
        logits, classifier = self.classifier.apply(
            params["classifier"], state["classifier"], frames.reshape(len(frames), -1), train=True, rng=rng
        )
        embeddings = {"embedding": frames, "logits": logits, "in_order": views["in_order"]}
        return embeddings, {**state, **stats, "classifier": classifier}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        logits, in_order = embeddings["logits"], embeddings["in_order"]
        metrics = {"task_accuracy": accuracy(logits, in_order, axis_name=axis_name)}
        return cross_entropy(logits, in_order, axis_name=axis_name), {}, metrics
