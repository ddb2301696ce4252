"""DINO: the student's small and large crops predict the teacher's distribution over K outputs for the large ones.

Collapse to one output is prevented by centring the teacher's outputs, collapse to the uniform distribution by sharpening.
Source: Caron et al. 2021, "Emerging Properties in Self-Supervised Vision Transformers",
https://arxiv.org/abs/2104.14294.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from ssl_jax.losses.distillation import center_and_sharpen, dino, update_center
from ssl_jax.methods.joint_embedding import MomentumTeacher
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State, Watched


@dataclass(frozen=True, kw_only=True)
class DINO(MomentumTeacher):
    """The head ends in K outputs (`prototype_head`).

    student_temperature, teacher_temperature: softmax temperatures of the outputs.
    warmup_temperature: initial temperature of the teacher; it rises linearly for `warmup` steps.
    center_momentum: momentum of the moving average of the teacher's outputs.
    """

    facts: ClassVar[Facts] = Facts(
        family="distillation",
        against_collapse="centring and sharpening",
        positives="small and large crops",
        memory="teacher, centre",
        passes="4 + 2 teacher",
        paper="2104.14294",
    )

    objective_state: ClassVar[Layouts] = {"center": "whole"}

    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    warmup_temperature: float = 0.04
    warmup: int = 0
    center_momentum: float = 0.9

    def init(self, rng: Array) -> tuple[Params, State]:
        params, state = super().init(rng)
        return params, {**state, "center": jnp.zeros(self.head.width)}

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(self.head.width)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        student, teacher = embeddings["embedding"].swapaxes(0, 1), embeddings["target"].swapaxes(0, 1)  # [V, B, K]
        loss = dino(
            student,
            teacher,
            center=state["center"],
            student_temperature=self.student_temperature,
            teacher_temperature=self.temperature_at(step),
            axis_name=axis_name,
        )
        center = update_center(state["center"], teacher, momentum=self.center_momentum, axis_name=axis_name)
        return loss, {"center": center}, {}

    def temperature_at(self, step: Array) -> Array:
        """The teacher's, a scalar."""
        progress = jnp.clip(step.astype(jnp.float32) / max(self.warmup, 1), 0, 1)
        return self.warmup_temperature + (self.teacher_temperature - self.warmup_temperature) * progress

    def assignments(self, params: Params, state: State, images: Array) -> Array | None:
        """The teacher's distributions, as they are targets."""
        outputs = self.embed(state["teacher"]["params"], state["teacher"]["stats"], images)
        temperature = jnp.asarray(self.teacher_temperature)
        return center_and_sharpen(outputs[None], center=state["center"], temperature=temperature)[0]

    def watched(self, params: Params, state: State, embeddings: Embeddings, index: Array, step: Array) -> Watched:
        """The teacher's distributions for the first crop, before any partition of the batch."""
        outputs, temperature = embeddings["target"][:, :1].swapaxes(0, 1), self.temperature_at(step)
        assignments = center_and_sharpen(outputs, center=state["center"], temperature=temperature)[0]
        return super().watched(params, state, embeddings, index, step)._replace(assignments=assignments)
