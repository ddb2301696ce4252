"""DINOv2: iBOT, with class tokens that keep apart, and targets that use all outputs equally often instead of centred ones.

Collapse is prevented as in iBOT, or by the equal partition of Sinkhorn's rounds as in SwAV.
Source: Oquab et al. 2023, "DINOv2: Learning Robust Visual Features without Supervision",
https://arxiv.org/abs/2304.07193, and the authors' code.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.masked_distillation import koleo
from ssl_jax.methods.ibot import IBOT
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State
from ssl_jax.ops.sinkhorn import sinkhorn


@dataclass(frozen=True, kw_only=True)
class DINOv2(IBOT):
    """The paper's large runs have a `patch_head` and `sinkhorn`; the authors' short run on ImageNet has neither.

    sinkhorn: targets from three rounds of Sinkhorn's scaling, over the class tokens of all large crops and over all masked
      patches, in place of centring.
    koleo_weight: weight of KoLeo, which keeps the class tokens of different images apart: of one large crop with others of
      its kind, so that two crops of an image are not driven apart, summed over the large crops.
    """

    facts: ClassVar[Facts] = Facts(
        family="distillation",
        against_collapse="centring or equal partition, sharpening, spread class tokens",
        positives="small and large crops, masked and whole patches",
        memory="teacher, centres",
        passes="4 + 2 teacher",
        paper="2304.07193",
    )

    sinkhorn: bool = True
    koleo_weight: float = 0.1

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        loss, changes, metrics = super().objective(embeddings, state, rng, step, axis_name=axis_name)
        crops = embeddings["class_tokens"].swapaxes(0, 1)
        nearness = sum(
            (koleo(tokens, axis_name=axis_name) for tokens in crops[1:]), koleo(crops[0], axis_name=axis_name)
        )
        return loss + self.koleo_weight * nearness, changes, {**metrics, "koleo": nearness}

    def targets(
        self, outputs: Array, center: Array, *, temperature: Array, counted: Array | None = None, axis_name: str | None
    ) -> tuple[Array, Array]:
        if not self.sinkhorn:
            return super().targets(outputs, center, temperature=temperature, counted=counted, axis_name=axis_name)
        rows = outputs.reshape(-1, outputs.shape[-1])
        counted = None if counted is None else counted.reshape(-1)
        codes = sinkhorn(rows, epsilon=temperature, counted=counted, axis_name=axis_name)
        return codes.reshape(outputs.shape), center
