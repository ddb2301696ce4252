"""BYOL: the student predicts from one view the teacher's embedding of the other; no negatives.

The loss does not exclude collapse, but the predictor and the slowly moving teacher do not converge to it.
Source: Grill et al. 2020, "Bootstrap Your Own Latent", https://arxiv.org/abs/2006.07733.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
from jax import Array

from ssl_jax.losses.distillation import negative_cosine
from ssl_jax.methods.joint_embedding import MomentumTeacher, on_views
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net


@dataclass(frozen=True, kw_only=True)
class BYOL(MomentumTeacher):
    """Squared distance of unit vectors, summed over both directions: in [0, 8], 4 for unrelated ones.

    predictor: embedding -> embedding; of the student only.
    """

    facts: ClassVar[Facts] = Facts(
        family="distillation",
        against_collapse="predictor and slow teacher",
        memory="teacher",
        passes="2 + 2 teacher",
        paper="2006.07733",
    )

    per_view_statistics = True

    predictor: Net

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, predictor_rng = jax.random.split(rng)
        (params, state), (predictor, stats) = super().init(rng), self.predictor.init(predictor_rng)
        return {**params, "predictor": predictor}, {**state, "predictor": stats}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        embeddings, state = super().encode(params, state, views, rng, step)
        prediction, stats = on_views(
            self.predictor,
            params["predictor"],
            state["predictor"],
            embeddings["embedding"],
            rng=rng,
            per_view_statistics=True,
        )
        return {**embeddings, "prediction": prediction}, {**state, "predictor": stats}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        prediction, target = embeddings["prediction"], embeddings["target"]
        first = negative_cosine(prediction[:, 0], target[:, 1], axis_name=axis_name)
        second = negative_cosine(prediction[:, 1], target[:, 0], axis_name=axis_name)
        return 4 + 2 * (first + second), {}, {}
