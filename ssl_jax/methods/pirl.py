"""PIRL: an image and its transformed version (nine shuffled tiles, or a rotation) are queries for the image's bank entry.

The transformation is that of a pretext task, but features are to be invariant to it instead of predicting it. Collapse is
prevented by the negatives, bank entries of other images. The entries of a memory bank are stale, half an epoch old on
average; without a bank the batch would have to contain as many negatives.
Source: Misra and van der Maaten 2019, "Self-Supervised Learning of Pretext-Invariant Representations",
https://arxiv.org/abs/1912.01991; the authors' code in VISSL, configs/config/pretrain/pirl.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.methods.joint_embedding import on_views
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.methods.npid import NPID
from ssl_jax.networks.functional import Net


@dataclass(frozen=True, kw_only=True)
class PIRL(NPID):
    """NPID of the image, and the same loss of the transformed image.

    Views are "views" `[B, 1, H, W, C]` and "transformed" `[B, P, h, w, C]`: 9 tiles in random order, or 1 rotation.

    part_head: features of a tile (or of the rotated image) -> embedding.
    joined_head: embeddings of the P parts, concatenated -> embedding.
    weight: weight of the transformed image's term, in [0, 1]; the image's term has 1 minus this weight.
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        positives="an image and its tiles",
        negatives="a bank of images",
        memory="bank",
        passes="1 + 9 tiles",
        paper="1912.01991",
    )

    part_head: Net
    joined_head: Net
    negatives: int = 32000
    weight: float = 0.5

    @property
    def networks(self) -> dict[str, Net]:
        return {**super().networks, "part_head": self.part_head, "joined_head": self.joined_head}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, 2, D]`, of image and transformed; indices, "index" `[B]` and "negatives" `[B, K]`."""
        image_rng, transformed_rng, negatives_rng = jax.random.split(rng, 3)
        image, stats = self.project(params, state, {"views": views["views"]}, image_rng)
        layers, encoder = on_views(
            self.encoder, params["encoder"], stats["encoder"], views["transformed"], rng=transformed_rng
        )
        parts, part = on_views(self.part_head, params["part_head"], state["part_head"], layers["features"])
        together, joined = self.joined_head.apply(
            params["joined_head"], state["joined_head"], parts.reshape(len(parts), -1), train=True
        )
        stats = {**stats, "encoder": encoder, "part_head": part, "joined_head": joined}
        embedding = jnp.stack([image[:, 0], together], axis=1)
        return {"embedding": embedding, **self.draw(negatives_rng, views["index"])}, {**state, **stats}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        (of_image, of_transformed), changes = self.compare(embeddings, state, step, axis_name=axis_name)
        loss = self.weight * of_transformed + (1 - self.weight) * of_image
        return loss, changes, {"of_transformed": of_transformed, "of_image": of_image}
