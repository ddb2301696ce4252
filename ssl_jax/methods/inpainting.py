"""Inpainting: what was in the hole, or in the holes?

Generative: nothing collapses, since the pixels are given. The encoder has to sum up the whole image for it, which is why
the decoder sees nothing but its features. The paper adds an adversarial loss, for sharper pixels, not for better features.
Source: Pathak et al. 2016, "Context Encoders: Feature Learning by Inpainting", https://arxiv.org/abs/1604.07379.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
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
        """ "embedding" `[B, 1, P]`, the pixels that the head tells; those that are right, "target" `[B, Q, C]`, Q C = P, and
        which of them count, "counted" `[B, Q]`."""
        if "hole" not in views:
            raise UsageError("inpainting: views need what was in the hole: make them with hole_masking.")
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
