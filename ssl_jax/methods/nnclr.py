"""NNCLR: the positive of a view's prediction is the nearest neighbour, in a queue, of the other view's embedding.

Collapse is prevented by the negatives, the other predictions of the batch; the neighbours are positives that
augmentations cannot produce.
Source: Dwibedi et al. 2021, "With a Little Help from My Friends", https://arxiv.org/abs/2104.14548.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
from jax import Array, lax

from ssl_jax.errors import UsageError
from ssl_jax.losses.contrastive import in_batch_info_nce
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State
from ssl_jax.methods.simsiam import SimSiam
from ssl_jax.ops.energy import key_value_lookup
from ssl_jax.ops.normalize import unit_length
from ssl_jax.ops.queue import fresh, push


@dataclass(frozen=True, kw_only=True)
class NNCLR(SimSiam):
    """SimSiam's networks under a contrastive loss.

    queue_length: number of embeddings in which nearest neighbours are searched; a multiple of the batch size.
    temperature: softmax temperature, 0.1 in the paper.
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        positives="a view and its neighbour",
        negatives="N - 1 in the batch",
        memory="queue",
        paper="2104.14548",
    )

    per_view_statistics = False  # As SimCLR, whose training the paper follows.
    objective_state: ClassVar[Layouts] = {"queue": "rows"}

    queue_length: int = 98304
    temperature: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queue_length < 1:
            raise UsageError("queue_length: got 0, expected at least the embeddings of one batch.")

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, queue_rng = jax.random.split(rng)
        params, state = super().init(rng)
        return params, {**state, "queue": fresh(queue_rng, self.queue_length, self.head.width)}

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(batch_size)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        embedding = unit_length(lax.stop_gradient(embeddings["embedding"]))
        queue = state["queue"]
        first, second = (
            in_batch_info_nce(
                key_value_lookup(embedding[:, view], queue.rows, queue.rows, top=1, axis_name=axis_name),
                embeddings["prediction"][:, 1 - view],
                temperature=self.temperature,
                axis_name=axis_name,
            )
            for view in (0, 1)
        )
        return (first + second) / 2, {"queue": push(queue, embedding[:, 0])}, {}  # pushed after the loss
