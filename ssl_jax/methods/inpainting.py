"""Inpainting: predict the pixels of the hole, or of several holes.

Generative: nothing collapses, since the pixels are given. The decoder takes nothing but the encoder's features, so that
these have to summarise the whole image. The paper adds an adversarial loss, for sharper pixels, not for better features.
Source: Pathak et al. 2016, "Context Encoders: Feature Learning by Inpainting", https://arxiv.org/abs/1604.07379.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.losses.reconstruction import masked_regression
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch


@dataclass(frozen=True)
class Inpainting(JointEmbedding):
    """Mean squared error of the hole's pixels; the head is the decoder, features -> pixels. Views: `hole_masking`."""

    facts: ClassVar[Facts] = Facts(
        family="generative", against_collapse="pixels", positives="-", negatives="-", passes="1", paper="1604.07379"
    )

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, 1, P]`, the pixels that the head predicts; their targets, "target" `[B, Q, C]`, Q C = P, and
        a mask of those in the loss, "counted" `[B, Q]`."""
        if "hole" not in views:
            raise UsageError("inpainting: views need the pixels of the hole: make them with hole_masking.")
        embeddings, state = super().encode(params, state, views, rng, step)
        target = views["hole"].reshape(len(views["hole"]), -1, views["hole"].shape[-1])
        counted = views.get("counted", jnp.ones(target.shape[:2], bool)).reshape(target.shape[:2])
        return {**embeddings, "target": target, "counted": counted}, state

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        target, counted = embeddings["target"], embeddings["counted"]
        prediction = embeddings["embedding"].reshape(target.shape)
        loss = masked_regression(prediction, target, counted, normalize_targets=False, axis_name=axis_name)
        return loss, {}, {}

    def reconstruct(self, params: Params, state: State, views: ViewBatch) -> Array | None:
        images, hole = views["views"][:, 0], views["hole"]
        prediction = self.embed(params, state, images).reshape(hole.shape).astype(images.dtype)
        if "counted" in views:
            return jnp.where(views["counted"][..., None], prediction, images)
        top, left = (np.array(images.shape[1:3]) - hole.shape[1:3]) // 2
        return images.at[:, top : top + hole.shape[1], left : left + hole.shape[2]].set(prediction)
