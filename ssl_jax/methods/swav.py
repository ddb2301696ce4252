"""SwAV: the prototypes assigned to one crop are predicted from the other crops of the image.

Collapse is prevented by the assignment: Sinkhorn-Knopp gives every prototype an equal part of the batch, over all
devices and the queue.
Source: Caron et al. 2020, "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments",
https://arxiv.org/abs/2006.09882.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.losses.clustering import swav
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State, ViewBatch, Watched
from ssl_jax.ops.normalize import unit_length
from ssl_jax.ops.queue import Queue, fresh, is_full, push
from ssl_jax.ops.sinkhorn import sinkhorn


@dataclass(frozen=True)
class SwAV(JointEmbedding):
    """Swapped prediction of soft codes.

    prototypes: number of prototypes.
    temperature: softmax temperature of the prediction.
    epsilon, iterations: entropy regularisation and iterations of Sinkhorn-Knopp. Where all scores are nearly equal, which is a
      solution with the loss log K, a step separates them only along directions in which two crops correlate by more than
      epsilon / temperature. If the loss stays at log K, lower epsilon.
    queue_length: number of embeddings of former batches in the assignment, for small batches; a multiple of the batch size.
    queue_start: first step that uses them, once the queue is full.
    hard: round codes to one prototype; soft ones are better in the paper.
    """

    facts: ClassVar[Facts] = Facts(
        family="clustering",
        against_collapse="equal partition of the batch",
        positives="small and large crops",
        memory="prototypes",
        passes="4",
        paper="2006.09882",
    )

    objective_state: ClassVar[Layouts] = {"queues": "rows", "prototypes": "whole"}

    prototypes: int = 3000
    temperature: float = 0.1
    epsilon: float = 0.05
    iterations: int = 3
    queue_length: int = 0
    queue_start: int = 0
    hard: bool = False

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, prototype_rng, queue_rng = jax.random.split(rng, 3)
        params, state = super().init(rng)
        params["prototypes"] = unit_length(jax.random.normal(prototype_rng, (self.prototypes, self.head.width)))
        if self.queue_length:
            rngs = jax.random.split(queue_rng, 2)
            queues = [fresh(rng, self.queue_length, self.head.width) for rng in rngs]
            state |= {"queues": dict(zip("01", queues, strict=True)), "prototypes": jnp.copy(params["prototypes"])}
        return params, state

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        embeddings, state = super().encode(params, state, views, rng, step)
        embedding = unit_length(embeddings["embedding"])
        scores = jnp.einsum("bvd,kd->bvk", embedding, params["prototypes"], precision="highest")
        return {"embedding": embedding, "scores": scores}, state

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(self.prototypes)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        scores = embeddings["scores"].swapaxes(0, 1)  # [V, B, K]
        codes, queues = [], {}
        for crop in range(2):  # the large crops; no gradient flows through codes
            fresh_scores = lax.stop_gradient(scores[crop])
            if self.queue_length:
                queue = state["queues"][str(crop)]
                codes.append(self._codes_with_queue(fresh_scores, queue, state["prototypes"], step, axis_name))
                queues[str(crop)] = push(queue, embeddings["embedding"][:, crop])  # after its codes
            else:
                codes.append(self._codes(fresh_scores, axis_name))
        loss = swav(scores, jnp.stack(codes), temperature=self.temperature, axis_name=axis_name)
        return loss, {"queues": queues} if queues else {}, {}

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        prototypes = unit_length(params["prototypes"])
        state = {**state, "prototypes": prototypes} if self.queue_length else state
        return {**params, "prototypes": prototypes}, state

    def assignments(self, params: Params, state: State, images: Array) -> Array | None:
        embedding = unit_length(self.embed(params, state, images))
        return jax.nn.softmax(embedding @ params["prototypes"].T / self.temperature)

    def watched(self, params: Params, state: State, embeddings: Embeddings, index: Array, step: Array) -> Watched:
        """The predictions of the first crop: codes use all prototypes by construction."""
        return Watched(assignments=jax.nn.softmax(embeddings["scores"][:, 0] / self.temperature))

    def _codes(self, scores: Array, axis_name: str | None) -> Array:
        codes = sinkhorn(scores, epsilon=self.epsilon, iterations=self.iterations, axis_name=axis_name)
        return jax.nn.one_hot(codes.argmax(axis=1), codes.shape[1]) if self.hard else codes

    def _codes_with_queue(
        self, scores: Array, queue: Queue, prototypes: Array, step: Array, axis_name: str | None
    ) -> Array:
        """Codes of the batch's rows, assigned together with the queue's rows once the queue is full."""
        old = jnp.matmul(queue.rows, prototypes.T, precision="highest")
        return lax.cond(
            (step >= self.queue_start) & is_full(queue, len(scores)),
            lambda: self._codes(jnp.concatenate([scores, old]), axis_name)[: len(scores)],
            lambda: self._codes(scores, axis_name),
        )
