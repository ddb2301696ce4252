"""PIRL: an image and its transformed self (nine shuffled tiles, or a rotation) both find the image's memory.

A pretext task's transformation, but features are to be the same whatever it was, instead of telling it. Collapse is
prevented by the negatives, memories of other images. The price of a memory bank is that its entries are stale, half an
epoch old on average; without it a batch would have to hold as many negatives.
Source: Misra and van der Maaten 2019, "Self-Supervised Learning of Pretext-Invariant Representations",
https://arxiv.org/abs/1912.01991; the authors' code in VISSL, configs/config/pretrain/pirl.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import pick
from ssl_jax.losses.negatives import estimate_log_partition, info_nce, nce
from ssl_jax.methods.joint_embedding import JointEmbedding, init_networks, on_views
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net
from ssl_jax.ops.bank import fresh, others, read, write
from ssl_jax.ops.collectives import replicate_rows

Estimator = Literal["nce", "info_nce"]


@dataclass(frozen=True, kw_only=True)
class PIRL(JointEmbedding):
    """A contrastive loss against a memory bank, of the transformed image and of the image itself.

    Views are "views" `[B, 1, H, W, C]` and "transformed" `[B, P, h, w, C]`: 9 tiles in random order, or 1 rotation.

    part_head: features of a tile (or of the rotated image) -> embedding.
    joined_head: embeddings of the P parts, concatenated -> embedding.
    examples: of the data set; entries of the bank.
    negatives: drawn from it for each image, anew in each step, never the image itself.
    momentum: weight of what the bank remembered when it is written with the image's embedding, after the loss.
    weight: of the transformed image's term, in [0, 1]; the image's has the rest.
    estimator: "nce" as in the paper, or "info_nce". NCE's constant is measured on the first batch, against a bank of
      random directions; where the embeddings of a small data set draw together later, it is far off, and info_nce, which
      has no such constant, is the safe choice.
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        positives="an image and its tiles",
        negatives="a memory of images",
        memory="bank",
        passes="1 + 9 tiles",
        paper="1912.01991",
    )

    objective_state: ClassVar[Layouts] = {"bank": "whole", "log_partition": "whole"}

    part_head: Net
    joined_head: Net
    examples: int
    negatives: int = 32000
    temperature: float = 0.07
    momentum: float = 0.5
    weight: float = 0.5
    estimator: Estimator = "nce"

    def __post_init__(self) -> None:
        pick("estimator", self.estimator, ("nce", "info_nce"))
        super().__post_init__()

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, bank_rng = jax.random.split(rng)
        heads = {"head": self.head, "part_head": self.part_head, "joined_head": self.joined_head}
        params, stats = init_networks(rng, encoder=self.encoder, **heads)
        bank = fresh(bank_rng, self.examples, self.head.width)
        return params, {**stats, "bank": bank, "log_partition": jnp.zeros(())}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, 2, D]`, of image and transformed; numbers of it, "index" `[B]`, and of "negatives" `[B, K]`."""
        image_rng, transformed_rng = jax.random.split(rng)
        image, stats = self.project(params, state, {"views": views["views"]}, image_rng)
        layers, encoder = on_views(
            self.encoder, params["encoder"], stats["encoder"], views["transformed"], rng=transformed_rng
        )
        parts, part = on_views(self.part_head, params["part_head"], state["part_head"], layers["features"])
        together, joined = self.joined_head.apply(
            params["joined_head"], state["joined_head"], parts.reshape(len(parts), -1), train=True
        )
        stats = {**stats, "encoder": encoder, "part_head": part, "joined_head": joined}
        numbers = {
            "index": views["index"],
            "negatives": others(rng, views["index"], self.negatives, length=self.examples),
        }
        embedding = jnp.stack([image[:, 0], together], axis=1)
        return {"embedding": embedding, **numbers}, {**state, **stats}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        image, transformed = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        bank = state["bank"]
        own, negatives = read(bank, embeddings["index"]), read(bank, embeddings["negatives"])
        measured = estimate_log_partition(image, negatives, temperature=self.temperature, axis_name=axis_name)
        log_partition = jnp.where(step == 0, measured, state["log_partition"])

        def term(query: Array) -> Array:
            options: dict[str, Any] = {"temperature": self.temperature, "axis_name": axis_name}
            if self.estimator == "info_nce":
                return info_nce(query, own, negatives, **options)
            return nce(query, own, negatives, log_partition=log_partition, **options)

        of_transformed, of_image = term(transformed), term(image)
        loss = self.weight * of_transformed + (1 - self.weight) * of_image
        index, rows = (replicate_rows(array, axis_name) for array in (embeddings["index"], image))
        bank = write(bank, index, rows, momentum=self.momentum)
        metrics = {"of_transformed": of_transformed, "of_image": of_image}
        return loss, {"bank": bank, "log_partition": log_partition}, metrics
