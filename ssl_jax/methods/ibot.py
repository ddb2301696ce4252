"""iBOT: DINO, and the same for patches: the student predicts those masked in its crop, of which the teacher sees the whole.

Collapse is prevented as in DINO, by centring and sharpening, of the class tokens and of the patches each by themselves.
Source: Zhou et al. 2021, "iBOT: Image BERT Pre-Training with Online Tokenizer", https://arxiv.org/abs/2111.07832.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.losses.clustering import swav
from ssl_jax.losses.distillation import center_and_sharpen, update_center
from ssl_jax.losses.masked_distillation import ibot
from ssl_jax.methods.dino import DINO
from ssl_jax.methods.joint_embedding import on_views
from ssl_jax.methods.method import Backbone, Embeddings, Facts, Layouts, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net


@dataclass(frozen=True, kw_only=True)
class IBOT(DINO):
    """Views are those of `masked_crops`. The encoder is a ViT with a class token and a mask token.

    patch_head: of the patches; None where class tokens and patches share `head`.
    patch_weight: of the loss of the patches against that of the class tokens.

    The centre of the patches is that of the masked ones, the only ones in a head, as in DINOv2's code; iBOT's has all.
    """

    facts: ClassVar[Facts] = Facts(
        family="distillation",
        against_collapse="centring and sharpening",
        positives="small and large crops, masked and whole patches",
        memory="teacher, centres",
        passes="4 + 2 teacher",
        paper="2111.07832",
    )

    objective_state: ClassVar[Layouts] = {"center": "whole", "patch_center": "whole"}

    patch_head: Net | None = None
    patch_weight: float = 1.0

    def init(self, rng: Array) -> tuple[Params, State]:
        params, state = super().init(rng)
        if self.patch_head is not None:
            head, stats = self.patch_head.init(jax.random.fold_in(rng, 1))
            params, state = {**params, "patch_head": head}, {**state, "patch_head": stats}
        teacher = {"params": self.teacher_subset(params), "stats": self.teacher_subset(state)}
        return params, {**state, "teacher": teacher, "patch_center": jnp.zeros((self.patch_head or self.head).width)}

    def teacher_subset(self, params: Params) -> Params:
        return {name: params[name] for name in ("encoder", "head", "patch_head") if name in params}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """Of crops "embedding" `[B, V, K]`, "target" `[B, 2, K]`; of patches "patches", "patch_target" `[B, 2, W, K]`."""
        (large_rng, small_rng), teacher = jax.random.split(rng), state["teacher"]
        tokens, patches = self.large_tokens(params, state, views, rng=large_rng, masked=views["masked"])
        crops = [tokens]
        if "small_views" in views:
            small = on_views(self.encoder, params["encoder"], state["encoder"], views["small_views"], rng=small_rng)[0]
            crops.append(small["features"])
        embedding, patches, state = self.heads(params, state, jnp.concatenate(crops, axis=1), patches)
        whole = self.large_tokens(teacher["params"], teacher["stats"], views)
        target, patch_target, stats = self.heads(teacher["params"], teacher["stats"], *whole)
        outputs = {"embedding": embedding, "target": target, "patches": patches, "patch_target": patch_target}
        embeddings = {**outputs, "counted": views["counted"], "class_tokens": tokens}
        return embeddings, {**state, "teacher": {**teacher, "stats": stats}}

    def large_tokens(
        self, params: Params, stats: State, views: ViewBatch, *, rng: Array | None = None, masked: Array | None = None
    ) -> tuple[Array, Array]:
        """Class tokens `[B, 2, D]` and the wanted patches `[B, 2, W, D]` of the large crops; in training with an `rng`."""
        images, wanted = views["views"], views["wanted"]
        inputs = [None if array is None else array.reshape(-1, *array.shape[2:]) for array in (images, None, masked)]
        layers, _ = self.encoder.apply(params["encoder"], stats["encoder"], *inputs, train=rng is not None, rng=rng)
        tokens = layers["tokens"].reshape(*images.shape[:2], *layers["tokens"].shape[1:])
        first = tokens.shape[2] - views["masked"].shape[2]  # After the class token and registers.
        return tokens[:, :, 0], jnp.take_along_axis(tokens, first + wanted[..., None], axis=2)

    def heads(self, params: Params, stats: State, crops: Array, patches: Array) -> tuple[Array, Array, State]:
        """Outputs of class tokens `[B, V, D]` and of patches `[B, 2, W, D]`, and `stats` with the new batch statistics."""
        name = "head" if self.patch_head is None else "patch_head"
        embedding, head = on_views(self.head, params["head"], stats["head"], crops)
        stats, flat = {**stats, "head": head}, patches.reshape(len(patches), -1, patches.shape[-1])
        outputs, after = on_views(getattr(self, name), params[name], stats[name], flat)
        return embedding, outputs.reshape(*patches.shape[:3], -1), {**stats, name: after}

    def chance_loss(self, batch_size: int) -> float | None:
        """None: the loss of the patches has the share of masked crops as a factor."""
        return None

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        student, teacher = (embeddings[name].swapaxes(0, 1) for name in ("embedding", "target"))  # [V, B, K]
        patches, patch_target, counted = (
            embeddings[name].reshape(-1, *embeddings[name].shape[2:]) for name in ("patches", "patch_target", "counted")
        )
        make_targets = partial(self.targets, temperature=self.temperature_at(step), axis_name=axis_name)
        targets, center = make_targets(teacher, state["center"])
        patch_targets, patch_center = make_targets(patch_target, state["patch_center"], counted=counted)
        temperature = self.student_temperature
        of_crops = swav(student, targets, temperature=temperature, axis_name=axis_name)
        of_patches = ibot(patches, patch_targets, counted, temperature=temperature, axis_name=axis_name)
        changes, metrics = {"center": center, "patch_center": patch_center}, {"class": of_crops, "patch": of_patches}
        return of_crops + self.patch_weight * of_patches, changes, metrics

    def targets(
        self, outputs: Array, center: Array, *, temperature: Array, counted: Array | None = None, axis_name: str | None
    ) -> tuple[Array, Array]:
        """Distributions that the teacher's outputs `[A, B, K]` become, and the centre of the next step."""
        moved = update_center(center, outputs, momentum=self.center_momentum, counted=counted, axis_name=axis_name)
        return center_and_sharpen(outputs, center=center, temperature=temperature), moved

    def backbone(self, params: Params, state: State) -> Backbone:
        """The teacher's encoder, which the authors evaluate."""
        teacher = state["teacher"]
        return Backbone(self.encoder, teacher["params"]["encoder"], teacher["stats"]["encoder"])
