"""I-JEPA: a part of an image predicts the features, not the pixels, of other blocks of it.

Collapse is prevented as in BYOL: the target encoder is a moving average without gradient, and only the context side has
a predictor. No hand-made augmentations: the image is only cropped, and its parts are the views.
Source: Assran et al. 2023, "Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture",
https://arxiv.org/abs/2301.08243, section 3, and the authors' code.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from ssl_jax.losses.reconstruction import masked_smooth_l1
from ssl_jax.methods.joint_embedding import init_networks
from ssl_jax.methods.method import (
    Backbone,
    Embeddings,
    Facts,
    Method,
    Metrics,
    Params,
    State,
    ViewBatch,
    Watched,
    check_patches,
)
from ssl_jax.networks.functional import Net
from ssl_jax.ops.moving_average import moving_average
from ssl_jax.ops.normalize import layer_norm


@dataclass(frozen=True, kw_only=True)
class IJEPA(Method):
    """Smooth L1 distance between predicted and normed target tokens of each block.

    Views are those of `block_masking`.

    encoder: a ViT without class token, which takes images and the indices of visible patches.
    predictor: tokens, indices of their patches and of the target patches -> tokens of these; see `masked_decoder`.
    steps: number of steps of the whole run, in which the target's momentum rises from `momentum` to 1 linearly, as in the
      authors' code.
    """

    facts: ClassVar[Facts] = Facts(
        family="distillation",
        against_collapse="predictor and slow teacher",
        positives="a part and blocks",
        memory="teacher",
        passes="1/3 + 1 teacher",
        paper="2301.08243",
    )

    encoder: Net
    predictor: Net
    steps: int
    momentum: float = 0.996

    def __post_init__(self) -> None:
        super().__post_init__()
        check_patches(type(self).__name__, self.encoder)

    def init(self, rng: Array) -> tuple[Params, State]:
        params, stats = init_networks(rng, encoder=self.encoder, predictor=self.predictor)
        return params, {**stats, "target": params["encoder"]}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, 1, D]`, of the visible patches; "prediction", "target" `[B, 4, W, D]`; "counted" `[B, 4, W]`."""
        images, visible, masked = views["views"][:, 0], views["seen"], views["wanted"]
        size, blocks = masked.shape[:2]
        layers, encoder = self.encoder.apply(params["encoder"], state["encoder"], images, visible, train=True, rng=rng)
        context, positions = (jnp.repeat(array, blocks, axis=0) for array in (layers["tokens"], visible))
        inputs = params["predictor"], state["predictor"], context, positions, masked.reshape(size * blocks, -1)
        prediction, predictor = self.predictor.apply(*inputs, train=True, rng=rng)
        tokens = self.encoder.apply(state["target"], state["encoder"], images, train=True, rng=rng)[0]["tokens"]
        target = jnp.take_along_axis(layer_norm(tokens), masked.reshape(size, -1, 1), axis=1)
        embeddings = {
            "embedding": layers["features"][:, None],
            "prediction": prediction.reshape(*masked.shape, -1),
            "target": target.reshape(*masked.shape, -1),
            "counted": views["counted"],
        }
        return embeddings, {**state, "encoder": encoder, "predictor": predictor}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        prediction, target, counted = (embeddings[name] for name in ("prediction", "target", "counted"))
        size, blocks, patches, dim = prediction.shape
        prediction, target = (array.reshape(size, blocks * patches, dim) for array in (prediction, target))
        loss = masked_smooth_l1(prediction, target, counted.reshape(size, -1), axis_name=axis_name)
        return loss, {}, {}

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        momentum = self.momentum + (1 - self.momentum) * step.astype(jnp.float32) / self.steps
        return params, {**state, "target": moving_average(state["target"], params["encoder"], momentum=momentum)}

    def watched(self, params: Params, state: State, embeddings: Embeddings, index: Array, step: Array) -> Watched:
        return Watched(teacher=(params["encoder"], state["target"]))

    def backbone(self, params: Params, state: State) -> Backbone:
        """The target encoder, which the authors evaluate."""
        return Backbone(self.encoder, state["target"], state["encoder"])

    def features(self, params: Params, state: State, images: Array) -> dict[str, Array]:
        """The backbone's layers, and "features": its last four blocks, concatenated.

        The mean over patches of each block's normed tokens, `[B, 4 D]`: the very last block is more specific to the prediction.
        Caron et al. 2021, https://arxiv.org/abs/2104.14294, evaluate small ViTs in this way.
        """
        layers = super().features(params, state, images)
        last = [layers[name].astype(jnp.float32) for name in layers if name.startswith("block")][-4:]
        layers["features"] = jnp.concatenate([layer_norm(tokens).mean(axis=1) for tokens in last], axis=-1)
        return layers
