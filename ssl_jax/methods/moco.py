"""MoCo: the student's view is the query for the teacher's key of the other view, against a queue of former keys.

Collapse is prevented by the negatives: the queue holds many at any batch size, and the slow teacher keeps them consistent.
Versions 1 and 2 differ by their recipes: the second has a head of two layers, blur and a cosine schedule.
Source: He et al. 2019, "Momentum Contrast", https://arxiv.org/abs/1911.05722; Chen et al. 2020,
https://arxiv.org/abs/2003.04297.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.losses.negatives import info_nce
from ssl_jax.methods.joint_embedding import MomentumTeacher
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State, ViewBatch
from ssl_jax.ops import queue
from ssl_jax.ops.collectives import spread
from ssl_jax.ops.normalize import unit_length


@dataclass(frozen=True, kw_only=True)
class MoCo(MomentumTeacher):
    """InfoNCE against a queue.

    queue_length: number of keys in the queue; a multiple of the batch size.
    temperature: softmax temperature, 0.07 in the first version, 0.2 in the second.
    momentum: momentum of the teacher's moving average, constant unless `final_momentum` is another.
    symmetric: both views are queries, each against a queue of the other view's keys.
    norm_groups: number of parts of the batch with separate batch-norm statistics in a ResNet, 8 on the authors' GPUs. The
      teacher takes every `norm_groups`-th example into one part, where the student takes neighbours, so that the statistics do
      not reveal which key belongs to a query (the paper's shuffled batch norm).
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        negatives="a queue",
        memory="teacher, queue",
        passes="1 + 1 teacher",
        paper="2003.04297",
    )

    per_view_statistics = True
    objective_state: ClassVar[Layouts] = {"queues": "rows"}

    queue_length: int = 65536
    temperature: float = 0.07
    momentum: float = 0.999
    final_momentum: float = 0.999
    symmetric: bool = False
    norm_groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queue_length < 1:
            raise UsageError("queue_length: got 0, expected at least the keys of one batch.")

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, queue_rng = jax.random.split(rng)
        params, state = super().init(rng)
        rngs = jax.random.split(queue_rng, 2) if self.symmetric else [queue_rng]
        queues = {str(query): queue.fresh(rng, self.queue_length, self.head.width) for query, rng in enumerate(rngs)}
        return params, {**state, "queues": queues}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        if views["views"].shape[1] != 2:
            raise UsageError(f"moco: needs 2 views of an image, got {views['views'].shape[1]}: set views=2.")
        student_rng, teacher_rng = jax.random.split(rng)
        queries = views["views"] if self.symmetric else views["views"][:, :1]
        keys = views["views"] if self.symmetric else views["views"][:, 1:]
        query, stats = self.project(params, state, {"views": queries}, student_rng)
        shuffled = interleave(keys, self.norm_groups)
        target, teacher = self.teacher_forward(state["teacher"], {"views": shuffled}, teacher_rng)
        target = interleave(target, len(target) // self.norm_groups)  # restores the order of the batch
        return {"embedding": query, "target": target}, {**state, **stats, "teacher": teacher}

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(self.queue_length + 1)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        keys = embeddings["target"][:, ::-1]  # of a symmetric query, the other view's
        nats = partial(info_nce, temperature=self.temperature, axis_name=axis_name, negatives_axis_name=axis_name)
        losses, queues = [], {}
        for name, former in sorted(state["queues"].items()):
            query, positive = embeddings["embedding"][:, int(name)], keys[:, int(name)]
            losses.append(nats(query, positive, former.rows))
            queues[name] = queue.push(former, unit_length(positive))  # after the loss is computed
        return jnp.stack(losses).mean(), {"queues": queues}, {}


def interleave(rows: Array, groups: int) -> Array:
    """`[B, ...]` with every `groups`-th row moved into one of `groups` consecutive parts.

    A fixed transposition, one all-to-all exchange between devices; a random permutation would gather the batch on every device.
    The batch is drawn at random, so that the parts are random too. `interleave(..., B // groups)` is the inverse.

    Example:
      >>> rows = interleave(jnp.arange(6), 2)
      >>> print(rows, interleave(rows, 3))
      [0 2 4 1 3 5] [0 1 2 3 4 5]
    """
    if len(rows) % groups:
        raise UsageError(
            f"batch_size: {len(rows)} examples cannot be cut into {groups} parts with separate statistics: "
            f"choose a multiple of {groups}, or norm_groups=1."
        )
    interleaved = rows.reshape(len(rows) // groups, groups, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)
    return spread(interleaved)
