"""MAE: a few visible patches are encoded, and the pixels of all masked ones are predicted from them.

Generative: nothing collapses, since pixels are given. The encoder learns what pixels need, details included, so that
classes are less linearly separable in its features than in those of methods that compare images.
Source: He et al. 2021, "Masked Autoencoders Are Scalable Vision Learners", https://arxiv.org/abs/2111.06377.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.losses.reconstruction import masked_regression
from ssl_jax.methods.joint_embedding import init_networks
from ssl_jax.methods.method import Backbone, Embeddings, Facts, Method, Metrics, Params, State, ViewBatch, check_patches
from ssl_jax.networks.functional import Net
from ssl_jax.ops.patches import patchify


@dataclass(frozen=True, kw_only=True)
class MAE(Method):
    """Mean squared error of the masked patches; about 1 where only their mean is predicted.

    Views are those of `random_masking`.

    encoder: a ViT, which takes images and the indices of visible patches.
    decoder: tokens, indices of their patches and of masked patches -> pixels of these; see `masked_decoder`.
    patch_size: side of a patch in pixels.
    normalize_targets: standardise each target patch by its own mean and deviation.
    """

    facts: ClassVar[Facts] = Facts(
        family="generative", against_collapse="pixels", positives="-", negatives="-", passes="1/4", paper="2111.06377"
    )

    encoder: Net
    decoder: Net
    patch_size: int
    normalize_targets: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_patches(type(self).__name__, self.encoder)

    def init(self, rng: Array) -> tuple[Params, State]:
        return init_networks(rng, encoder=self.encoder, decoder=self.decoder)

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, 1, D]`, of the visible patches; "prediction" and "target" `[B, W, P]` of the masked ones."""
        images, visible, masked = views["views"][:, 0], views["seen"], views["wanted"]
        layers, encoder = self.encoder.apply(params["encoder"], state["encoder"], images, visible, train=True, rng=rng)
        inputs = params["decoder"], state["decoder"], layers["tokens"], visible, masked
        prediction, decoder = self.decoder.apply(*inputs, train=True, rng=rng)
        patches = patchify(images, self.patch_size).reshape(len(images), -1, prediction.shape[-1])
        target = jnp.take_along_axis(patches, masked[:, :, None], axis=1)
        embeddings = {"embedding": layers["features"][:, None], "prediction": prediction, "target": target}
        return embeddings, {**state, "encoder": encoder, "decoder": decoder}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        prediction, target = embeddings["prediction"], embeddings["target"]
        masked = jnp.ones(prediction.shape[:2])
        loss = masked_regression(
            prediction, target, masked, normalize_targets=self.normalize_targets, axis_name=axis_name
        )
        return loss, {}, {}

    def reconstruct(self, params: Params, state: State, views: ViewBatch) -> Array | None:
        images, visible, masked = views["views"][:, 0], views["seen"], views["wanted"]
        layers, _ = self.encoder.apply(params["encoder"], state["encoder"], images, visible, train=False)
        inputs = params["decoder"], state["decoder"], layers["tokens"], visible, masked
        prediction, _ = self.decoder.apply(*inputs, train=False)
        patches = patchify(images, self.patch_size)  # [B, h, w, P]
        rows = patches.reshape(len(images), -1, prediction.shape[-1])
        if self.normalize_targets:  # The patches' own mean and deviation, which are not predicted.
            own = jnp.take_along_axis(rows, masked[:, :, None], axis=1)
            prediction = prediction * own.std(axis=-1, keepdims=True) + own.mean(axis=-1, keepdims=True)
        rows = jax.vmap(lambda row, at, new: row.at[at].set(new))(rows, masked, prediction.astype(rows.dtype))
        return unpatchify(rows.reshape(patches.shape), self.patch_size)

    def backbone(self, params: Params, state: State) -> Backbone:
        return Backbone(self.encoder, params["encoder"], state["encoder"])


def unpatchify(patches: Array, size: int) -> Array:
    """The inverse of `patchify`: `[B, h, w, size * size * C]` -> `[B, h * size, w * size, C]`.

    Example:
      >>> print(unpatchify(jnp.zeros((1, 2, 2, 48)), 4).shape)
      (1, 8, 8, 3)
    """
    batch, height, width, _ = patches.shape
    pixels = patches.reshape(batch, height, width, size, size, -1).swapaxes(2, 3)
    return pixels.reshape(batch, height * size, width * size, -1)
