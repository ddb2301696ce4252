"""NPID: each image is a class of its own, and its view picks it out of a memory bank with an entry for every image.

Collapse is prevented by the negatives, entries of other images. An entry was written when its image last was in a batch,
half an epoch ago on average, so that negatives cost no forward pass. PIRL adds a transformed image to this.
Source: Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance-level Discrimination",
https://arxiv.org/abs/1805.01978; the authors' code, https://github.com/zhirongw/lemniscate.pytorch.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import pick
from ssl_jax.losses.negatives import estimate_log_partition, info_nce, nce
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State, ViewBatch, Watched
from ssl_jax.ops.bank import fresh, others, read, write
from ssl_jax.ops.collectives import replicate_rows

Estimator = Literal["nce", "info_nce"]


@dataclass(frozen=True, kw_only=True)
class NPID(JointEmbedding):
    """A contrastive loss between a view and the memory bank. Views are "views" `[B, 1, H, W, C]`.

    examples: of the data set; entries of the bank.
    negatives: number of entries drawn for each image in each step, uniformly from all but its own.
    temperature: softmax temperature; 0.07 in the paper.
    momentum: weight of the old entry when the bank is written with the image's embedding, after the loss.
    estimator: "nce" as in the paper, or "info_nce". NCE's constant is measured on the first batch, against a bank of
      random directions; on a small data set embeddings become more similar during training, which makes the constant
      wrong by orders of magnitude, and info_nce, which has no such constant, is the safe choice.
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        positives="an image and its memory",
        negatives="a bank of images",
        memory="bank",
        passes="1",
        paper="1805.01978",
    )

    objective_state: ClassVar[Layouts] = {"bank": "whole", "log_partition": "whole"}

    examples: int
    negatives: int = 4096
    temperature: float = 0.07
    momentum: float = 0.5
    estimator: Estimator = "nce"

    def __post_init__(self) -> None:
        pick("estimator", self.estimator, ("nce", "info_nce"))
        super().__post_init__()

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, bank_rng = jax.random.split(rng)
        params, stats = super().init(rng)
        bank = fresh(bank_rng, self.examples, self.head.width)
        return params, {**stats, "bank": bank, "log_partition": jnp.zeros(())}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, V, D]`; indices of the images, "index" `[B]`, and of their "negatives" `[B, K]`."""
        network_rng, negatives_rng = jax.random.split(rng)
        embeddings, state = super().encode(params, state, views, network_rng, step)
        return {**embeddings, **self.draw(negatives_rng, views["index"])}, state

    def draw(self, rng: Array, index: Array) -> Embeddings:
        """The indices of images `[B]`, and of entries of other images `[B, K]`."""
        return {"index": index, "negatives": others(rng, index, self.negatives, length=self.examples)}

    def chance_loss(self, batch_size: int) -> float | None:
        """That of even odds with NCE, as `nce` states it: log(K + 1) + K log(1 + 1/K)."""
        count = self.negatives
        return math.log(count + 1) + (count * math.log1p(1 / count) if self.estimator == "nce" else 0)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        (loss,), changes = self.compare(embeddings, state, step, axis_name=axis_name)
        return loss, changes, {}

    def watched(self, params: Params, state: State, embeddings: Embeddings, index: Array, step: Array) -> Watched:
        return Watched(memory=(read(state["bank"], index), embeddings["embedding"][:, 0]))

    def compare(
        self, embeddings: Embeddings, state: State, step: Array, *, axis_name: str | None
    ) -> tuple[list[Array], State]:
        """The loss of each view, and the state after it: the bank is written with the first view.

        The constant of NCE is that of the first view of the first batch.
        """
        queries = embeddings["embedding"].swapaxes(0, 1)  # [V, B, D]
        bank, index = state["bank"], embeddings["index"]
        own, negatives = read(bank, index), read(bank, embeddings["negatives"])
        measured = estimate_log_partition(queries[0], negatives, temperature=self.temperature, axis_name=axis_name)
        log_partition = jnp.where(step == 0, measured, state["log_partition"])
        loss = info_nce if self.estimator == "info_nce" else partial(nce, log_partition=log_partition)
        losses = [loss(query, own, negatives, temperature=self.temperature, axis_name=axis_name) for query in queries]
        index, rows = (replicate_rows(array, axis_name) for array in (index, queries[0]))
        bank = write(bank, index, rows, momentum=self.momentum)
        return losses, {"bank": bank, "log_partition": log_partition}
