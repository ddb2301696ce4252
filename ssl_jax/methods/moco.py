"""MoCo: the student's view picks the teacher's embedding of the other view out of a queue of former batches' keys.

Collapse is prevented by the negatives, which the queue makes many at any batch size, and the slow teacher consistent.
Versions 1 and 2 differ by their recipes: the second has a head of two layers, blur and a cosine schedule.
Source: He et al. 2019, "Momentum Contrast", https://arxiv.org/abs/1911.05722; Chen et al. 2020,
https://arxiv.org/abs/2003.04297.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.errors import UsageError
from ssl_jax.losses.negatives import info_nce
from ssl_jax.methods.joint_embedding import MomentumTeacher
from ssl_jax.methods.method import Embeddings, Metrics, Params, State, Views
from ssl_jax.ops import queue
from ssl_jax.ops.collectives import replicate_rows
from ssl_jax.ops.normalize import unit_length


@dataclass(frozen=True, kw_only=True)
class MoCo(MomentumTeacher):
    """InfoNCE against a queue.

    queue_length: keys that are remembered; a multiple of the batch.
    temperature: 0.07 in the first version, 0.2 in the second.
    symmetric: both views ask, and the keys of both enter the queue.
    shuffle: the teacher sees the batch in another order, so that batch statistics of a part of it (`groups` of the
      encoder's norms) do not give away which key belongs to a query.
    """

    apart = True

    queue_length: int = 65536
    temperature: float = 0.07
    momentum: float = 0.999
    final_momentum: float = 0.999
    symmetric: bool = False
    shuffle: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queue_length < 1:
            raise UsageError("queue_length: got 0, expected at least the keys of one batch.")

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, queue_rng = jax.random.split(rng)
        params, state = super().init(rng)
        return params, {**state, "queue": queue.fresh(queue_rng, self.queue_length, self.head.width)._asdict()}

    def encode(self, params: Params, state: State, views: Views, rng: Array, step: Array) -> tuple[Embeddings, State]:
        if views["views"].shape[1] != 2:
            raise UsageError(f"moco: needs 2 views of an image, got {views['views'].shape[1]}: set views=2.")
        asking = views["views"] if self.symmetric else views["views"][:, :1]
        keys = views["views"] if self.symmetric else views["views"][:, 1:]
        query, stats = self.project(params, state, {"views": asking}, rng)
        size = len(keys)
        order = jax.random.permutation(rng, size) if self.shuffle else jnp.arange(size)
        target, teacher = self.teach(state["teacher"], {"views": keys[order]}, rng)
        target = target[jnp.argsort(order)]
        return {"embedding": query, "target": target}, {**state, **stats, "teacher": teacher}

    def objective(
        self, embeddings: Embeddings, state: State, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        keys = embeddings["target"][:, ::-1]  # with both views, each asks for the other
        batch, views, dim = keys.shape
        query, positive = (part.reshape(batch * views, dim) for part in (embeddings["embedding"], keys))
        remembered = queue.Queue(**lax.stop_gradient(state["queue"]))
        loss = info_nce(query, positive, remembered.rows, temperature=self.temperature, axis_name=axis_name)
        remembered = queue.push(remembered, replicate_rows(unit_length(positive), axis_name))  # after the loss
        return loss, {**state, "queue": remembered._asdict()}, {}
